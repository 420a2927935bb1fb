"""What a check is pointed at: a Python file, a notebook or a module. Nothing of it runs here."""

import ast
import json
import re
import sys
import unicodedata
from dataclasses import dataclass
from functools import cached_property
from importlib.machinery import PathFinder
from pathlib import Path

from glassformer.errors import UsageError

KIB = 1024
CODE_BYTES, NOTEBOOK_BYTES = 512 * KIB, 20 * KIB * KIB
"""Parsing takes up to 900 times the memory of a text. A notebook may hold images besides its code."""
PLAIN_CALLS = ("torch", "nn", "np", "numpy", "math", "F")
"""Calls of these libraries may stand at the top of a notebook; anything else is work and is left out."""
OF_IPYTHON = re.compile(r"\s*[%!?]|\s*[\w.]+\?\??\s*$|\s*[\w, ]+=\s*[%!]")
"""A command to IPython: `%matplotlib inline`, `!ls`, `attention?`, `files = !ls`."""


class TooLarge(UsageError):
    """More code than is read."""


@dataclass(frozen=True)
class Target:
    """The text to check, before it is run.

    name: the class or function asked for. module: dotted name, where it is to be imported. paths: folders
    that it may import from. cells: of a notebook, the number of each cell of code and the line it starts on.
    left_out: how many statements of a notebook do work and do not run. size: bytes of code, these too.
    """

    said: str
    text: str
    filename: str
    name: str | None = None
    module: str | None = None
    paths: tuple[str, ...] = ()
    cells: tuple[tuple[int, int], ...] = ()
    left_out: int = 0
    size: int = 0

    def place(self, line: int) -> str:
        """A line in words: "line 12", or "cell 3, line 2" where cells are counted from 1."""
        earlier = [each for each in self.cells if each[1] <= line]
        if not earlier:
            return f"line {line}"
        number, start = earlier[-1]
        return f"cell {number}, line {line - start + 1}"

    @cached_property
    def defined(self) -> tuple[str, ...]:
        """The classes and functions at the top of it, and names given to something else."""
        try:
            body = ast.parse(self.text).body
        except (SyntaxError, ValueError):
            return ()
        found = []
        for node in body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found.append(node.name)
            elif isinstance(node, ast.Assign):
                found += [each.id for each in node.targets if isinstance(each, ast.Name)]
        return tuple(dict.fromkeys(found))


def target(said: str, limit: int = CODE_BYTES) -> Target:
    """Reads PATH, PATH:NAME or package.module:NAME; UsageError where there is no such thing.

    limit: bytes of code in a file; nothing is parsed where there are more.
    """
    place, name = _split(said)
    said, path = f"{place}:{name}" if name else place, _path(place)
    if path.suffix in (".py", ".ipynb") or path.exists() or "/" in place or "\\" in place:
        return _of_file(said, path, name, limit)
    if not re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", place):
        raise UsageError(
            f"{place!r} is neither a file nor a module; give FILE.py, FILE.ipynb or package.module:Name"
        )
    return _of_module(said, place, name)


def _split(said: str) -> tuple[str, str | None]:
    place, colon, name = said.rpartition(":")
    name = unicodedata.normalize("NFKC", name)  # as Python reads names, however accents were typed
    if not colon or Path(said).exists() or not re.fullmatch(r"\w*", name) or len(place) == 1:
        return said, None
    if not name:
        raise UsageError(f"{said!r} ends in a colon; give the name of a class or function after it")
    return place, name


def _path(place: str) -> Path:
    """Accents may be signs of their own or part of the letter: as the file has them, if there is one."""
    forms = [place, *(unicodedata.normalize(form, place) for form in ("NFC", "NFD"))]
    return next((path for path in map(Path, forms) if path.exists()), Path(place))


def _of_file(said: str, path: Path, name: str | None, limit: int) -> Target:
    if path.is_dir():
        raise UsageError(f"{path} is a folder; give one file of it, or grade it with glassformer grade")
    if not path.exists():
        raise UsageError(f"there is no file {path}")
    if path.suffix not in (".py", ".ipynb"):
        raise UsageError(
            f"{path} is neither a Python file nor a notebook; give one that ends in .py or .ipynb"
        )
    text = _text(path, limit if path.suffix == ".py" else NOTEBOOK_BYTES)
    folder = (str(path.resolve().parent),)
    if path.suffix == ".py":
        if not text.strip():
            raise UsageError(f"{path} is empty")
        return Target(said, text, path.name, name, paths=folder, size=_size(text))
    code, cells = _notebook(path, text, limit)
    kept, left_out = _without_work(code)
    return Target(
        said, kept, path.name, name, paths=folder, cells=cells, left_out=left_out, size=_size(code)
    )  # fmt: skip


def _size(text: str) -> int:
    return len(text.encode(errors="replace"))


def _text(path: Path, limit: int) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(limit + 1)
        if len(data) > limit:
            raise TooLarge(f"{path} is larger than {limit // KIB} KiB; give a file with less in it")
        return data.decode("utf-8-sig").replace("\r\n", "\n").replace("\r", "\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 text (byte {error.start}); save it as UTF-8") from None
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror}") from None


def _notebook(path: Path, text: str, limit: int) -> tuple[str, tuple[tuple[int, int], ...]]:
    """The code of the cells, one after the other, and where each begins."""
    try:
        cells = json.loads(text)["cells"]
        codes = [
            (number, "".join(each["source"]).replace("\r\n", "\n"))
            for number, each in enumerate(cells, 1)
            if each["cell_type"] == "code"
        ]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise UsageError(
            f"{path} is no notebook that can be read (version 4 of the format is needed)"
        ) from None
    codes = [each for each in codes if not each[1].lstrip().startswith("%%")]  # another language, or timing
    if sum(_size(code) + 2 for _, code in codes) > limit:
        raise TooLarge(f"{path} holds more than {limit // KIB} KiB of code; give less of it")
    lines: list[str] = []
    starts = []
    for number, code in codes:
        starts.append((number, len(lines) + 1))
        python = _is_python(code)
        lines += [line if python or not OF_IPYTHON.match(line) else "" for line in code.split("\n")]
        lines.append("")
    if not any(line.strip() for line in lines):
        raise UsageError(f"{path} has no code; give a notebook with a class or function in it")
    return "\n".join(lines) + "\n", tuple(starts)


def _is_python(code: str) -> bool:
    try:
        ast.parse(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return False
    return True


def _without_work(code: str) -> tuple[str, int]:
    """A notebook trains and draws at its top: only imports, definitions and plain values are kept.

    What goes becomes a `pass`, so that lines keep their numbers and the rest of a line (`import a; work()`)
    stays.
    """
    try:
        body = ast.parse(code).body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return code, 0  # shown when it is run, as Python shows it
    lines = [line.encode() for line in code.split("\n")]
    left_out = 0
    for node in body:
        if isinstance(node, (ast.Import, ast.ImportFrom, ast.ClassDef, ast.FunctionDef)) or _is_plain(node):
            continue
        left_out += 1
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        first, last = node.lineno - 1, node.end_lineno - 1
        after = b"pass" + lines[last][node.end_col_offset :]
        for number in range(first + 1, last + 1):
            lines[number] = b""
        before = lines[first][: node.col_offset]
        lines[first] = before
        lines[last] = before + after if first == last else after
    return b"\n".join(lines).decode(), left_out


def _is_plain(node: ast.stmt) -> bool:
    if not isinstance(node, (ast.Assign, ast.AnnAssign)):
        return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
    calls = [each for each in ast.walk(node) if isinstance(each, ast.Call)]
    return all(_root(each.func) in PLAIN_CALLS and "load" not in ast.unparse(each.func) for each in calls)


def _root(node: ast.expr) -> str:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node.id if isinstance(node, ast.Name) else ""


def _of_module(said: str, module: str, name: str | None) -> Target:
    """Finds the file of a module without importing it or what it lies in."""
    locations = [str(Path.cwd()), *sys.path]
    root: str | None = None
    origin: str | None = None
    parts = module.split(".")
    for depth in range(len(parts)):
        so_far = ".".join(parts[: depth + 1])
        try:
            spec = PathFinder.find_spec(so_far, locations)
        except (ImportError, ValueError):
            spec = None
        if spec is None:
            hint = f"; did you mean the file {module}.py?" if Path(f"{module}.py").exists() else ""
            raise UsageError(
                f"there is no module {so_far!r} in {Path.cwd()} or among what is installed{hint}"
            )
        origin = spec.origin
        inside = list(spec.submodule_search_locations or ())
        if root is None:
            first = Path(inside[0] if inside else origin or "")
            root = str(first.resolve().parent)
        if not inside and depth + 1 < len(parts):
            raise UsageError(
                f"{so_far!r} is a module and has no {parts[depth + 1]!r} in it; name a class after a colon"
            )
        locations = inside
    if origin is None or not origin.endswith(".py"):
        raise UsageError(f"{module} has no source to check; give a module that is written in Python")
    assert root is not None
    return Target(said, _text(Path(origin), CODE_BYTES), Path(origin).name, name, module, (root,))
