from pathlib import Path

import pytest
from tests.helpers import write_csv, write_jsonl, write_parquet

from glassformer.data.files import TextFile
from glassformer.errors import DataError, UsageError

ROWS = [('with, comma and "quotes"', "good"), ("two\nlines", "bad"), ("", "good"), ("ünïcode ✓", "bad")]


def _texts(file: TextFile) -> list[str]:
    return [text for batch in file.texts() for text in batch]


@pytest.mark.parametrize("kind", ["csv", "jsonl", "parquet"])
def test_every_format_gives_the_same_rows(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"rows.{kind}"
    if kind == "csv":
        write_csv(path, ROWS)
    elif kind == "jsonl":
        write_jsonl(path, ROWS)
    else:
        write_parquet(path, [text for text, _ in ROWS], [label for _, label in ROWS])  # type: ignore[misc]
    file = TextFile(path)
    assert _texts(file) == [text for text, _ in ROWS]
    assert file.labels() == [label for _, label in ROWS]


def test_numbers_are_words(tmp_path: Path) -> None:
    assert TextFile(write_csv(tmp_path / "a.csv", [("x", 1), ("y", 0)])).labels() == ["1", "0"]
    assert TextFile(write_csv(tmp_path / "b.csv", [("x", 1.0), ("y", 0.5)])).labels() == ["1", "0.5"]


def test_other_columns_and_order(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("good", "x"), ("bad", "y")], header=("mood", "body"))
    file = TextFile(path, text="body", label="mood")
    assert _texts(file) == ["x", "y"]
    assert file.labels() == ["good", "bad"]


def test_a_long_file_comes_in_batches(tmp_path: Path) -> None:
    path = write_parquet(
        tmp_path / "a.parquet", [f"text {i}" for i in range(9001)], [i % 2 for i in range(9001)]
    )
    batches = list(TextFile(path).texts())
    assert len(batches) > 1
    assert sum(map(len, batches)) == 9001


def test_checksum_sees_content_and_columns(tmp_path: Path) -> None:
    one = TextFile(write_csv(tmp_path / "a.csv", [("x", 1)])).checksum()
    other = TextFile(write_csv(tmp_path / "b.csv", [("x", 2)])).checksum()
    assert one != other
    assert one != TextFile(tmp_path / "a.csv", text="label", label="text").checksum()


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"there is no file .*nowhere\.csv"):
        TextFile(tmp_path / "nowhere.csv").labels()


def test_unknown_format(tmp_path: Path) -> None:
    (tmp_path / "a.xlsx").write_bytes(b"x")
    with pytest.raises(UsageError, match=r"ends in '\.xlsx'; give a file ending in \.csv"):
        TextFile(tmp_path / "a.xlsx").labels()


def test_missing_column_names_the_nearest(tmp_path: Path) -> None:
    path = write_csv(tmp_path / "a.csv", [("x", 1)], header=("text", "labels"))
    with pytest.raises(UsageError, match=r"no column 'label'.*did you mean labels\? Known: text, labels"):
        TextFile(path).labels()


@pytest.mark.parametrize("content", [b"", b"text,label\n"])
@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_empty_file(tmp_path: Path, content: bytes, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    path.write_bytes(b"" if kind == "jsonl" else content)
    with pytest.raises(DataError, match=r"is empty|has no rows"):
        TextFile(path).labels()


@pytest.mark.parametrize("kind", ["csv", "jsonl"])
def test_wrong_encoding(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    row = "caf\xe9,1" if kind == "csv" else '{"text": "caf\xe9", "label": "1"}'
    path.write_bytes(("text,label\n" if kind == "csv" else "").encode() + row.encode("latin-1") + b"\n")
    line = 2 if kind == "csv" else 1
    with pytest.raises(DataError, match=rf"is not UTF-8 text \(line {line}\); save it again as UTF-8"):
        list(TextFile(path).texts())


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is a folder; give a file"):
        TextFile(tmp_path).labels()


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_semicolons_where_the_first_line_has_these_alone(tmp_path: Path, mark: bytes) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(mark + b'text;label\n"a, b; c";1\nd,e;2\n')
    assert [text for batch in TextFile(path).texts() for text in batch] == ["a, b; c", "d,e"]
    assert TextFile(path).labels() == ["1", "2"]
    path.write_text("text,label;s\na;b,1\n")
    assert [text for batch in TextFile(path).texts() for text in batch] == ["a;b"]


@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_one_json_array_is_no_json_lines(tmp_path: Path, mark: bytes) -> None:
    (tmp_path / "a.json").write_bytes(mark + b' [{"text": "a", "label": 1}]')
    with pytest.raises(DataError, match="is one JSON array; give one object a line"):
        TextFile(tmp_path / "a.json").labels()


def test_a_broken_file_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "a.parquet").write_bytes(b"not parquet at all")
    with pytest.raises(DataError, match="cannot be read as PARQUET") as error:
        TextFile(tmp_path / "a.parquet").labels()
    assert "\n" not in str(error.value)


def test_a_row_without_label(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="row 2 has no 'label'"):
        TextFile(write_csv(tmp_path / "a.csv", [("x", "good"), ("y", "")])).labels()
