"""What a submission says before any of it runs: where each target is, whether it is a TODO, whose it is."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from glassformer.checking.constructions import CONFIGURATIONS
from glassformer.checking.names import size_role
from glassformer.checking.targets import KIB, TooLarge, target
from glassformer.errors import UsageError
from glassformer.exercises.sheets import Criterion, Sheet
from glassformer.exercises.skeletons import Definition, left_open
from glassformer.exercises.tracing import File, Trace

CODE_BYTES_IN_ALL = 256 * KIB
UNPARSED = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class Found:
    """A class or function in a file of a submission. files: all of them, its tests too."""

    file: File
    name: str
    node: Definition
    files: tuple[File, ...]

    @property
    def path(self) -> str:
        return self.file.path

    @cached_property
    def is_open(self) -> bool:
        try:
            return left_open(self.node)
        except RecursionError:
            return False

    @property
    def takes_heads(self) -> bool:
        """Whether its constructor lets a number of heads be given, by name or in a configuration."""
        made = next((each for each in _methods(self.node) if each.name == "__init__"), None)
        if made is None:
            return True
        names = [each.arg for each in (*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs)]
        whole = made.args.kwarg is not None or any(name.lower() in CONFIGURATIONS for name in names)
        return whole or "heads" in [size_role(name) for name in names]

    @cached_property
    def uses(self) -> Trace:
        """What it uses of the submission's files, and whether any of that is attention of somebody else's."""
        return Trace(self.files).follow(self.file, self.name)


@dataclass(frozen=True)
class Reading:
    """unread: path -> why its text is not Python. names: what is defined anywhere."""

    found: tuple[Found, ...]
    unread: dict[str, str]

    def of(self, criterion: Criterion, sheet: Sheet) -> list[Found]:
        """Where it may be, the likeliest first: by its own name in the file of the sheet, then elsewhere."""
        for wanted in (criterion.target, *criterion.also):
            fitting = [each for each in self.found if _bare(each.name) == _bare(wanted)]
            if fitting:
                return sorted(
                    fitting, key=lambda each: (Path(each.path).name not in sheet.files, each.path.count("/"))
                )
        return []

    @property
    def names(self) -> list[str]:
        return sorted({each.name for each in self.found if not each.name.startswith("_")})


def read(folder: Path) -> Reading:
    """Reads the Python files and notebooks beneath a folder; in its tests is nothing that was asked for."""
    files: list[File] = []
    left = CODE_BYTES_IN_ALL
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".py", ".ipynb") or not path.is_file():
            continue
        short = path.relative_to(folder).as_posix()
        try:
            aim = target(str(path), left)
            left -= aim.size
            files.append(File(short, ast.parse(aim.text)))
        except TooLarge:
            why = f"{short} is not read: the code is more than {CODE_BYTES_IN_ALL // KIB} KiB in all"
            files.append(File(short, why=why))
        except UsageError as error:
            bare = path.name == "__init__.py" and not path.read_bytes().strip()
            files.append(File(short, why="" if bare else str(error).replace(str(path), short)))
        except SyntaxError as error:
            files.append(File(short, why=f"{short}, line {error.lineno or 1}: {error.msg}"))
        except UNPARSED as error:
            files.append(File(short, why=f"{short} cannot be read as Python: {type(error).__name__}"))
    asked = [each for each in files if not _is_test(Path(each.path))]
    found = [
        Found(each, name, definition, tuple(files))
        for each in asked
        for name, nodes in each.defined.items()
        for definition in _last(nodes)
    ]
    return Reading(tuple(found), {each.path: each.why for each in asked if each.why})


def _last(nodes: list[ast.AST]) -> list[Definition]:
    """Of several definitions of one name the last, which is probably the one that holds."""
    return [each for each in nodes if isinstance(each, (ast.ClassDef, ast.FunctionDef))][-1:]


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name.endswith("_test.py") or path.name == "conftest.py"


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def _methods(node: Definition) -> Iterator[ast.FunctionDef]:
    yield from (each for each in getattr(node, "body", ()) if isinstance(each, ast.FunctionDef))
