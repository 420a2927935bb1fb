"""What is handed in is read as data, whatever it is."""

import ast
import io
import json
import os
import stat
import zipfile
from pathlib import Path

import pytest

from glassformer.errors import DataError
from glassformer.exercises import reading, submissions
from glassformer.exercises.marking import mark
from glassformer.exercises.sheets import SHEETS
from glassformer.exercises.submissions import Submission, of_class, read


def zipped(path: Path, entries: dict[str, str | bytes]) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, data in entries.items():
            file.writestr(name, data)
    return path


def test_a_folder_and_a_zip_of_it_are_the_same(tmp_path: Path) -> None:
    folder = tmp_path / "ada"
    for name in ("a.py", "deep/b.ipynb", "notes.txt", "__pycache__/c.py", ".venv/d.py"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(name)
    entries: dict[str, str | bytes] = {"a.py": "a.py", "deep/b.ipynb": "deep/b.ipynb", "__MACOSX/._a.py": "x"}
    one, two = read(folder), read(zipped(tmp_path / "ada.zip", entries))
    assert one.files == two.files == {"a.py": b"a.py", "deep/b.ipynb": b"deep/b.ipynb"}
    assert one.digest == two.digest
    with one.unpacked() as made:
        assert (made / "deep" / "b.ipynb").read_text() == "deep/b.ipynb"
    assert not made.exists()


@pytest.mark.parametrize(
    "name", ["../a.py", "/etc/a.py", "x/../../a.py", "C:/a.py", "..\\a.py", "a\n.py", "x/" * 20]
)
def test_a_zip_that_leads_out_is_refused(tmp_path: Path, name: str) -> None:
    found = read(zipped(tmp_path / "bad.zip", {"good.py": "", name + "b.py": ""}))
    assert "leads out of it" in found.broken
    assert not found.files


def test_a_link_in_a_zip_is_refused(tmp_path: Path) -> None:
    link = zipfile.ZipInfo("a.py")
    link.external_attr = (stat.S_IFLNK | 0o777) << 16
    with zipfile.ZipFile(tmp_path / "link.zip", "w") as file:
        file.writestr(link, "/etc/passwd")
    assert "a link" in read(tmp_path / "link.zip").broken


def test_bombs_are_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zeros = bytes(submissions.FILE_BYTES + 1)
    assert "larger than" in read(zipped(tmp_path / "one.zip", {"a.py": zeros})).broken
    assert read(zipped(tmp_path / "data.zip", {"data.bin": zeros, "a.py": "x"})).files == {"a.py": b"x"}
    many = read(zipped(tmp_path / "many.zip", {f"{n}.py": "" for n in range(submissions.CODE_FILES + 1)}))
    assert "more than" in many.broken
    monkeypatch.setattr(submissions, "ENTRIES", 5)
    assert "more than 5" in read(zipped(tmp_path / "entries.zip", {f"{n}.txt": "" for n in range(6)})).broken


def test_a_list_of_files_without_end_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(submissions, "ENTRIES", 5)
    path = zipped(tmp_path / "entries.zip", {f"{n}.txt": "" for n in range(6)})
    monkeypatch.setattr(zipfile, "ZipFile", None)
    assert "more than 5" in read(path).broken


def test_a_zip_packed_otherwise_is_not_opened(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "x.zip", "w", zipfile.ZIP_LZMA) as file:
        file.writestr("a.py", "x = 1")
    assert "packed in a way" in read(tmp_path / "x.zip").broken


@pytest.mark.parametrize("names", [("a.py", "a.py/b.py"), ("A.py/c.py", "a.py"), ("a.py", "A.PY")])
def test_a_file_that_is_a_folder_too_is_refused(tmp_path: Path, names: tuple[str, str]) -> None:
    assert "holds" in read(zipped(tmp_path / "both.zip", dict.fromkeys(names, ""))).broken


def test_a_name_that_no_system_takes_costs_one_submission() -> None:
    marks = mark(SHEETS["positions"], Submission("eve", {"x" * 300 + ".py": b"x = 1"}))
    assert (marks.got, marks.word) == (0, "error")
    assert "cannot be unpacked" in marks.marks[0].message


def test_all_code_together_has_a_limit(tmp_path: Path) -> None:
    for name in ("a", "b"):
        (tmp_path / f"{name}.py").write_text(f"def {name}(): pass\n" + "#" * (reading.CODE_BYTES_IN_ALL // 2))
    found = reading.read(tmp_path)
    assert found.names == ["a"]
    assert found.unread == {"b.py": "b.py is not read: the code is more than 256 KiB in all"}


def test_work_in_notebooks_counts_and_nothing_beyond_the_limit_is_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    work = "work(" + "1," * (reading.CODE_BYTES_IN_ALL // 6) + ")"
    for name in "abcd":
        cells = [{"cell_type": "code", "source": work}]
        (tmp_path / f"{name}.ipynb").write_text(json.dumps({"cells": cells}))
    (tmp_path / "z.py").write_text("def z(): pass\n")
    parsed: list[str] = []
    with monkeypatch.context() as patched:
        patched.setattr(ast, "parse", lambda text, parse=ast.parse: parsed.append(text) or parse(text))
        found = reading.read(tmp_path)
    assert list(found.unread) == ["c.ipynb", "d.ipynb"]
    assert sum(len(text) > len(work) // 2 for text in parsed) == 2 * 2
    assert found.names == ["z"]


def test_a_package_that_holds_only_blank_lines_is_read(tmp_path: Path) -> None:
    (tmp_path / "__init__.py").write_text("\n" * 12)
    assert not reading.read(tmp_path).unread


def test_this_folder_has_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "ada").mkdir()
    monkeypatch.chdir(tmp_path / "ada")
    assert read(Path()).name == "ada"
    assert read(Path("..")).name == tmp_path.name


def test_what_is_no_zip_says_so(tmp_path: Path) -> None:
    (tmp_path / "a.zip").write_bytes(b"PK\3\4 nothing")
    assert "no zip that can be read" in read(tmp_path / "a.zip").broken
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        file.writestr("a.py", "x = 1\n" * 100)
    damaged = bytearray(buffer.getvalue())
    damaged[60] ^= 0xFF
    (tmp_path / "b.zip").write_bytes(damaged)
    assert read(tmp_path / "b.zip").broken


@pytest.mark.skipif(os.name != "posix", reason="links and pipes as POSIX has them")
def test_links_and_pipes_in_a_folder_are_passed_over(tmp_path: Path) -> None:
    (tmp_path / "secret.py").write_text("secret")
    folder = tmp_path / "class" / "eve"
    folder.mkdir(parents=True)
    (folder / "link.py").symlink_to(tmp_path / "secret.py")
    (folder / "all").symlink_to(tmp_path)
    os.mkfifo(folder / "pipe.py")
    assert read(folder).files == {}
    (tmp_path / "class" / "mallory").symlink_to(tmp_path)
    assert [path.name for path in of_class(tmp_path / "class")] == ["eve"]


def test_a_class_without_submissions(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no submissions"):
        of_class(tmp_path)
