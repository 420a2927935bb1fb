"""Finds CIFAR-10 (Krizhevsky 2009): a local folder, or the Hugging Face hub."""

from pathlib import Path

from glassformer.data.hub import HubData

REPOSITORY = "uoft-cs/cifar10"
REVISION = "0b2714987fa478483af9968de7c934580d0bb9a2"
SHA256 = {
    "train": "8428b53a88a11ac374111006708df51469e315a22ac6d66470afd9c78d2ae883",
    "test": "841389e6f2d64f28bf17310e430aebac20ec3ba611a3c5e231dc93c645ce84de",
}
JPEG = b"\xff\xd8"
"""How a JPEG file begins; the hub has PNG."""
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]
"""The official names; the label column counts them from 0."""


def cifar10_file(split: str, data_dir: str | None, sha256: dict[str, str] = SHA256) -> Path:
    """The Parquet file of a split, `train` (50,000 images of 32x32 RGB) or `test` (10,000).

    Raises UsageError where the folder has no such file, DataError where the hub cannot be reached or the
    download is not what was pinned.
    """
    return HubData("CIFAR-10", "cifar10", REPOSITORY, REVISION, sha256).file(split, data_dir)
