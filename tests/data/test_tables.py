"""Tables of numbers: what is read, what the built-in ones hold, and the line for whatever cannot be used."""

from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from glassformer.data.tables import balanced, load_table, read_table
from glassformer.errors import DataError, UsageError

GOOD = ["size,age,mood", *(f"{i},{i % 3}.5,{('bad', 'good')[i % 2]}" for i in range(12))]


def written(path: Path, lines: list[str]) -> Path:
    path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return path


def good(tmp_path: Path) -> Path:
    return written(tmp_path / "a.csv", GOOD)


def with_cell(tmp_path: Path, cell: str) -> Path:
    """The third row has `cell` for its age."""
    return written(tmp_path / "a.csv", [*GOOD[:3], f"2,{cell},bad", *GOOD[4:]])


# --- built in ---------------------------------------------------------------------------------------------


def test_digits_parity_is_odd_against_even_and_balanced() -> None:
    from sklearn.datasets import load_digits

    table = load_table("digits-parity", None)
    X, digits = load_digits(return_X_y=True)
    assert table.counts == [891, 906]
    assert table.class_names == ["even", "odd"]
    assert (table.labels == digits % 2).all()
    assert table.features.shape == (1797, 61)
    column = table.feature_names.index("pixel_2_4")
    assert (table.features[:, column] == X[:, 2 * 8 + 4]).all()
    assert table.notes == ("left out pixel_0_0, pixel_4_0, pixel_4_7: the same in every row",)
    assert "even or odd" in table.about.replace("even (0, 2, 4, 6, 8) or odd", "even or odd")


def test_breast_cancer_is_what_it_is() -> None:
    table = load_table("breast-cancer", None)
    assert dict(zip(table.class_names, table.counts, strict=True)) == {"malignant": 212, "benign": 357}
    assert table.features.shape == (569, 30)
    assert not table.notes


def test_columns_of_a_built_in_table_can_be_ignored() -> None:
    table = load_table("breast-cancer", None, ["mean radius"])
    assert table.features.shape == (569, 29)
    assert "mean radius" not in table.feature_names
    with pytest.raises(UsageError, match="has no column 'mean radus'; did you mean mean radius"):
        load_table("breast-cancer", None, ["mean radus"])
    with pytest.raises(UsageError, match="--ignore leaves no feature of breast-cancer"):
        load_table("breast-cancer", None, load_table("breast-cancer", None).feature_names)


# --- files ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["csv", "tsv", "jsonl", "parquet"])
def test_every_format_gives_the_same_table(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    rows = [line.split(",") for line in GOOD[1:]]
    if kind == "jsonl":
        lines = [f'{{"size": {size}, "age": {age}, "mood": "{mood}"}}' for size, age, mood in rows]
        written(path, lines)
    elif kind == "parquet":
        columns = {"size": [int(r[0]) for r in rows], "age": [float(r[1]) for r in rows]}
        pa.parquet.write_table(pa.table({**columns, "mood": [r[2] for r in rows]}), path)
    else:
        written(path, [line.replace(",", "\t" if kind == "tsv" else ",") for line in GOOD])
    table = load_table(str(path), "mood")
    assert (table.name, table.feature_names, table.class_names) == ("a", ["size", "age"], ["bad", "good"])
    assert table.features.dtype == np.float64
    assert table.features.tolist() == [[float(size), float(age)] for size, age, _ in rows]
    assert table.labels.tolist() == [i % 2 for i in range(12)]


def test_a_target_of_numbers_and_columns_that_are_ignored(tmp_path: Path) -> None:
    path = written(tmp_path / "a.csv", ["id,x,y", *(f"row {i},{i},{i % 2}.0" for i in range(10))])
    table = read_table(path, "y", ["id"])
    assert (table.feature_names, table.class_names) == (["x"], ["0", "1"])


def test_numbers_are_read_as_a_person_writes_them(tmp_path: Path) -> None:
    assert read_table(with_cell(tmp_path, " -1e3 "), "mood").features[2, 1] == -1000


@pytest.mark.parametrize(
    ("target", "ignore", "message"),
    [
        (None, [], r"needs --target COLUMN, the column of its label; it has size, age, mood"),
        ("moood", [], r"has no column 'moood'; did you mean mood\?"),
        ("mood", ["agee"], r"has no column 'agee'; did you mean age\?"),
        ("mood", ["mood"], r"--ignore 'mood' is the --target, which cannot be left out"),
    ],
)
def test_columns_that_are_not_there(tmp_path: Path, target, ignore, message) -> None:
    with pytest.raises(UsageError, match=message):
        read_table(good(tmp_path), target, ignore)


def test_names_that_are_neither_a_data_set_nor_a_file(tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=r"no data set and no file 'digit-parity'; did you mean digits-parity"
    ):
        load_table("digit-parity", None)
    with pytest.raises(UsageError, match=r"there is no file .*nowhere\.csv"):
        load_table(str(tmp_path / "nowhere.csv"), "y")
    with pytest.raises(UsageError, match=r"ends in '\.xlsx'"):
        load_table(str(written(tmp_path / "a.xlsx", GOOD)), "y")
    with pytest.raises(
        UsageError, match="--target 'y' names a column of a file, and digits-parity has its own"
    ):
        load_table("digits-parity", "y")


@pytest.mark.parametrize(
    ("cell", "message"),
    [
        (
            "",
            "row 3 has no value in 'age'; fill it in, leave out such rows, or leave the column out with",
        ),
        ("NA", "row 3 has no value in 'age'"),
        ("nan", "row 3 has no value in 'age'"),
        ("?", "row 3 has no value in 'age'"),
        ("old", r"row 3 of 'age' is 'old', which is no number; write numbers, or leave .* --ignore age$"),
        ("1_5", "row 3 of 'age' is '1_5', which is no number"),
        ("2026-11-25", "row 3 of 'age' is '2026-11-25', which is no number"),
        ("inf", "row 3 of 'age' is inf, too large to compute with"),
        ("-1e200", "row 3 of 'age' is -1e200, too large to compute with; correct it"),
    ],
)
def test_a_cell_that_is_no_number(tmp_path: Path, cell: str, message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        read_table(with_cell(tmp_path, cell), "mood")
    assert "\n" not in str(error.value)


def test_missing_numbers_of_typed_files(tmp_path: Path) -> None:
    moods = ["bad", "good"] * 5
    for value in (None, float("nan")):
        ages = [1.0, 2.0, value, *range(7)]
        pa.parquet.write_table(pa.table({"age": ages, "mood": moods}), tmp_path / "a.parquet")
        with pytest.raises(DataError, match="row 3 has no value in 'age'"):
            read_table(tmp_path / "a.parquet", "mood")


def test_all_columns_of_text_are_named_at_once(tmp_path: Path) -> None:
    lines = ["home town,age,job,mood", *(f"Rome,{i},cook,{i % 2}" for i in range(10))]
    with pytest.raises(
        DataError, match=r"row 1 of 'home town' is 'Rome'.* --ignore 'home town' --ignore job$"
    ):
        read_table(written(tmp_path / "a.csv", lines), "mood")


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (["x,c,y", *(f"{i},3,{i % 2}" for i in range(10))],
         "'c' is 3 in every row and tells nothing; leave the column out with --ignore c"),
        (["x,y", *(f"{i},{i % 3}" for i in range(15))],
         r"the target 'y' has 3 classes \(0, 1, 2\), and two are compared here; keep the rows of two"),
        (["x,y", *(f"{i},{i}" for i in range(15))], r"has 15 classes \(0, 1, 2, 3, 4, \.\.\.\)"),
        (["x,y", *(f"{i},a" for i in range(15))], r"has one class only \('a'\)"),
        (["x,y", *(f"{i},{int(i > 3)}" for i in range(15))], "class '0' has 4 rows, too few to split 80/20"),
        (["x,y", *(f"{i},{i % 2 or ''}" for i in range(15))], "row 1 has no 'y'"),
        (["x,y"], "has no rows"),
        (["y", *("ab" * 6)], "has no column left beside the target 'y'"),
        (["x,x,y", *(f"{i},{i},{i % 2}" for i in range(15))], "multiple columns named x"),
        ([",x,y", *(f"{i},{i},{i % 2}" for i in range(15))], "column 1 has no name.*--ignore ''"),
        (["x,y", "1,2", "1,2,3"], "cannot be read as CSV"),
    ],
)  # fmt: skip
def test_a_file_that_cannot_be_used(tmp_path: Path, lines: list[str], message: str) -> None:
    with pytest.raises(DataError, match=message) as error:
        read_table(written(tmp_path / "a.csv", lines), "y")
    assert "\n" not in str(error.value)


def test_an_empty_file_and_one_in_another_encoding(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_bytes(b"")
    with pytest.raises(DataError, match="is empty"):
        read_table(tmp_path / "a.csv", "y")
    (tmp_path / "a.csv").write_bytes(("x,y\n" + "caf\xe9,1\n3,0\n" * 9).encode("latin-1"))
    with pytest.raises(DataError, match="is not UTF-8 text"):
        read_table(tmp_path / "a.csv", "y")


# --- balance ----------------------------------------------------------------------------------------------


def test_balance_draws_the_larger_class_down_by_the_seed() -> None:
    table = load_table("breast-cancer", None)
    even = balanced(table, seed=1)
    assert even.counts == [212, 212]
    assert even.notes == ("--balance left out 145 rows of benign, drawn by the seed",)
    assert (even.features == balanced(table, seed=1).features).all()
    assert (even.features != balanced(table, seed=2).features).any()
    rows = {row.tobytes() for row in table.features[table.labels == 0]}
    assert {row.tobytes() for row in even.features[even.labels == 0]} == rows, "the smaller class is whole"


def test_balance_says_where_there_is_nothing_to_do(tmp_path: Path) -> None:
    even = balanced(read_table(good(tmp_path), "mood"), seed=0)
    assert even.counts == [6, 6]
    assert even.notes == ("--balance left out no row: the classes are balanced as they are",)
