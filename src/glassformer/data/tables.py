"""Tables of numbers with a label of two classes: two that come with scikit-learn, and the user's files."""

import math
import shlex
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
from jaxtyping import Float64, Int64

from glassformer.data.files import TextFile, open_file, unreadable
from glassformer.data.labels import class_names_of, number_labels
from glassformer.errors import DataError, UsageError, nearest

MISSING = {"", "na", "n/a", "nan", "null", "none", "?"}
"""What stands in a cell where there is no value, in small letters."""
LARGEST = 1e100
"""Numbers beyond this are refused: their squares no longer fit a float."""
ROWS_A_CLASS = 5
"""Fewer rows of a class cannot be split 80/20."""
CLASSES_SHOWN = 5


@dataclass(frozen=True)
class LabelledTable:
    """Numbers, a row an example, with a label of two classes."""

    name: str
    about: str
    """What a row, a feature and the label mean, in words."""
    features: Float64[np.ndarray, "rows features"]
    feature_names: list[str]
    labels: Int64[np.ndarray, " rows"]
    class_names: list[str]
    unit: str = ""
    """What the numbers count, where all features have one unit."""
    notes: tuple[str, ...] = ()

    @property
    def counts(self) -> list[int]:
        """Rows of either class."""
        return np.bincount(self.labels, minlength=2).tolist()


def load_table(data: str, target: str | None, ignore: Sequence[str] = ()) -> LabelledTable:
    """A table by the name in BUILT_IN, or a file's with `target` for its label, without the columns `ignore`.

    Raises UsageError for names that are not there, DataError for what is in a file and cannot be used.
    """
    if data in BUILT_IN:
        if target is not None:
            raise UsageError(
                f"--target {target!r} names a column of a file, and {data} has its own label; leave it out"
            )
        return _without(BUILT_IN[data](), ignore)
    path = Path(data)
    if not path.suffix and not path.exists():
        known = nearest(data, list(BUILT_IN))
        raise UsageError(f"there is no data set and no file {data!r}; {known}, or FILE with --target COLUMN")
    return read_table(path, target, ignore)


def digits_parity() -> LabelledTable:
    """Odd against even on the 1797 digits of 8x8 pixels of Alpaydin & Kaynak 1998."""
    from sklearn.datasets import load_digits

    found: Any = load_digits()
    return _without_constants(
        LabelledTable(
            name="digits-parity",
            about="a row is a handwritten digit scanned to 8x8 pixels (Alpaydin & Kaynak 1998), a feature "
            "the ink in one pixel, from 0 to 16 (pixel_2_4: third row from the top, fifth column), the label "
            "whether the digit is even (0, 2, 4, 6, 8) or odd (1, 3, 5, 7, 9)",
            features=found.data.astype(np.float64),
            feature_names=[str(name) for name in found.feature_names],
            labels=found.target.astype(np.int64) % 2,
            class_names=["even", "odd"],
            unit="ink, 0 to 16",
        )
    )


def breast_cancer() -> LabelledTable:
    """Malignant against benign on 569 breast masses of Street, Wolberg & Mangasarian 1993."""
    from sklearn.datasets import load_breast_cancer

    found: Any = load_breast_cancer()
    return _without_constants(
        LabelledTable(
            name="breast-cancer",
            about="a row is a sample of cells from a breast mass under the microscope (Street, Wolberg & "
            "Mangasarian 1993), a feature the mean, the standard error ('error') or the mean of the three "
            "largest ('worst') of a measure of its cell nuclei, such as radius, texture or concavity, the "
            "label whether the mass was malignant or benign",
            features=found.data.astype(np.float64),
            feature_names=[str(name) for name in found.feature_names],
            labels=found.target.astype(np.int64),
            class_names=["malignant", "benign"],
        )
    )


BUILT_IN: dict[str, Callable[[], LabelledTable]] = {
    "digits-parity": digits_parity,
    "breast-cancer": breast_cancer,
}


def read_table(path: Path, target: str | None, ignore: Sequence[str] = ()) -> LabelledTable:
    """The table in a CSV, TSV, JSONL or Parquet file: `target` is the label, every other column a number."""
    names = open_file(path).schema.names
    if target is None:
        raise UsageError(f"{path} needs --target COLUMN, the column of its label; it has {', '.join(names)}")
    for name in (target, *ignore):
        if name not in names:
            raise UsageError(f"{path} has no column {name!r}; {nearest(name, names)}")
    if target in ignore:
        raise UsageError(f"--ignore {target!r} is the --target, which cannot be left out; name other columns")
    feature_names = [name for name in names if name != target and name not in ignore]
    if not feature_names:
        raise DataError(f"{path} has no column left beside the target {target!r}; give at least one number")
    if "" in feature_names:
        raise DataError(
            f"{path}: column {names.index('') + 1} has no name, like the row numbers that some programs "
            "write; name it, or leave it out with --ignore ''"
        )
    words = TextFile(path, label=target).labels()
    class_names = _two_classes(words, path, target)
    columns = _read_columns(path, names, feature_names)
    return LabelledTable(
        name=path.stem,
        about=f"a row is a row of {path}, a feature one of its columns, the label its column {target!r}",
        features=_all_numbers(path, feature_names, columns),
        feature_names=feature_names,
        labels=number_labels(words, class_names, path),
        class_names=class_names,
    )


def balanced(table: LabelledTable, seed: int) -> LabelledTable:
    """As many rows of one class as of the other: those of the larger one are drawn by the seed."""
    generator = np.random.default_rng(seed)
    rows_of = [np.flatnonzero(table.labels == label) for label in (0, 1)]
    smaller = min(table.counts)
    kept = np.sort(np.concatenate([generator.permutation(rows)[:smaller] for rows in rows_of]))
    left_out = len(table.labels) - len(kept)
    larger = table.class_names[int(np.argmax(table.counts))]
    note = (
        f"--balance left out {left_out:,} rows of {larger}, drawn by the seed"
        if left_out
        else "--balance left out no row: the classes are balanced as they are"
    )
    return replace(
        table, features=table.features[kept], labels=table.labels[kept], notes=(*table.notes, note)
    )


def _two_classes(words: list[str], path: Path, target: str) -> list[str]:
    names = class_names_of(words, path, "rows")
    if len(names) > 2:
        shown = ", ".join(names[:CLASSES_SHOWN]) + (", ..." if len(names) > CLASSES_SHOWN else "")
        raise DataError(
            f"{path}: the target {target!r} has {len(names)} classes ({shown}), and two are compared here; "
            "keep the rows of two, or join some"
        )
    for name in names:
        if words.count(name) < ROWS_A_CLASS:
            raise DataError(
                f"{path}: the class {name!r} has {words.count(name)} rows, too few to split 80/20; "
                f"give every class at least {ROWS_A_CLASS}"
            )
    return names


def _read_columns(path: Path, names: Sequence[str], wanted: Sequence[str]) -> list[list[object]]:
    """The wanted columns; a CSV's as words, since what pyarrow takes for a date is no number either."""
    try:
        table = open_file(path, *names).to_table(columns=list(wanted))
    except (pa.ArrowInvalid, UnicodeDecodeError) as error:
        raise unreadable(path, error) from error
    return [column.to_pylist() for column in table.columns]


def _all_numbers(
    path: Path, names: Sequence[str], columns: Sequence[list[object]]
) -> Float64[np.ndarray, "rows features"]:
    """The columns side by side. Raises DataError for the first fault, with every column that has its kind.

    A file with ten columns of text would take ten tries otherwise.
    """
    features = np.array([[_as_number(value) for value in column] for column in columns]).T
    found = {
        name: _fault(name, column, numbers)
        for name, column, numbers in zip(names, columns, features.T, strict=True)
    }
    faults = {name: fault for name, fault in found.items() if fault}
    for fault in faults.values():
        alike = [name for name, other in faults.items() if other.way_out == fault.way_out]
        flags = " ".join(f"--ignore {shlex.quote(name)}" for name in alike)
        raise DataError(f"{path}: {fault.what}; {fault.way_out}leave the column out with {flags}")
    return features


class _Fault(NamedTuple):
    """What is wrong with a column, and what can be done beside leaving it out."""

    what: str
    way_out: str


def _fault(name: str, column: list[object], numbers: Float64[np.ndarray, " rows"]) -> _Fault | None:
    """The first fault of a column, None for a good one."""
    for row, (value, number) in enumerate(zip(column, numbers, strict=True), start=1):
        if abs(number) <= LARGEST:
            continue
        word = "" if value is None else str(value).strip()
        if word.lower() in MISSING:
            return _Fault(f"row {row} has no value in {name!r}", "fill it in, leave out such rows, or ")
        if math.isnan(number):
            return _Fault(f"row {row} of {name!r} is {word!r}, which is no number", "write numbers, or ")
        return _Fault(f"row {row} of {name!r} is {word}, too large to compute with", "correct it, or ")
    if numbers.min() == numbers.max():
        return _Fault(f"{name!r} is {numbers[0]:g} in every row and tells nothing", "")
    return None


def _as_number(value: object) -> float:
    """NaN for what is none. Python would take '1_000' for one."""
    if value is None or (isinstance(value, str) and "_" in value):
        return math.nan
    try:
        return float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        return math.nan


def _without(table: LabelledTable, ignore: Sequence[str]) -> LabelledTable:
    for name in ignore:
        if name not in table.feature_names:
            raise UsageError(f"{table.name} has no column {name!r}; {nearest(name, table.feature_names)}")
    kept = [number for number, name in enumerate(table.feature_names) if name not in ignore]
    if not kept:
        raise UsageError(f"--ignore leaves no feature of {table.name}; name fewer columns")
    return _columns(table, kept)


def _without_constants(table: LabelledTable) -> LabelledTable:
    """A data set known to have such columns loses them with a note."""
    varies = table.features.min(axis=0) < table.features.max(axis=0)
    if varies.all():
        return table
    constant = [name for name, kept in zip(table.feature_names, varies, strict=True) if not kept]
    note = f"left out {', '.join(constant)}: the same in every row"
    return replace(_columns(table, np.flatnonzero(varies).tolist()), notes=(*table.notes, note))


def _columns(table: LabelledTable, kept: list[int]) -> LabelledTable:
    return replace(
        table,
        features=table.features[:, kept],
        feature_names=[table.feature_names[number] for number in kept],
    )
