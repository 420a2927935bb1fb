import io
import json
import os
import zlib
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
import torch
from PIL import Image
from torch.nn.functional import interpolate

from glassformer.data import image_files
from glassformer.data.decoding import decode
from glassformer.data.image_files import ImageFolder, ImageTable
from glassformer.data.labels import class_names_of, number_labels
from glassformer.errors import DataError, UsageError

GENERATOR = np.random.default_rng(11)
HEIGHT, WIDTH = 5, 7
COLOUR = GENERATOR.integers(0, 256, (HEIGHT, WIDTH, 3), dtype=np.uint8)
GREY = GENERATOR.integers(0, 256, (HEIGHT, WIDTH), dtype=np.uint8)
ORIENTATION = 0x0112


def encoded(image: Image.Image | np.ndarray, kind: str = "PNG", **options: object) -> bytes:
    file = io.BytesIO()
    image = Image.fromarray(image) if isinstance(image, np.ndarray) else image
    image.save(file, kind, **options)
    return file.getvalue()


def decoded(content: bytes, channels: int = 3, size: tuple[int, int] = (HEIGHT, WIDTH)):
    pixels, notes = decode(content, "picture", size, channels)
    assert pixels.dtype == np.uint8
    assert pixels.shape == (channels, *size)
    return pixels, list(notes)


def as_channels(pixels: np.ndarray) -> np.ndarray:
    return pixels.transpose(2, 0, 1)


# What comes out of one image


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_the_wanted_size_keeps_every_bit(kind: str) -> None:
    pixels, notes = decoded(encoded(COLOUR, kind))
    np.testing.assert_array_equal(pixels, as_channels(COLOUR))
    assert notes == []
    pixels, notes = decoded(encoded(GREY, kind), channels=1)
    np.testing.assert_array_equal(pixels, GREY[None])
    assert notes == []


def test_resizing_is_torchs_bicubic_of_the_centre() -> None:
    # 14x30 becomes 7x15, of which the columns 2 to 13 are the centre
    wide = GENERATOR.integers(0, 256, (14, 30, 3), dtype=np.uint8)
    pixels, notes = decoded(encoded(wide), size=(7, 11))
    whole = torch.from_numpy(as_channels(wide).copy()).float()
    resized = interpolate(whole[None], (7, 15), mode="bicubic", antialias=True)[0].clamp(0, 255).numpy()
    oracle = resized[:, :, 2:13]
    assert np.abs(pixels - oracle).max() <= 1
    assert notes == ["were resized to 7x11", "of another aspect ratio were cropped at the centre"]


def test_the_same_aspect_ratio_is_not_cropped() -> None:
    large = GENERATOR.integers(0, 256, (3 * HEIGHT, 3 * WIDTH), dtype=np.uint8)
    pixels, notes = decoded(encoded(large), channels=1)
    oracle = interpolate(
        torch.from_numpy(large)[None, None].float(), (HEIGHT, WIDTH), mode="bicubic", antialias=True
    )
    assert np.abs(pixels - oracle[0].clamp(0, 255).numpy()).max() <= 1
    assert notes == [f"were resized to {HEIGHT}x{WIDTH}"]


def test_transparency_shows_white() -> None:
    alpha = GENERATOR.integers(0, 256, (HEIGHT, WIDTH, 1), dtype=np.uint8)
    alpha[0, 0], alpha[0, 1] = 0, 255
    pixels, notes = decoded(encoded(np.concatenate([COLOUR, alpha], axis=2)))
    oracle = COLOUR * (alpha / 255) + 255 * (1 - alpha / 255)
    assert np.abs(pixels - as_channels(oracle)).max() <= 1
    assert pixels[:, 0, 0].tolist() == [255, 255, 255]
    assert pixels[:, 0, 1].tolist() == COLOUR[0, 1].tolist()
    assert notes == ["with transparency were put on white"]


def test_an_opaque_alpha_channel_is_no_transparency() -> None:
    opaque = np.concatenate([COLOUR, np.full((HEIGHT, WIDTH, 1), 255, dtype=np.uint8)], axis=2)
    pixels, notes = decoded(encoded(opaque))
    np.testing.assert_array_equal(pixels, as_channels(COLOUR))
    assert notes == []


def test_grey_with_alpha_stays_grey() -> None:
    half = np.stack([GREY, np.where(GREY % 2, 255, 0).astype(np.uint8)], axis=2)
    pixels, notes = decoded(encoded(half), channels=1)
    np.testing.assert_array_equal(pixels[0], np.where(GREY % 2, GREY, 255))
    assert notes == ["with transparency were put on white"]


@pytest.mark.parametrize("clear", [None, 2])
def test_a_palette_is_looked_up(clear: int | None) -> None:
    numbers = GENERATOR.integers(0, 4, (HEIGHT, WIDTH), dtype=np.uint8)
    numbers[0, 0] = 2
    palette = np.array([[0, 0, 0], [255, 0, 10], [0, 200, 0], [7, 8, 9]], dtype=np.uint8)
    image = Image.fromarray(numbers)
    image.putpalette(palette.tobytes())
    pixels, notes = decoded(encoded(image) if clear is None else encoded(image, transparency=clear))
    if clear is not None:
        palette[clear] = 255
    np.testing.assert_array_equal(pixels, as_channels(palette[numbers]))
    white = [] if clear is None else ["with transparency were put on white"]
    assert notes == [*white, "with a palette were converted"]


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "PPM"])
def test_16_bits_are_divided_by_257(kind: str) -> None:
    values = GENERATOR.integers(0, 30000, (HEIGHT, WIDTH), dtype=np.uint16)  # no white: not by the maximum
    pixels, notes = decoded(encoded(values, kind), channels=1)
    np.testing.assert_array_equal(pixels[0], np.rint(values / 257))
    assert notes == ["of 16 bits were scaled to 8 (65535 becomes 255)"]


def deep_colour_png(values: np.ndarray) -> bytes:
    """Pillow cannot write it. values: (height width 3), 16 bits."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return len(content).to_bytes(4) + kind + content + zlib.crc32(kind + content).to_bytes(4)

    height, width, _ = values.shape
    header = width.to_bytes(4) + height.to_bytes(4) + bytes([16, 2, 0, 0, 0])
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    parts = (chunk(b"IHDR", header), chunk(b"IDAT", zlib.compress(rows)), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


def test_16_bit_colour_is_cut_with_a_note() -> None:
    values = GENERATOR.integers(0, 65536, (HEIGHT, WIDTH, 3), dtype=np.uint16)
    expected = ["with 16 bits a channel were cut to the upper 8"]
    pixels, notes = decoded(deep_colour_png(values))
    np.testing.assert_array_equal(pixels, (values >> 8).transpose(2, 0, 1))
    assert notes == expected
    portable = f"P6 {WIDTH} {HEIGHT} 65535\n".encode() + values.astype(">u2").tobytes()
    assert decoded(portable)[1] == expected


def test_floating_point_of_0_to_1_is_taken_times_255() -> None:
    values = GENERATOR.random((HEIGHT, WIDTH), dtype=np.float32) / 2
    pixels, notes = decoded(encoded(values, "TIFF"), channels=1)
    np.testing.assert_array_equal(pixels[0], np.rint(values * 255))
    assert notes == ["of floating-point numbers were scaled to 8 bits (1.0 becomes 255)"]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        (np.full((2, 3), 70000, dtype=np.int32), "values from 70000 to 70000, not 0 to 65535"),
        (np.full((2, 3), -1, dtype=np.int32), "values from -1 to -1, not 0 to 65535"),
        (np.full((2, 3), 200, dtype=np.float32), "values from 200 to 200, not 0 to 1;"),
        (np.full((2, 3), np.nan, dtype=np.float32), "values from nan to nan, not 0 to 1;"),
    ],
)
def test_values_without_a_known_range_are_refused(values: np.ndarray, said: str) -> None:
    with pytest.raises(DataError, match=f"^picture has {said}"):
        decoded(encoded(values, "TIFF"))


@pytest.mark.parametrize("kind", ["GIF", "PNG", "TIFF", "WEBP"])
def test_of_several_frames_the_first_counts(kind: str) -> None:
    frames = [Image.new("RGB", (WIDTH, HEIGHT), colour) for colour in ("red", "lime", "blue")]
    content = encoded(
        frames[0],
        kind,
        save_all=True,
        append_images=frames[1:],
        **({"lossless": True} if kind == "WEBP" else {}),
    )
    pixels, notes = decoded(content)
    np.testing.assert_array_equal(pixels, np.broadcast_to([[[255]], [[0]], [[0]]], pixels.shape))
    assert notes[0] == "of several frames were cut to the first"


TURNED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.T,
    6: lambda a: a.T[:, ::-1],
    7: lambda a: a[::-1, ::-1].T,
    8: lambda a: a.T[::-1],
}
"""Where row 0 and column 0 of the file belong, by the table of the EXIF standard."""


@pytest.mark.parametrize("orientation", TURNED)
def test_images_stand_upright(orientation: int) -> None:
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    oracle = TURNED[orientation](GREY)
    pixels, notes = decoded(encoded(GREY, exif=exif), channels=1, size=oracle.shape)
    np.testing.assert_array_equal(pixels[0], oracle)
    assert notes == (["were turned upright as their EXIF orientation says"] if orientation > 1 else [])


def test_broken_metadata_costs_no_image() -> None:
    jpeg = encoded(COLOUR, "JPEG")
    segment = b"Exif\0\0" + b"no directory of tags"
    broken = jpeg[:2] + b"\xff\xe1" + (len(segment) + 2).to_bytes(2) + segment + jpeg[2:]
    np.testing.assert_array_equal(decoded(broken)[0], decoded(jpeg)[0])


def test_other_colour_spaces_become_the_wanted_one() -> None:
    red = Image.new("CMYK", (WIDTH, HEIGHT), (0, 255, 255, 0))
    pixels, notes = decoded(encoded(red, "TIFF"))
    assert (pixels[:, 0, 0].tolist(), notes) == ([255, 0, 0], ["in CMYK were converted"])
    pixels, notes = decoded(encoded(GREY))
    np.testing.assert_array_equal(pixels, np.stack([GREY] * 3))
    assert notes == ["in grey were given three equal channels"]
    pixels, notes = decoded(encoded(COLOUR), channels=1)
    assert np.abs(pixels[0] - COLOUR @ [0.299, 0.587, 0.114]).max() <= 1
    assert notes == ["in colour were turned grey"]
    pixels, notes = decoded(encoded(Image.fromarray(GREY > 99)), channels=1)
    np.testing.assert_array_equal(pixels[0], np.where(GREY > 99, 255, 0))
    assert notes == []


# What is refused


NOISE = GENERATOR.integers(0, 256, (40, 40, 3), dtype=np.uint8)
PNG, JPEG = encoded(NOISE), encoded(NOISE, "JPEG")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", r"is empty \(0 bytes\)"),
        (b"this is a text", r"is no image of a known kind \(PNG, JPEG, "),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\n", "is no image of a known kind"),
        (PNG[:30], "is no image of a known kind|cannot be decoded"),
        (PNG[: len(PNG) // 2], "cannot be decoded"),
        (JPEG[: len(JPEG) // 2], r"cannot be decoded \(image file is truncated"),
        (PNG[:200] + bytes(100) + PNG[300:], "cannot be decoded"),
    ],
    ids=["empty", "text", "eps", "png-head", "half-png", "half-jpeg", "png-hole"],
)
def test_bad_bytes_are_refused_by_name(content: bytes, said: str) -> None:
    with pytest.raises(DataError, match=rf"^cat/a\.png ({said}).*; replace or delete it$"):
        decode(content, "cat/a.png", (HEIGHT, WIDTH), 3)


@pytest.mark.parametrize("limit", [1000, 700])  # Pillow warns above its limit and refuses above twice that
def test_a_decompression_bomb_is_refused(monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", limit)
    with pytest.raises(DataError, match=rf"^cat/a\.png has more than {limit:,} pixels"):
        decode(PNG, "cat/a.png", (HEIGHT, WIDTH), 3)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1600)
    decode(PNG, "cat/a.png", (HEIGHT, WIDTH), 3)


# Folders


def write(path: Path, content: bytes = PNG) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    for name in ("dog/b.PNG", "dog/deep/a.jpeg", "cat/2.tif", "cat/10.Webp", "cat/x.gif"):
        write(tmp_path / "pets" / name, name.encode())
    for name in ("cat/.hidden.png", "cat/.trash/a.png", "cat/notes.txt", ".cache/a.png", "loose.png"):
        write(tmp_path / "pets" / name)
    return tmp_path / "pets"


def test_a_folder_is_read_in_a_fixed_order(pets: Path) -> None:
    folder = ImageFolder(pets)
    names = ["cat/10.Webp", "cat/2.tif", "cat/x.gif", "dog/b.PNG", "dog/deep/a.jpeg"]
    assert [source.name for source in folder.sources()] == [str(pets / name) for name in names]
    assert [source.read().decode() for source in folder.sources()] == names
    assert folder.labels() == ["cat"] * 3 + ["dog"] * 2
    assert folder.count_rows() == 5
    left_out = "beside the class folders, in no class, and"
    beside, others = folder.notes()
    assert beside == f"1 image lies {left_out} is left out: loose.png"
    assert others.startswith("1 file in the class folders is left out, since images end in .png, .jpg, ")
    assert others.endswith(", .pnm; the first: cat/notes.txt")
    write(pets / "another.gif")
    write(pets / "notes.txt")
    write(pets / "bird.png" / "a.png")  # a class, whatever it is called
    assert folder.notes()[0] == f"2 images lie {left_out} are left out; the first: another.gif"
    assert class_names_of(folder.labels(), pets, "images") == ["cat", "dog"]


def test_classes_that_are_numbers_count_upwards(tmp_path: Path) -> None:
    for name in ("10", "9", "0"):
        write(tmp_path / name / "a.png")
    assert ImageFolder(tmp_path).labels() == ["0", "9", "10"]
    assert class_names_of(["10", "9", "0"], tmp_path, "images") == ["0", "9", "10"]


def test_the_checksum_is_of_names_and_contents_alone(pets: Path) -> None:
    before = ImageFolder(pets).checksum()
    (pets / "cat" / "notes.txt").unlink()
    os.utime(pets / "cat" / "x.gif", (0, 0))
    moved = pets.rename(pets.with_name("animals"))
    assert ImageFolder(moved).checksum() == before
    write(moved / "cat" / "x.gif", b"cat/X.gif")
    changed = ImageFolder(moved).checksum()
    (moved / "cat" / "x.gif").rename(moved / "cat" / "y.gif")
    renamed = ImageFolder(moved).checksum()
    (moved / "cat" / "y.gif").rename(moved / "dog" / "y.gif")
    assert len({before, changed, renamed, ImageFolder(moved).checksum()}) == 4


def test_a_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no folder .*nowhere; check the path"):
        ImageFolder(tmp_path / "nowhere").labels()


@pytest.mark.parametrize(
    ("files", "said"),
    [
        ([], "data has no sub-folders with images; put the images of each class"),
        (["a.png", "b.png"], "data has no sub-folders with images"),
        (["cat/notes.txt", "dog/.a.png"], "data has no sub-folders with images"),
        (["cat/a.png", "dog/notes.txt"], r"the class folder .*dog holds no images \(\.png, .*or delete it$"),
        (["train/cat/a.png", "test/cat/a.png"], "are called test, train, which are splits and no classes"),
    ],
)
def test_a_folder_without_classes_of_images_is_refused(tmp_path: Path, files: list[str], said: str) -> None:
    (tmp_path / "data").mkdir()
    for name in files:
        write(tmp_path / "data" / name)
    with pytest.raises(DataError, match=said) as refused:
        ImageFolder(tmp_path / "data").labels()
    assert str(tmp_path / "data") in str(refused.value)


def test_a_file_that_went_away_is_named(pets: Path) -> None:
    (source, *_) = ImageFolder(pets).sources()
    Path(source.name).unlink()
    with pytest.raises(DataError, match=r"there is no .*10\.Webp; correct the path"):
        source.read()


def test_one_class_only_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "cat" / "a.png")
    with pytest.raises(
        DataError, match=r"has one class only \('cat'\); give images of at least two"
    ) as refused:
        class_names_of(ImageFolder(tmp_path).labels(), tmp_path, "images")
    assert str(tmp_path) in str(refused.value)


def test_a_class_that_training_lacks_is_named(tmp_path: Path) -> None:
    assert number_labels(["dog", "cat", "dog"], ["cat", "dog"], tmp_path).tolist() == [1, 0, 1]
    with pytest.raises(
        DataError, match=r"row 2 has the label 'cow', which training does not have \(it has cat, dog"
    ):
        number_labels(["dog", "cow"], ["cat", "dog"], tmp_path / "table.csv")
    with pytest.raises(DataError, match="image 2 has the label 'cow'"):
        number_labels(["dog", "cow"], ["cat", "dog"], tmp_path)


# Tables


CONTENTS = [encoded(COLOUR), encoded(COLOUR[::-1]), encoded(COLOUR[:, ::-1])]
NAMES, LABELS = ["b.png", "deep/a.png", "c.png"], ["dog", "cat", "dog"]


def write_table(folder: Path, kind: str) -> Path:
    for name, content in zip(NAMES, CONTENTS, strict=True):
        write(folder / name, content)
    rows = list(zip(NAMES, LABELS, strict=True))
    if kind in ("csv", "tsv"):
        mark = "," if kind == "csv" else "\t"
        text = "\n".join(mark.join(row) for row in [("image", "label"), *rows])
        return write(folder / f"table.{kind}", text.encode())
    if kind == "jsonl":
        lines = [json.dumps({"image": name, "label": label}) for name, label in rows]
        return write(folder / "table.jsonl", "\n".join(lines).encode())
    images = {
        "paths": NAMES,
        "bytes": CONTENTS,
        "structs": [{"bytes": content, "path": None} for content in CONTENTS],
        "dictionary": pa.array(NAMES).dictionary_encode(),
    }[kind]
    pa.parquet.write_table(
        pa.table({"image": images, "label": LABELS}), folder / "table.parquet", row_group_size=2
    )
    return folder / "table.parquet"


ALL_KINDS = ["csv", "tsv", "jsonl", "paths", "bytes", "structs", "dictionary"]


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_every_kind_of_table_gives_the_same(tmp_path: Path, kind: str) -> None:
    table = ImageTable(write_table(tmp_path, kind))
    assert [source.read() for source in table.sources()] == CONTENTS
    assert table.labels() == LABELS
    assert table.count_rows() == 3
    name = list(table.sources())[1].name
    assert "row 2" in name
    assert ("table" if kind in ("bytes", "structs") else "a.png") in name


@pytest.mark.parametrize("kind", ["csv", "structs"])
def test_a_tables_checksum_is_of_its_images_too(tmp_path: Path, kind: str) -> None:
    before = ImageTable(write_table(tmp_path / "a", kind)).checksum()
    assert ImageTable(write_table(tmp_path / "b", kind)).checksum() == before
    write(tmp_path / "a" / "c.png", CONTENTS[0])
    changed = ImageTable(tmp_path / "a" / f"table.{'csv' if kind == 'csv' else 'parquet'}").checksum()
    assert (changed != before) == (kind == "csv")
    (tmp_path / "b" / "c.png").unlink()
    ImageTable(tmp_path / "b" / f"table.{'csv' if kind == 'csv' else 'parquet'}").checksum()


def test_parquet_is_not_read_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(image_files, "ROWS_A_READ", 2)
    contents = [GENERATOR.bytes(200_000) for _ in range(60)]
    table = pa.table({"image": [{"bytes": each, "path": "x"} for each in contents], "label": [0] * 60})
    pa.parquet.write_table(table, tmp_path / "t.parquet", row_group_size=6)
    del table
    before, most = pa.total_allocated_bytes(), 0
    for source, content in zip(ImageTable(tmp_path / "t.parquet").sources(), contents, strict=True):
        most = max(most, pa.total_allocated_bytes() - before)
        assert source.read() == content
    assert most < 60 * 200_000 / 2


@pytest.mark.parametrize("kind", ALL_KINDS)
def test_a_missing_column_is_refused_with_the_nearest(tmp_path: Path, kind: str) -> None:
    path = write_table(tmp_path, kind)
    said = (
        r"table\.\w+ has no column '{}'; name yours with --data\.image and --data\.label \(did you mean {}\?"
    )
    for ask in ("count_rows", "checksum", "sources"):
        with pytest.raises(UsageError, match=said.format("images", "image")):
            list(getattr(ImageTable(path, "images"), ask)())
    with pytest.raises(UsageError, match=said.format("lable", "label")):
        ImageTable(path, "image", "lable").labels()


def test_a_column_without_images_is_refused(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"image": [1, 2], "label": ["a", "b"]}), tmp_path / "t.parquet")
    with pytest.raises(UsageError, match=r"the column 'image' of .*t\.parquet holds int64, no images"):
        next(ImageTable(tmp_path / "t.parquet").sources())


@pytest.mark.parametrize(
    ("name", "said"),
    [("nowhere.png", r"\(row 2 of t\.csv\); correct the path"),
     (".", r"\(row 2 of t\.csv\) cannot be read .*"),
     ('""', r"t\.csv: row 2 has no image; .*")],
)  # fmt: skip
def test_a_path_that_leads_nowhere_is_named_with_its_row(tmp_path: Path, name: str, said: str) -> None:
    write(tmp_path / "a.png")
    write(tmp_path / "t.csv", f"image,label\na.png,cat\n{name},dog\n".encode())
    first, second = ImageTable(tmp_path / "t.csv").sources()
    assert first.read() == PNG
    with pytest.raises(DataError, match=f"{said}$"):
        second.read()


def test_a_row_without_bytes_is_named(tmp_path: Path) -> None:
    pa.parquet.write_table(pa.table({"image": [b"x", None], "label": ["a", "b"]}), tmp_path / "t.parquet")
    _, second = ImageTable(tmp_path / "t.parquet").sources()
    with pytest.raises(DataError, match=r"t\.parquet: row 2 has no image"):
        second.read()


def test_a_row_without_label_is_named(tmp_path: Path) -> None:
    write(tmp_path / "t.csv", b"image,label\na.png,cat\nb.png,\n")
    with pytest.raises(DataError, match=r"t\.csv: row 2 has no 'label'"):
        ImageTable(tmp_path / "t.csv").labels()


def test_a_damaged_parquet_file_is_refused(tmp_path: Path) -> None:
    path = write_table(tmp_path, "bytes")
    content = bytearray(path.read_bytes())
    content[4:40] = b"\xff" * 36  # the first page's header
    path.write_bytes(bytes(content))
    with pytest.raises(DataError, match=r"table\.parquet cannot be read as PARQUET: "):
        list(ImageTable(path).sources())
    path.write_bytes(bytes(content[:-10]))
    with pytest.raises(DataError, match=r"table\.parquet cannot be read as PARQUET: "):
        ImageTable(path).labels()


def test_a_missing_table_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*t\.csv"):
        ImageTable(tmp_path / "t.csv").labels()
