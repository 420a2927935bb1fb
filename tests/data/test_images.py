import io
import os
import tracemalloc
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from glassformer.data.digits import digits_images
from glassformer.data.image_files import ImageSource
from glassformer.data.images import ImageExamples, decode_all, hash_pixels, open_images
from glassformer.data.splits import count_shared
from glassformer.errors import DataError, UsageError

GENERATOR = np.random.default_rng(7)
PIXELS = GENERATOR.integers(0, 256, (4, 5, 7, 3), dtype=np.uint8)


def png(pixels: np.ndarray, mode: str | None = None) -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels, mode).save(file, "PNG")
    return file.getvalue()


def sources(*contents: bytes) -> list[ImageSource]:
    return [
        ImageSource(f"image-{row}", lambda content=content: content) for row, content in enumerate(contents)
    ]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    path = tmp_path / "cache" / "x"
    decode_all(sources(*map(png, PIXELS)), (5, 7), 3, path, total=4)
    return path


def test_pixels_come_back_from_disk_bit_by_bit(folder: Path) -> None:
    images = open_images(folder)
    assert isinstance(images.pixels, np.memmap)
    np.testing.assert_array_equal(images.pixels, PIXELS.transpose(0, 3, 1, 2))
    assert images.hashes.dtype == np.uint64
    assert images.hashes.tolist() == hash_pixels(images.pixels).tolist()
    assert (len(images), images.notes, images.skipped.tolist()) == (4, (), [])
    assert oct(folder.stat().st_mode) == oct(folder.parent.stat().st_mode)


def test_examples_are_some_rows(folder: Path) -> None:
    images = open_images(folder)
    examples = ImageExamples(images, np.array([3, 1]), np.array([0, 1]))
    assert len(examples) == 2
    assert examples.hashes.tolist() == [images.hashes[3], images.hashes[1]]


def test_a_duplicate_is_found_across_files_and_formats(tmp_path: Path, folder: Path) -> None:
    bmp = io.BytesIO()
    Image.fromarray(PIXELS[2]).save(bmp, "BMP")
    other = decode_all(sources(png(255 - PIXELS[0]), bmp.getvalue()), (5, 7), 3, tmp_path / "y", total=2)
    assert count_shared(open_images(folder).hashes, other.hashes) == 1


def test_many_rows_need_little_memory(tmp_path: Path) -> None:
    content = png(GENERATOR.integers(0, 256, (64, 64, 3), dtype=np.uint8))
    decode_all(sources(content), (64, 64), 3, tmp_path / "warm", total=1)
    tracemalloc.start()
    images = decode_all(sources(*[content] * 150), (64, 64), 3, tmp_path / "x", total=150)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert images.pixels.nbytes > 4 * peak


def test_notes_are_counted_by_kind(tmp_path: Path) -> None:
    clear = np.full((5, 7, 4), 100, dtype=np.uint8)
    grey = np.full((5, 7), 100, dtype=np.uint8)
    contents = [png(clear), png(grey), png(PIXELS[0]), png(clear[:, ::-1])]
    images = decode_all(sources(*contents), (5, 7), 3, tmp_path / "x", total=4)
    assert images.notes == (
        "2 images with transparency were put on white",
        "1 image in grey was given three equal channels",
    )


def test_bad_images_are_left_out_and_labels_stay_aligned(tmp_path: Path) -> None:
    contents = [b"bad", png(PIXELS[0]), b"", b"x", b"y", png(PIXELS[1]), png(PIXELS[2])]
    images = decode_all(sources(*contents), (5, 7), 3, tmp_path / "x", total=7, skip_bad=True)
    labels = np.delete(np.arange(7), images.skipped)
    assert labels.tolist() == [1, 5, 6]
    np.testing.assert_array_equal(images.pixels, PIXELS[:3].transpose(0, 3, 1, 2))
    assert images.notes == ("4 images were left out as unreadable: image-0, image-2, image-3 and 1 more",)


def test_without_skip_bad_the_first_bad_image_ends_it(tmp_path: Path) -> None:
    with pytest.raises(
        DataError, match=r"^image-1 is empty \(0 bytes\); replace or delete it, or leave .* --skip-bad$"
    ):
        decode_all(sources(png(PIXELS[0]), b"", b"bad"), (5, 7), 3, tmp_path / "x", total=3)
    assert os.listdir(tmp_path) == []


def test_all_bad_is_an_error_with_a_reason(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="none of the 2 images can be read; the first: image-0 is empty"):
        decode_all(sources(b"", b"bad"), (5, 7), 3, tmp_path / "x", total=2, skip_bad=True)
    assert os.listdir(tmp_path) == []


def test_another_process_that_was_faster_wins(folder: Path) -> None:
    before = sorted(os.listdir(folder.parent))
    again = decode_all(sources(*map(png, PIXELS)), (5, 7), 3, folder, total=4)
    np.testing.assert_array_equal(again.pixels, PIXELS.transpose(0, 3, 1, 2))
    assert sorted(os.listdir(folder.parent)) == before


def _shorten(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("pixels.npy", _shorten),
        ("pixels.npy", lambda path: path.write_bytes(b"")),
        ("pixels.npy", lambda path: np.save(path, np.zeros((4, 3, 5, 7), dtype=np.float32))),
        ("pixels.npy", lambda path: np.save(path, np.zeros((3, 3, 5, 7), dtype=np.uint8))),
        ("pixels.npy", lambda path: np.save(path, np.array([{}], dtype=object))),
        ("hashes.npy", _shorten),
        ("hashes.npy", Path.unlink),
        ("notes.json", _shorten),
        ("notes.json", lambda path: path.write_text("[]")),
        ("notes.json", lambda path: path.write_text("{}")),
    ],
)
def test_a_broken_cache_is_refused(folder: Path, file: str, damage) -> None:
    damage(folder / file)
    with pytest.raises(DataError, match=r"the cache .* is broken \(.*\); delete that folder") as refused:
        open_images(folder)
    assert str(folder) in str(refused.value)


def test_digits_are_scikit_learns() -> None:
    images, labels = digits_images()
    digits = load_digits()
    assert images.pixels.shape == (1797, 1, 8, 8)
    assert images.pixels.dtype == np.uint8
    # 16 levels onto 256: no two fall together, and the way back is exact
    np.testing.assert_array_equal(np.rint(images.pixels[:, 0] / 255 * 16), digits.images)
    assert (images.pixels.min(), images.pixels.max()) == (0, 255)
    np.testing.assert_array_equal(labels, digits.target)
    assert labels.dtype == np.int64
    assert len(images) == 1797


def test_images_that_the_disk_has_no_room_for_are_refused_before_one_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[Path] = []
    disk = SimpleNamespace(free=4 * 3 * 5 * 7 - 1)
    monkeypatch.setattr(
        "glassformer.data.images.shutil.disk_usage", lambda folder: seen.append(folder) or disk
    )
    with pytest.raises(UsageError, match="4 images of 5 x 7 pixels take"):
        decode_all(sources(*map(png, PIXELS)), (5, 7), 3, tmp_path / "x", total=4)
    assert seen == [tmp_path]
    assert not list(tmp_path.iterdir())
    disk.free += 1
    assert len(decode_all(sources(*map(png, PIXELS)), (5, 7), 3, tmp_path / "x", total=4)) == 4
