"""Finds the Large Movie Review Dataset (Maas et al. 2011): a local folder, or the Hugging Face hub."""

import hashlib
import os
from pathlib import Path

from glassformer.data.files import TextFile
from glassformer.errors import DataError, UsageError

REPOSITORY = "stanfordnlp/imdb"
REVISION = "e6281661ce1c48d982bc483cf8a173c1bbeb5d31"
SHA256 = {
    "train": "db47d16b5c297cc0dd625e519c81319c24c9149e70e8496de5475f6fa928342c",
    "test": "b52e26e2f872d282ffac460bf9770b25ac6f102cda0e6ca7158df98c94e8b3da",
}
CLASSES = ["negative", "positive"]


def data_folder(data_dir: str | None) -> Path | None:
    """The folder of local data sets: the option, else GLASSFORMER_DATA, else None."""
    chosen = data_dir or os.environ.get("GLASSFORMER_DATA")
    return Path(chosen).expanduser() if chosen else None


def imdb_file(split: str, data_dir: str | None, sha256: dict[str, str] = SHA256) -> TextFile:
    """The file of a split, `train` or `test`.

    Raises UsageError where the folder has no such file, DataError where the hub cannot be reached or the
    download is not what was pinned.
    """
    folder = data_folder(data_dir)
    if folder is None:
        return TextFile(_download(split, sha256))
    path = folder / "imdb" / f"{split}.parquet"
    if not path.is_file():
        raise UsageError(
            f"there is no {path}; --data-dir (or GLASSFORMER_DATA) names the folder that holds "
            "imdb/train.parquet and imdb/test.parquet"
        )
    return TextFile(path)


def _download(split: str, sha256: dict[str, str]) -> Path:
    from huggingface_hub import hf_hub_download

    name = f"plain_text/{split}-00000-of-00001.parquet"
    try:
        path = Path(hf_hub_download(REPOSITORY, name, repo_type="dataset", revision=REVISION))
    except Exception as error:  # the hub's client raises a dozen unrelated kinds, one for each layer below it
        raise DataError(
            f"IMDB could not be downloaded from the Hugging Face hub ({type(error).__name__}). Two ways to "
            "get the data: connect this machine to the network and repeat the command, or put train.parquet "
            f"and test.parquet of {REPOSITORY} into DIR/imdb and give --data-dir DIR"
        ) from error
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    if digest != sha256[split]:
        raise DataError(
            f"{path} has the checksum {digest[:12]}..., not the pinned {sha256[split][:12]}...; "
            "delete it and repeat the command"
        )
    return path
