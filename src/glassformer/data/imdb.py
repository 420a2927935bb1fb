"""Finds the Large Movie Review Dataset (Maas et al. 2011): a local folder, or the Hugging Face hub."""

from glassformer.data.files import TextFile
from glassformer.data.hub import HubData
from glassformer.data.hub import data_folder as data_folder

REPOSITORY = "stanfordnlp/imdb"
REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
SHA256 = {
    "train": "db47d16b5c297cc0dd625e519c81319c24c9149e70e8496de5475f6fa928342c",
    "test": "b52e26e2f872d282ffac460bf9770b25ac6f102cda0e6ca7158df98c94e8b3da",
}
CLASSES = ["negative", "positive"]


def imdb_file(split: str, data_dir: str | None, sha256: dict[str, str] = SHA256) -> TextFile:
    """The file of a split, `train`, `test` or, from a folder alone, `unsupervised`.

    Raises UsageError where the folder has no such file, DataError where the hub cannot be reached or the
    download is not what was pinned.
    """
    return TextFile(HubData("IMDB", "imdb", REPOSITORY, REVISION, sha256).file(split, data_dir))
