"""Reads images and their labels out of a folder or a table of the user's, one image at a time."""

import hashlib
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from itertools import chain
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet

from glassformer.data.decoding import WAY_OUT
from glassformer.data.files import TextFile, open_file, type_of
from glassformer.data.labels import in_order
from glassformer.errors import DataError, UsageError

SUFFIXES = (
    ".png", ".jpg", ".jpeg", ".jfif", ".bmp", ".gif", ".webp", ".tif", ".tiff",
    ".ppm", ".pgm", ".pbm", ".pnm",
)  # fmt: skip
SKIP_HINT = ", or leave bad images out with --skip-bad"
ROWS_A_READ = 32
"""Images taken at once from a Parquet file: each may be some megabytes."""

OPTIONS = ("image", "label")
"""Of --data., which name the columns of a table."""
SPLIT_NAMES = {
    "train",
    "training",
    "training_set",
    "val",
    "valid",
    "validation",
    "test",
    "testing",
    "test_set",
}


@dataclass(frozen=True)
class ImageSource:
    """One encoded image: what messages call it, and how to get its bytes (DataError where that fails)."""

    name: str
    read: Callable[[], bytes]


@dataclass(frozen=True)
class ImageFolder:
    """A folder with one sub-folder of images for each class; the sub-folder's name is the class.

    Images lie in the sub-folders or deeper, and end in one of SUFFIXES in any case. Hidden files and folders
    are ignored, other files and images beside the sub-folders too, with a note.
    """

    path: Path

    @cached_property
    def _below(self) -> dict[str, list[Path]]:
        """Class -> all files below its folder that are not hidden."""
        if not self.path.is_dir():
            raise UsageError(f"there is no folder {self.path}; check the path")
        names = [each.name for each in self.path.iterdir() if each.is_dir() and not each.name.startswith(".")]
        return {name: _files_below(self.path / name) for name in in_order(names)}

    @cached_property
    def files(self) -> list[tuple[str, Path]]:
        """(class, file) of every image, in the order of the classes, then of the files' names.

        Raises UsageError where there is no such folder, DataError where it or one of its classes is empty or
        cannot be read.
        """
        found = {
            name: [file for file in files if _is_image(file.name)] for name, files in self._below.items()
        }
        names = list(found)
        if not any(found.values()):
            raise DataError(
                f"{self.path} has no sub-folders with images; put the images of each class "
                f"({', '.join(SUFFIXES)}) into a folder of its own there"
            )
        if {name.lower() for name in names} <= SPLIT_NAMES:
            first = min(names, key=lambda name: not name.lower().startswith("train"))
            raise DataError(
                f"the sub-folders of {self.path} are called {', '.join(sorted(names))}, which are splits and "
                f"no classes; give each with an option of its own, as --data.train {self.path / first}"
            )
        for name, files in found.items():
            if not files:
                raise DataError(
                    f"the class folder {self.path / name} holds no images ({', '.join(SUFFIXES)}); add some "
                    "or delete it"
                )
        return [(name, file) for name, files in found.items() for file in files]

    def count_rows(self) -> int:
        """How many images there are."""
        return len(self.files)

    def notes(self) -> list[str]:
        """What people may not expect: images beside the sub-folders, and other files in them."""
        beside = sorted(each.name for each in self.path.iterdir() if each.is_file() and _is_image(each.name))
        others = [file for files in self._below.values() for file in files if not _is_image(file.name)]
        notes = []
        if len(beside) == 1:
            notes.append(f"1 image lies beside the class folders, in no class, and is left out: {beside[0]}")
        elif beside:
            some = f"{len(beside):,} images lie beside the class folders, in no class, and are left out"
            notes.append(f"{some}; the first: {beside[0]}")
        if others:
            some = "1 file in the class folders is left out"
            if len(others) > 1:
                some = f"{len(others):,} files in the class folders are left out"
            first = others[0].relative_to(self.path)
            notes.append(f"{some}, since images end in {', '.join(SUFFIXES)}; the first: {first}")
        return notes

    def labels(self) -> list[str]:
        """Every image's class."""
        return [name for name, _ in self.files]

    def sources(self) -> Iterator[ImageSource]:
        """The images, not yet read."""
        for _, file in self.files:
            yield _file_source(file, str(file))

    def checksum(self) -> str:
        """SHA-256 of all images' names below the folder, sizes and bytes."""
        digest = hashlib.sha256(b"folder\0")
        for _, file in self.files:
            _digest_file(digest, file.relative_to(self.path).as_posix(), file)
        return digest.hexdigest()


@dataclass(frozen=True)
class ImageTable:
    """A table with a column of images and one of labels.

    CSV, TSV, JSONL: the images are paths, relative to the table's folder. Parquet: paths, raw bytes, or the
    hub's structs of `bytes` and `path`, of which only the bytes count.
    """

    path: Path
    image_column: str = "image"
    label_column: str = "label"

    def count_rows(self) -> int:
        """How many images there are."""
        self._holds_bytes()
        return self._as_texts().count_rows()

    def notes(self) -> list[str]:
        """Nothing: every row counts."""
        return []

    def labels(self) -> list[str]:
        """Every row's label as a word.

        Raises DataError for a row without one, UsageError where a column is missing or not of its kind.
        """
        self._holds_bytes()
        return self._as_texts().labels()

    def sources(self) -> Iterator[ImageSource]:
        """The images, a few at a time where they lie in the table itself."""
        row = 0
        if self._holds_bytes():
            for contents in self._contents():
                for content in contents:
                    row += 1
                    yield ImageSource(f"{self.path}: row {row}", partial(_present, content, self.path, row))
            return
        for row, path in self._rows():
            if path.strip():
                yield _file_source(self.path.parent / path, self._name(row, path))
            else:
                yield ImageSource(f"{self.path}: row {row}", partial(_present, None, self.path, row))

    def require_files(self) -> None:
        """Raises DataError for a row whose image is not there; opens none of them."""
        if self._holds_bytes():
            return
        folder = str(self.path.parent)
        for row, path in self._rows():
            if not path.strip():
                raise DataError(f"{_without_image(self.path, row)}{SKIP_HINT}")
            try:
                os.stat(os.path.join(folder, path))
            except OSError as error:
                raise DataError(f"{_unread(self._name(row, path), error)}{SKIP_HINT}") from None

    def _rows(self) -> Iterator[tuple[int, str]]:
        """Of each row its number and the path in it."""
        return enumerate(chain.from_iterable(self._as_texts().texts()), start=1)

    def _name(self, row: int, path: str) -> str:
        return f"{self.path.parent / path} (row {row} of {self.path.name})"

    def checksum(self) -> str:
        """SHA-256 of the columns' names, the table's bytes and those of the files that it names."""
        table = self._as_texts().checksum()
        if self._holds_bytes():
            return table
        digest = hashlib.sha256(f"table\0{table}\0".encode())
        for paths in self._as_texts().texts():
            for path in paths:
                _digest_file(digest, path, self.path.parent / path)
        return digest.hexdigest()

    def _as_texts(self) -> TextFile:
        return TextFile(self.path, self.image_column, self.label_column, OPTIONS)

    def _holds_bytes(self) -> bool:
        dataset = open_file(self.path, self.image_column)
        kind = type_of(dataset, self.path, self.image_column, OPTIONS)
        if pa.types.is_dictionary(kind):
            kind = kind.value_type
        if pa.types.is_struct(kind) and kind.get_field_index("bytes") >= 0:
            kind = kind.field("bytes").type
        if pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            return True
        if pa.types.is_string(kind) or pa.types.is_large_string(kind):
            return False
        raise UsageError(
            f"the column {self.image_column!r} of {self.path} holds {kind}, no images; name with "
            "--data.image a column of paths, of bytes or of structs with bytes"
        )

    def _contents(self) -> Iterator[list[bytes | None]]:
        """One row group after the other: a reader over all of them keeps the earlier ones in memory."""
        try:
            with pa.parquet.ParquetFile(self.path) as file:
                struct = pa.types.is_struct(file.schema_arrow.field(self.image_column).type)
                column = f"{self.image_column}.bytes" if struct else self.image_column
                for group in range(file.num_row_groups):
                    for batch in file.iter_batches(ROWS_A_READ, row_groups=[group], columns=[column]):
                        values = batch.column(0)
                        yield (values.field("bytes") if struct else values).to_pylist()
        except (pa.ArrowInvalid, OSError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(f"{self.path} cannot be read as PARQUET: {reason}; copy it again") from error


def _files_below(folder: Path) -> list[Path]:
    def refuse(error: OSError) -> None:
        raise DataError(
            f"the folder {error.filename} cannot be read ({error.strerror}); make it readable or move it away"
        ) from error

    found = []
    for parent, folders, files in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not name.startswith(".")]
        found += [Path(parent, name) for name in files if not name.startswith(".")]
    return sorted(found)


def _is_image(name: str) -> bool:
    return name.lower().endswith(SUFFIXES) and not name.startswith(".")


def _file_source(path: Path, name: str) -> ImageSource:
    return ImageSource(name, partial(read_image, path, name))


def read_image(path: Path, name: str) -> bytes:
    """The bytes of a file. Raises DataError, which names it, where it cannot be read."""
    try:
        return path.read_bytes()
    except OSError as error:
        raise _unread(name, error) from error


def _unread(name: str, error: OSError) -> DataError:
    if isinstance(error, FileNotFoundError):
        return DataError(f"there is no {name}; correct the path")
    return DataError(f"{name} cannot be read ({error.strerror}); {WAY_OUT}")


def _present(content: bytes | None, path: Path, row: int) -> bytes:
    if content is None:
        raise DataError(_without_image(path, row))
    return content


def _without_image(path: Path, row: int) -> str:
    return f"{path}: row {row} has no image; {WAY_OUT}"


def _digest_file(digest: "hashlib._Hash", name: str, path: Path) -> None:
    """A missing file counts as missing: whether that is allowed is said when it is decoded."""
    try:
        with path.open("rb") as file:
            digest.update(f"{name}\0{path.stat().st_size}\0".encode("utf-8", "surrogateescape"))
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError:
        digest.update(f"{name}\0missing\0".encode("utf-8", "surrogateescape"))
