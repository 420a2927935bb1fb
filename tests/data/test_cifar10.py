"""Against a stand-in for the hub's client; the download itself is tested in test_imdb."""

import hashlib
import io
from pathlib import Path

import huggingface_hub
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from glassformer.data.cifar10 import (
    CLASSES,
    REVISION,
    SHA256,
    cifar10_file,
)
from glassformer.data.image_files import ImageTable
from glassformer.data.images import decode_all
from glassformer.errors import DataError, UsageError

PIXELS = np.random.default_rng(3).integers(0, 256, (3, 32, 32, 3), dtype=np.uint8)
LABELS = [9, 0, 3]


@pytest.fixture
def data(tmp_path: Path) -> Path:
    rows = []
    for pixels in PIXELS:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, "PNG")
        rows.append({"bytes": file.getvalue(), "path": None})
    (tmp_path / "cifar10").mkdir()
    for split in ("train", "test"):
        pa.parquet.write_table(
            pa.table({"img": rows, "label": LABELS}), tmp_path / "cifar10" / f"{split}.parquet"
        )
    return tmp_path


@pytest.fixture(autouse=True)
def no_data_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("GLASSFORMER_DATA", raising=False)


def test_the_local_files_are_read(data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ImageTable(cifar10_file("test", str(data)), "img", "label")
    assert table.path.name == "test.parquet"
    images = decode_all(table.sources(), (32, 32), 3, tmp_path / "cache", total=table.count_rows())
    np.testing.assert_array_equal(images.pixels, PIXELS.transpose(0, 3, 1, 2))
    assert [CLASSES[int(label)] for label in table.labels()] == ["truck", "airplane", "cat"]
    monkeypatch.setenv("GLASSFORMER_DATA", str(data))
    assert cifar10_file("train", None) == data / "cifar10" / "train.parquet"


def test_a_folder_without_it_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no .*cifar10/test\.parquet; --data-dir"):
        cifar10_file("test", str(tmp_path))


@pytest.mark.parametrize("split", ["train", "test"])
def test_the_download_is_pinned_and_checked(data: Path, monkeypatch: pytest.MonkeyPatch, split: str) -> None:
    asked, path = [], data / "cifar10" / f"{split}.parquet"

    def fetch(repository: str, name: str, *, repo_type: str, revision: str) -> str:
        asked.append((repository, name, repo_type, revision))
        return str(path)

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert cifar10_file(split, None, {split: digest}) == path
    assert asked == [("uoft-cs/cifar10", f"plain_text/{split}-00000-of-00001.parquet", "dataset", REVISION)]
    with pytest.raises(DataError, match=f"checksum {digest[:12]}..., not the pinned {SHA256[split][:12]}"):
        cifar10_file(split, None)


def test_no_network_tells_both_ways(monkeypatch: pytest.MonkeyPatch) -> None:
    def fetch(*args: object, **options: object) -> str:
        raise ConnectionError

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", fetch)
    with pytest.raises(
        DataError, match=r"CIFAR-10 could not be downloaded .*\(ConnectionError\).*DIR/cifar10"
    ):
        cifar10_file("train", None)


def test_the_pins_are_whole() -> None:
    assert len(REVISION) == 40
    assert [len(SHA256[split]) for split in ("train", "test")] == [64, 64]
    assert len(set(CLASSES)) == 10
