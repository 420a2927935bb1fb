"""A class: every submission of a folder marked, side by side, one file of points, a page each.

What was marked is kept beside the points, so that the next time only what has changed is marked again, and
nothing is lost where it is stopped.
"""

import csv
import hashlib
import json
import re
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import closing
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

from glassformer.cache import write_atomically
from glassformer.errors import DataError
from glassformer.exercises import feedback, submissions
from glassformer.exercises.marking import Marks
from glassformer.exercises.sheets import Sheet
from glassformer.exercises.workers import Workers

FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""A spreadsheet takes a cell that begins so for something to compute."""
FIXED = ("submission", "sheet")


@dataclass
class Class:
    """A folder of submissions being graded. out: the CSV; beside it stand the pages and what is kept."""

    sheet: Sheet
    folder: Path
    out: Path
    seconds: float = 60.0
    seed: int = 0
    workers: int = 2
    kept: dict[str, tuple[str, Marks]] = field(default_factory=dict)
    """Submission -> its digest when it was marked, and its marks."""
    again: int = 0
    """How many submissions were marked now and not taken from before."""

    @property
    def memory(self) -> Path:
        return self.out.with_suffix(".json")

    @property
    def pages(self) -> Path:
        return self.out.with_name(f"{self.out.stem}-feedback")

    def grade(
        self, watch: Callable[[Iterator[Marks], int], Iterator[Marks]] = lambda each, _: each
    ) -> list[Marks]:
        """Marks what is new or has changed, writes everything, and gives all marks by name.

        watch: sees each submission pass, of so many. Ctrl-C ends the processes, and what is done is written,
        with what earlier runs have found about the others.
        """
        paths = submissions.of_class(self.folder)
        self._recall()
        done: dict[str, Marks] = {}
        try:
            with closing(self._each(paths)) as each_in_turn:
                for each in watch(each_in_turn, len(paths)):
                    done[each.submission] = each
        finally:
            if done:
                known = self._known(paths) | done
                self._write([known[name] for name in sorted(known)])
        return [done[name] for name in sorted(done)]

    def _each(self, paths: list[Path]) -> Generator[Marks, None, None]:
        """As they are ready; no more are begun than there are workers, which end when this is closed."""
        left = iter(paths)
        with ThreadPoolExecutor(self.workers) as pool, Workers(self.workers) as workers:
            at_work: dict[Future[Marks], str] = {}
            while True:
                for path in left:
                    handed_in, digest = self._read(path)
                    before, marks = self.kept.get(path.name, ("", None))
                    if marks and marks.final and before == digest:
                        yield marks
                        continue
                    task = pool.submit(workers.mark, self.sheet, handed_in, self.seconds, self.seed)
                    at_work[task] = digest
                    if len(at_work) >= self.workers:
                        break
                if not at_work:
                    return
                for task in wait(at_work, return_when=FIRST_COMPLETED).done:
                    digest = at_work.pop(task)
                    marks = task.result()
                    self.again += 1
                    self._remember(marks, digest)
                    yield marks

    def _read(self, path: Path) -> tuple[submissions.Submission, str]:
        try:
            handed_in = submissions.read(path)
            return handed_in, self._digest(handed_in)
        except Exception as error:  # the class goes on, whatever one submission is
            broken = submissions.Submission(path.name, broken=f"it cannot be read: {type(error).__name__}")
            return broken, self._digest(broken)

    def _digest(self, handed_in: submissions.Submission) -> str:
        said = f"{self.sheet.slug} {self.seed} {self.seconds} {rules()}"
        return hashlib.sha256(f"{handed_in.digest} {said}".encode()).hexdigest()

    def _recall(self) -> None:
        if not self.memory.exists():
            return
        try:
            kept = json.loads(self.memory.read_text(encoding="utf-8"))["submissions"]
            if not all(isinstance(each["digest"], str) for each in kept.values()):
                raise TypeError
            self.kept = {name: (each["digest"], Marks.of_kept(each["marks"])) for name, each in kept.items()}
        except (ValueError, KeyError, TypeError, AttributeError):
            raise DataError(
                f"{self.memory} is not what an earlier grading left there; remove it, or choose another --out"
            ) from None

    def _known(self, paths: list[Path]) -> dict[str, Marks]:
        """What is kept about these submissions, if it is about the same criteria."""
        titles = [each.title for each in self.sheet.criteria]
        names = {path.name for path in paths}
        return {
            each.submission: each
            for _, each in self.kept.values()
            if each.submission in names and [mark.criterion for mark in each.marks] == titles
        }

    def _remember(self, marks: Marks, digest: str) -> None:
        self.kept[marks.submission] = digest, marks
        written = {name: {"digest": each, "marks": made.kept()} for name, (each, made) in self.kept.items()}
        _replace(self.memory, json.dumps({"sheet": self.sheet.slug, "submissions": written}))

    def _write(self, graded: list[Marks]) -> None:
        files = names([each.submission for each in graded])
        for each in graded:
            place = self.pages / files[each.submission]
            _replace(place.with_name(place.name + ".md"), feedback.markdown(self.sheet, each))
            _replace(place.with_name(place.name + ".html"), feedback.page(self.sheet, each))
        _replace(self.pages / "index.md", feedback.class_markdown(self.sheet, graded))
        _replace(self.pages / "index.html", feedback.class_page(self.sheet, graded, files))
        hand = [each.title for each in self.sheet.by_hand]
        heads = [*FIXED, *(each.title for each in self.sheet.criteria), *hand]
        rows = [
            [
                cell(each.submission), each.sheet, *(mark.got for mark in each.marks), *("" for _ in hand),
                each.got, each.of, each.word, _ids(each), f"{each.seconds:.1f}",
            ]
            for each in graded
        ]  # fmt: skip

        def write(scratch: Path) -> None:
            with scratch.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
                writer = csv.writer(file)
                writer.writerow([*heads, "got", "of", "verdict", "mistakes", "seconds"])
                writer.writerows(rows)

        write_atomically(self.out, write)


def rules() -> str:
    """The version, and a digest of what decides: a checker that has changed marks anew."""
    made = hashlib.sha256(version("glassformer").encode())
    here = Path(__file__).parent
    for path in sorted([*here.rglob("*.py"), *here.with_name("checking").rglob("*.py")]):
        made.update(path.read_bytes())
    return made.hexdigest()


def cell(text: str) -> str:
    """A name that no spreadsheet computes.

    >>> cell("=1+1"), cell("Ada")
    ("'=1+1", 'Ada')
    """
    shown = feedback.plain(text)
    return f"'{shown}" if shown.startswith(FORMULA) else shown


def names(said: list[str]) -> dict[str, str]:
    """Submission -> a file name that every system has, different from the others without regard to case."""
    found: dict[str, str] = {}
    taken = {"index"}
    for each in said:
        bare = re.sub(r"[^\w.-]", "_", each, flags=re.ASCII).strip(".")[:80] or "submission"
        if bare.lower() in taken:
            bare += "-" + hashlib.sha256(each.encode(errors="surrogateescape")).hexdigest()[:8]
        taken.add(bare.lower())
        found[each] = bare
    return found


def _ids(marks: Marks) -> str:
    return " ".join(dict.fromkeys(each["id"] for each in marks.mistakes))


def _replace(path: Path, text: str) -> None:
    write_atomically(path, lambda scratch: scratch.write_text(text, "utf-8", "backslashreplace"))
