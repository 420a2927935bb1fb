"""glassformer exercise new SHEET DIR, glassformer exercise check DIR"""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from glassformer.commands.check import writable, write_json
from glassformer.commands.parsing import parse, require_seed
from glassformer.errors import UsageError
from glassformer.options import unset

if TYPE_CHECKING:
    from glassformer.exercises.sheets import Sheet

USAGE = """usage: glassformer exercise new SHEET DIR      write skeletons, a page and tests for a sheet
       glassformer exercise check DIR [options]   the points, and what is wrong with what

SHEET: A, B, C, D or E, or a theme: attention, positions, masks, blocks, vision, network.
glassformer exercise new --help and glassformer exercise check --help explain the options."""


@dataclass(frozen=True, kw_only=True)
class NewOptions:
    """Writes a folder for a learner: skeletons with TODOs, a README.md, and tests that plain pytest runs."""

    sheet: Annotated[Positional[str], arg(metavar="SHEET")]
    """A, B, C, D or E, or a theme: attention, positions, masks, blocks, vision, network."""
    folder: Annotated[Positional[str], arg(metavar="DIR")]
    """Folder to write; files that are there are never overwritten."""


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Gives the points of a folder, criterion by criterion, and says what is wrong.

    The code runs in processes of its own, confined. Exit status: 0 all points, 1 not all, 3 nothing ran.
    """

    folder: Annotated[Positional[str], arg(metavar="DIR")]
    """Folder or zip with the files to judge."""
    sheet: Annotated[str | None, unset("SHEET", "default: that of the folder's test_SHEET.py")] = None
    """Which sheet or theme."""
    json: Annotated[str | None, unset("FILE", "default: none")] = None
    """FILE to write the answer to, in the form of `glassformer check --json`."""
    timeout: float = 60.0
    """Seconds that the code may take in all; the checker's own do not count."""
    seed: int = 0
    """Seed of the inputs and of the parameters' values."""


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(USAGE)
        return 0
    if words[0] == "new":
        return _new(parse(NewOptions, "glassformer exercise new", words[1:]))
    if words[0] == "check":
        return _check(parse(CheckOptions, "glassformer exercise check", words[1:]))
    raise UsageError(f"glassformer exercise has no {words[0]!r}; it has new and check")


def _new(options: NewOptions) -> int:
    from glassformer.exercises.folders import write
    from glassformer.exercises.sheets import sheet

    for path in write(sheet(options.sheet), Path(options.folder)):
        print(path)
    return 0


def _check(options: CheckOptions) -> int:
    from glassformer.checking.zygote import started

    path = Path(options.folder)
    require_seconds(options.timeout)
    require_seed(options.seed)
    out = writable(options.json)
    if not path.exists():
        raise UsageError(f"there is no folder {path}")
    sheet = _sheet(options, path)
    with started() as zygote:  # it imports torch while this process does
        from glassformer.exercises.feedback import lines
        from glassformer.exercises.marking import mark
        from glassformer.exercises.submissions import read

        marks = mark(sheet, read(path), seconds=options.timeout, seed=options.seed, zygote=zygote)
    for line in lines(sheet, marks):
        print(line)
    if out:
        write_json(out, marks.to_json())
    return marks.exit_status


def _sheet(options: CheckOptions, path: Path) -> "Sheet":
    from glassformer.exercises.folders import test_file
    from glassformer.exercises.sheets import SHEETS, sheet

    if options.sheet is not None:
        return sheet(options.sheet)
    found = [each for each in SHEETS.values() if path.is_dir() and any(path.rglob(test_file(each)))]
    if len(found) == 1:
        return found[0]
    which = f"tests of several: {', '.join(each.slug for each in found)}" if found else "no test_SHEET.py"
    raise UsageError(
        f"{path} does not say which sheet it answers ({which}); add --sheet, one of: {', '.join(SHEETS)}"
    )


def require_seconds(seconds: float) -> None:
    if not 1 <= seconds <= 3600:
        raise UsageError(f"timeout={seconds} is out of range; choose 1 to 3600 seconds")
