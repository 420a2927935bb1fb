"""Reads a text and a label column out of CSV, JSONL or Parquet, a batch of rows at a time.

A file is never read whole, so it may be larger than the memory.
"""

import hashlib
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.dataset
import pyarrow.json

from glassformer.errors import DataError, UsageError, nearest

FORMATS = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}
ROWS_A_READ = 4096


@dataclass(frozen=True)
class TextFile:
    """One file of labelled texts: where it is and which columns count."""

    path: Path
    text: str = "text"
    label: str = "label"
    options: tuple[str, str] = ("text", "label")
    """Of --data., which name the two columns."""

    def checksum(self) -> str:
        """SHA-256 of the file's bytes and the columns' names: what identifies its content in a cache."""
        digest = hashlib.sha256(f"{self.text}\0{self.label}\0".encode())
        with self.path.open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
        return digest.hexdigest()

    def texts(self) -> Iterator[list[str]]:
        """The texts, a list of some thousand rows at a time; an empty cell is an empty text."""
        for values in self._values(self.text):
            yield ["" if text is None else str(text) for text in values]

    def count_rows(self) -> int:
        """How many texts there are."""
        return open_file(self.path, self.text).count_rows()

    def labels(self) -> list[str]:
        """Every row's label as a word: 1, 1.0 and '1' are all '1'."""
        labels = [sys.intern(_as_word(value)) for values in self._values(self.label) for value in values]
        labels = ["" if label.lower() == "nan" else label for label in labels]
        if "" in labels:
            raise DataError(
                f"{self.path}: row {labels.index('') + 1} has no {self.label!r}; give every row a label"
            )
        if not labels:
            raise DataError(f"{self.path} has no rows; give a file with at least two rows")
        return labels

    def _values(self, column: str) -> Iterator[list[object]]:
        dataset = open_columns(self.path, [column], self.options)
        try:
            for batch in dataset.scanner(columns=[column], batch_size=ROWS_A_READ).to_batches():
                yield batch.column(0).to_pylist()
        except (pa.ArrowInvalid, UnicodeDecodeError) as error:
            raise unreadable(self.path, error) from error


def _as_word(value: object) -> str:
    word = "" if value is None else str(value).strip()
    whole, point, zeros = word.partition(".")
    return whole if point and not zeros.strip("0") and whole.lstrip("-").isdigit() else word


def open_file(path: Path, *texts: str) -> pyarrow.dataset.Dataset:
    """The rows of a file, not yet read. texts: columns that, in a CSV, are taken as texts whatever they hold.

    Raises UsageError where there is no such file, DataError where it is empty or broken.
    """
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give a file")
    if not path.is_file():
        raise UsageError(f"there is no file {path}; check the path")
    kind = FORMATS.get(path.suffix.lower())
    if kind is None:
        raise UsageError(f"{path} ends in {path.suffix!r}; give a file ending in {', '.join(FORMATS)}")
    if path.stat().st_size == 0:
        raise DataError(f"{path} is empty; give a file with at least two rows")
    file_format: pyarrow.dataset.FileFormat | str = kind
    if kind == "csv":
        # texts hold line breaks, and one review can be longer than the default block of 1 MiB
        file_format = pyarrow.dataset.CsvFileFormat(
            parse_options=pa.csv.ParseOptions(newlines_in_values=True, delimiter=_delimiter(path)),
            read_options=pa.csv.ReadOptions(block_size=1 << 24),
            # not guessed from the first rows: a number may turn into a word further down
            convert_options=pa.csv.ConvertOptions(
                column_types=dict.fromkeys(texts, pa.string()), strings_can_be_null=False
            ),
        )
    elif kind == "json":
        if _first_line(path).lstrip().startswith(b"["):
            raise DataError(f"{path} is one JSON array; give one object a line (JSON Lines)")
        file_format = pyarrow.dataset.JsonFileFormat(
            read_options=pa.json.ReadOptions(block_size=1 << 24),
            parse_options=pa.json.ParseOptions(newlines_in_values=False),
        )
    try:
        return pyarrow.dataset.dataset(path, format=file_format)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OSError, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error


def open_columns(path: Path, columns: Sequence[str], options: tuple[str, str]) -> pyarrow.dataset.Dataset:
    """`open_file`, where the file has these columns, each of words or numbers.

    options: of --data., which name the columns that count. Raises UsageError where one is not there, or holds
    bytes or lists; and what `open_file` raises.
    """
    dataset = open_file(path, *columns)
    for column in columns:
        kind = type_of(dataset, path, column, options)
        if pa.types.is_nested(kind) or pa.types.is_binary(kind) or pa.types.is_large_binary(kind):
            raise UsageError(
                f"the column {column!r} of {path} holds {kind}, no words; name another with "
                f"{_as_flags(options)}"
            )
    return dataset


def type_of(
    dataset: pyarrow.dataset.Dataset, path: Path, column: str, options: tuple[str, str]
) -> pa.DataType:
    """What a column holds. Raises UsageError where there is none of that name; see `open_columns`."""
    names = dataset.schema.names
    if column not in names:
        known = nearest(column, names)
        raise UsageError(f"{path} has no column {column!r}; name yours with {_as_flags(options)} ({known})")
    return dataset.schema.field(column).type


def _as_flags(options: tuple[str, str]) -> str:
    return " and ".join(f"--data.{option}" for option in options)


def _delimiter(path: Path) -> str:
    """Tabs in .tsv; else commas, or semicolons where the first line has these alone, as spreadsheets in
    countries with decimal commas write them.
    """
    if path.suffix.lower() == ".tsv":
        return "\t"
    header = _first_line(path)
    return ";" if b";" in header and b"," not in header else ","


def _first_line(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.readline(1 << 16).removeprefix(b"\xef\xbb\xbf")


def _first_line_not_utf8(path: Path) -> int | None:
    """Counted from 1; None where every line is."""
    with path.open("rb") as file:
        for number, line in enumerate(file, start=1):
            try:
                line.decode()
            except UnicodeDecodeError:
                return number
    return None


def unreadable(path: Path, error: Exception) -> DataError:
    """What to raise for what pyarrow says of a file."""
    # what stands before the last "Invalid: " says nothing more
    reason = str(error).strip().splitlines()[0].rpartition("Invalid: ")[2]
    with path.open("rb") as file:
        utf16 = file.read(2) in (b"\xff\xfe", b"\xfe\xff")
    if (
        utf16
        or "utf8" in reason.lower()
        or "utf-8" in reason.lower()
        or isinstance(error, UnicodeDecodeError)
    ):
        line = None if utf16 else _first_line_not_utf8(path)
        where = "" if line is None else f" (line {line:,})"
        return DataError(f"{path} is not UTF-8 text{where}; save it again as UTF-8")
    kind = FORMATS[path.suffix.lower()].upper()
    return DataError(f"{path} cannot be read as {kind}: {reason}; mend it, or save it again")
