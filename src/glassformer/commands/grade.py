"""glassformer grade SHEET FOLDER --out grades.csv"""

import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from glassformer.commands.exercise import require_seconds
from glassformer.commands.parsing import parse, require_seed, say
from glassformer.errors import UsageError
from glassformer.progress import with_progress

if TYPE_CHECKING:
    from glassformer.exercises.marking import Marks


@dataclass(frozen=True, kw_only=True)
class GradeOptions:
    """Grades a class: one submission a sub-folder or zip. Writes the points, and a page of feedback each.

    Submissions run in processes of their own, confined; one that is broken or hostile costs only itself.
    A second time, only what has changed is graded, and what time or a crash decided.
    """

    sheet: Annotated[Positional[str], arg(metavar="SHEET")]
    """A, B, C, D or E, or a theme: attention, positions, masks, blocks, vision, network."""
    folder: Annotated[Positional[str], arg(metavar="FOLDER")]
    """Folder with a sub-folder or a zip for each submission."""
    out: Annotated[str, arg(metavar="FILE.csv")] = "grades.csv"
    """FILE.csv to write; the pages stand beside it in FILE-feedback/, what is kept in FILE.json."""
    timeout: float = 60.0
    """Seconds that a submission's code may take in all; the checker's own do not count."""
    workers: int = field(default_factory=lambda: max(1, min(8, os.cpu_count() or 1)))
    """Submissions at once."""
    seed: int = 0
    """Seed of the inputs and of the parameters' values."""


def run(words: list[str]) -> int:
    options = parse(GradeOptions, "glassformer grade", words)
    require_seconds(options.timeout)
    require_seed(options.seed)
    if not 1 <= options.workers <= 64:
        raise UsageError(f"workers={options.workers} is out of range; choose 1 to 64")
    out = Path(options.out)
    if out.suffix.lower() != ".csv":
        raise UsageError(f"--out {out} does not end in .csv")
    from glassformer.exercises.sheets import sheet

    wanted, folder = sheet(options.sheet), Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}")
    from glassformer.exercises.feedback import class_rows, plain
    from glassformer.exercises.grading import Class

    work = Class(wanted, folder, out, options.timeout, options.seed, options.workers)

    def watch(each: Iterator["Marks"], total: int) -> Iterator["Marks"]:
        return with_progress(each, lambda _: 1, total, f"grading {total} submissions")

    try:
        graded = work.grade(watch)
    except KeyboardInterrupt:
        say(f"stopped; what was graded is kept in {work.memory}, and the same command goes on")
        raise
    for marks in graded:
        print(plain(f"{marks.got:>3} of {marks.of}  {marks.submission}"))
    for title, slug, count, _ in class_rows(graded):
        print(f"{count:>3} x  {title}  [{slug}]")
    unchanged = len(graded) - work.again
    print(f"{len(graded)} submissions, {work.again} graded now, {unchanged} unchanged since the last time")
    print(out)
    print(work.pages / "index.html")
    return 0
