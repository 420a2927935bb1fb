"""Finds a known data set's file: a local folder, or the Hugging Face hub, pinned and checked."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from glassformer.errors import DataError, UsageError
from glassformer.paths import user_path


@dataclass(frozen=True)
class HubData:
    """A data set of two Parquet files, `train` and `test`.

    title: its name in messages. folder: where it lies in the folder of local data sets. repository, revision:
    where it lies on the hub. sha256: of both files there.
    """

    title: str
    folder: str
    repository: str
    revision: str
    sha256: dict[str, str]

    def file(self, split: str, data_dir: str | None) -> Path:
        """The file of a split.

        Raises UsageError where the local folder has no such file and where a split that is not pinned has no
        folder, DataError where the hub cannot be reached
        or the download is not what was pinned.
        """
        local = data_folder(data_dir)
        if local is None and split not in self.sha256:
            raise UsageError(
                f"{self.title}'s {split} split is not pinned here, so it is read from a folder alone; put "
                f"{split}.parquet of {self.repository} into DIR/{self.folder} and give --data-dir DIR"
            )
        if local is None:
            return self._download(split)
        path = local / self.folder / f"{split}.parquet"
        if not path.is_file():
            raise UsageError(
                f"there is no {path}; --data-dir (or GLASSFORMER_DATA) names the folder that holds "
                f"{self.folder}/{split}.parquet"
            )
        return path

    def _download(self, split: str) -> Path:
        from huggingface_hub import hf_hub_download

        name = f"plain_text/{split}-00000-of-00001.parquet"
        try:
            path = Path(hf_hub_download(self.repository, name, repo_type="dataset", revision=self.revision))
        except Exception as error:  # the hub's client raises a dozen unrelated kinds
            raise DataError(
                f"{self.title} could not be downloaded from the Hugging Face hub ({type(error).__name__}). "
                "Two ways to get the data: connect this machine to the network and repeat the command, or "
                f"put train.parquet and test.parquet of {self.repository} into DIR/{self.folder} and give "
                "--data-dir DIR"
            ) from error
        with path.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        if digest != self.sha256[split]:
            raise DataError(
                f"{path} has the checksum {digest[:12]}..., not the pinned {self.sha256[split][:12]}...; "
                "delete it and repeat the command"
            )
        return path


def data_folder(data_dir: str | None) -> Path | None:
    """The folder of local data sets: the option, else GLASSFORMER_DATA, else None."""
    chosen = data_dir or os.environ.get("GLASSFORMER_DATA")
    return user_path(chosen) if chosen else None
