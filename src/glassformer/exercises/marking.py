"""A submission becomes points: criterion by criterion, each with what is wrong in words."""

import time
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from glassformer.checking.checks import check_in
from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.exchange import CodeError
from glassformer.checking.isolation import IsolatedRunner
from glassformer.checking.questions import explained
from glassformer.checking.targets import Target, target
from glassformer.checking.telling import told
from glassformer.checking.usage import REPLACES
from glassformer.checking.verdict import SCHEMA_VERSION, Verdict, Word
from glassformer.checking.zygote import Zygote
from glassformer.errors import UsageError
from glassformer.exercises.constructors import lacking
from glassformer.exercises.reading import Found, Reading, read
from glassformer.exercises.sheets import Criterion, Sheet
from glassformer.exercises.submissions import Submission
from glassformer.exercises.tracing import LIBRARIES, READY_MADE

SECONDS = 60.0
LEAST_SECONDS, SECONDS_A_CALL, SECONDS_A_CHECK = 1.0, 10.0, 30.0
FOLLOWING = 0.1
"""How patiently a mistake is searched for where a part has one already that will show here too."""
READY_MADE_ID = "ready-made-attention"
REPLACED = (
    "once the file has run, {0} is neither a class nor a plain function: a decorator (torch.jit.script is "
    "one), or a later line, makes something else of it; take that away to have it judged, or judge it by hand"
)
UNSEEN = (
    "{0}: functions of one's own run there in place of torch's (torch.overrides, or a class of tensors), and "
    "what those compute is not seen; take that away to have it judged, or judge it by hand"
)
NOT_FINAL = ("TimeLimit", "Killed")
"""A machine that is busy may do this to code that is right."""


@dataclass(frozen=True)
class Mark:
    """One criterion. word: of a verdict, or "open" (still a TODO) or "missing". text: the whole diagnosis."""

    criterion: str
    got: int
    of: int
    word: str
    message: str = ""
    place: str = ""
    text: str = ""
    mistakes: tuple[dict[str, Any], ...] = ()
    remarks: tuple[dict[str, Any], ...] = ()
    found: dict[str, Any] = field(default_factory=dict)
    final: bool = True
    """Whether another run would give the same: not where time was over, or something broke."""


@dataclass(frozen=True)
class Marks:
    """All of a submission."""

    submission: str
    sheet: str
    marks: tuple[Mark, ...]
    seconds: float = 0.0

    @property
    def got(self) -> int:
        return sum(each.got for each in self.marks)

    @property
    def of(self) -> int:
        return sum(each.of for each in self.marks)

    @property
    def word(self) -> Word:
        words = {each.word for each in self.marks}
        if self.got == self.of:
            return "correct"
        if words <= {"error"}:
            return "error"
        return "incorrect" if words & {"incorrect", "open", "missing", "error"} else "inconclusive"

    @property
    def final(self) -> bool:
        return all(each.final for each in self.marks)

    @property
    def mistakes(self) -> list[dict[str, Any]]:
        """Each mistake once for every line it is on."""
        return _once(each for mark in self.marks for each in mark.mistakes)

    @property
    def exit_status(self) -> int:
        return {"correct": 0, "incorrect": 1, "inconclusive": 1, "error": 3}[self.word]

    def to_json(self) -> dict[str, Any]:
        """As `exercise check --json` writes it: the form of a check, and the criteria besides."""
        return {
            "schema_version": SCHEMA_VERSION,
            "target": self.submission,
            "contract": f"sheet {self.sheet}",
            "verdict": self.word,
            "mistakes": self.mistakes,
            "remarks": _once(each for mark in self.marks for each in mark.remarks),
            "checks": [
                {"name": each.criterion, "passed": each.got == each.of, "detail": each.message}
                for each in self.marks
            ],
            "points": {"got": self.got, "of": self.of},
            "found": dict.fromkeys(("arguments", "parameters", "batch_first", "mask_true_means")),
            "seconds": round(self.seconds, 3),
            "criteria": [
                {"name": each.criterion, "got": each.got, "of": each.of, "verdict": each.word,
                 "target": each.place,
                 "found": each.found}
                for each in self.marks
            ],
        }  # fmt: skip

    def kept(self) -> dict[str, Any]:
        return asdict(self)

    @classmethod
    def of_kept(cls, kept: dict[str, Any]) -> "Marks":
        """Raises an error where that is not what `kept` gave."""
        if not _is_kept(kept):
            raise ValueError(kept)
        marks = [Mark(**each) for each in kept["marks"]]
        made = tuple(
            replace(each, mistakes=tuple(each.mistakes), remarks=tuple(each.remarks)) for each in marks
        )
        return cls(kept["submission"], kept["sheet"], made, kept["seconds"])


def _is_kept(kept: Any) -> bool:
    texts = ("criterion", "word", "message", "place", "text")
    return (
        [type(kept[name]) for name in ("submission", "sheet")] == [str, str]
        and type(kept["seconds"]) in (int, float)
        and all(
            all(type(each[name]) is str for name in texts)
            and [type(each[name]) for name in ("got", "of", "final", "found")] == [int, int, bool, dict]
            and all(
                type(found["id"]) is type(found["title"]) is type(found["explanation"]) is str
                and type(found["line"]) in (int, type(None))
                for found in (*each["mistakes"], *each["remarks"])
            )
            for each in kept["marks"]
        )
    )


def mark(
    sheet: Sheet,
    submission: Submission,
    *,
    seconds: float = SECONDS,
    seed: int = 0,
    zygote: Zygote | None = None,
) -> Marks:
    """Judges a submission against a sheet. seconds: that its code may run for; comparing does not count."""
    started = time.monotonic()
    if submission.broken or not submission.files:
        why = submission.broken or "there is no Python file and no notebook in it"
        lost = tuple(Mark(each.title, 0, each.of, "error", why) for each in sheet.criteria)
        return Marks(submission.name, sheet.slug, lost, time.monotonic() - started)
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(submission.unpacked())
        except OSError as error:
            why = f"its files cannot be unpacked: {error.strerror or error}"
            return mark(sheet, Submission(submission.name, broken=why), seconds=seconds)
        try:
            reading = read(folder)
        except Exception as error:
            reading = Reading((), {"": f"it could not be read: {type(error).__name__}"})
        work = _Marking(sheet, folder, reading, seconds, seed, zygote)
        made = {each.title: work.of(each) for each in sorted(sheet.criteria, key=lambda each: each.parts)}
    return Marks(
        submission.name,
        sheet.slug,
        tuple(made[each.title] for each in sheet.criteria),
        time.monotonic() - started,
    )


@dataclass
class _Marking:
    sheet: Sheet
    folder: Path
    reading: Reading
    left: float
    """Seconds that its code may still run."""
    seed: int
    zygote: Zygote | None
    right: set[str] = field(default_factory=set)
    """Targets of which everything was right: their constructors need no further look."""
    wrong: set[str] = field(default_factory=set)
    """Targets with a mistake: what uses them is looked at as well, but no long search is made for a name."""
    ran: dict[str, Mark | None] = field(default_factory=dict)
    """Path -> the mark of all in it, where it could not be run: what never ends is waited for once."""
    ready: dict[str, tuple[str, int, str]] = field(default_factory=dict)
    """Targets that went through ready-made attention when they were called: path, line and name."""

    def of(self, criterion: Criterion) -> Mark:
        try:
            return self._of(criterion)
        except Exception as error:  # the class goes on, whatever one submission does to the checker
            told = f"the checker itself failed at it ({type(error).__name__}: {error}); judge it by hand"
            told = told.replace(str(self.folder), "")
            return Mark(criterion.title, 0, criterion.of, "inconclusive", told, final=False)

    def _of(self, criterion: Criterion) -> Mark:
        lost = Mark(criterion.title, 0, criterion.of, "missing")
        places = self.reading.of(criterion, self.sheet)
        if not places:
            return self._missing(lost, criterion)
        found = places[0]
        lost = replace(lost, place=f"{found.path}:{found.name}")
        if found.is_open:
            what = f"{found.name} is still a TODO ({found.path}, line {found.node.lineno})"
            return replace(lost, word="open", message=f"{what}; its docstring says what it computes")
        if criterion.written_out and (unread := found.uses.unread):
            return replace(lost, word="error", message=f"it imports what cannot be read: {unread.why}")
        if criterion.written_out and (ready := found.uses.found or self.ready.get(found.name)):
            return _ready_made(lost, *ready)
        if criterion.sizes.get("heads", 1) > 1 and not found.takes_heads:
            return replace(lost, word="incorrect", message="its constructor takes no number of heads")
        if self.left < LEAST_SECONDS:
            told = "not looked at: the time for this submission was over"
            return replace(lost, word="error", message=told, final=False)
        if stopped := self._file(found.path):
            return replace(lost, word="error", message=stopped.message, final=stopped.final)
        aim = target(f"{self.folder / found.path}:{found.name}")
        if criterion.parts:
            return self._constructor(lost, criterion, found, aim)
        if criterion.contract not in CONTRACTS:
            return replace(lost, word="inconclusive", message="not checked here: judge it by hand")
        return self._judged(lost, criterion, found, aim)

    def _judged(self, lost: Mark, criterion: Criterion, found: Found, aim: Target) -> Mark:
        follows = (self.wrong & found.uses.names) - {found.name}
        with self._session(aim, SECONDS_A_CHECK) as session:
            try:
                verdict = check_in(
                    session, aim, criterion.contract, seed=self.seed, sizes=criterion.sizes,
                    patience=FOLLOWING if follows else 1.0,
                )  # fmt: skip
            except UsageError:
                return replace(lost, word="inconclusive", message=REPLACED.format(found.name))
            lost = replace(lost, final=session.stopped_by not in NOT_FINAL)
            try:
                used = session.usage()
            except CodeError as error:  # it ended before it could be asked
                used = {}
                if verdict.correct and criterion.written_out:
                    told = f"whether it is ready-made attention could not be seen: {error}"
                    return replace(lost, word="inconclusive", message=told, final=False)
        unseen = used.pop(REPLACES, None)
        if used and criterion.written_out:
            name, line = next(iter(used.items()))
            self.ready[found.name] = found.path, line, name
            return _ready_made(lost, *self.ready[found.name])
        if unseen is not None and verdict.correct and criterion.written_out:
            place = f"{found.path}, line {unseen}" if unseen else found.path
            return replace(lost, word="inconclusive", message=UNSEEN.format(place))
        (self.right if verdict.correct else self.wrong).add(found.name)
        if follows and verdict.unexplained:
            parts = " and ".join(sorted(follows))
            return replace(lost, word="incorrect", message=f"it uses {parts}: get that right first")
        return _told(lost, replace(verdict, target=lost.place), str(self.folder))

    @contextmanager
    def _session(self, aim: Target, budget: float) -> Iterator[IsolatedRunner]:
        """A process for its code, whose seconds are counted."""
        with IsolatedRunner(
            timeout=min(SECONDS_A_CALL, self.left), budget=min(budget, self.left), paths=aim.paths,
            zygote=self.zygote, watched=(READY_MADE, LIBRARIES),
        ) as session:  # fmt: skip
            try:
                yield session
            finally:
                self.left -= session.seconds

    def _file(self, path: str) -> Mark | None:
        if path not in self.ran:
            aim = target(str(self.folder / path))
            self.ran[path] = None
            with self._session(aim, SECONDS_A_CALL) as session:
                try:
                    session.load(aim.text, aim.filename)
                except CodeError as error:
                    why, final = f"{path}: {explained(error, aim)}", error.kind not in NOT_FINAL
                    self.ran[path] = Mark("", 0, 0, "error", why, final=final)
        return self.ran[path]

    def _missing(self, lost: Mark, criterion: Criterion) -> Mark:
        unread = self.reading.unread
        if unread:
            return replace(lost, word="error", message="; ".join(unread.values()))
        have = ", ".join(self.reading.names[:20]) or "nothing"
        return replace(lost, message=f"there is no {criterion.target} in it; it defines {have}")

    def _constructor(self, lost: Mark, criterion: Criterion, found: Found, aim: Target) -> Mark:
        if found.name not in self.right:
            with self._session(aim, SECONDS_A_CALL) as session:
                lacks = lacking(session, aim, found.name, criterion.contract, self.seed)
                final = session.stopped_by not in NOT_FINAL
            if lacks:
                return replace(lost, word="incorrect", message=lacks, final=final)
        return replace(lost, got=lost.of, word="correct")


def _told(lost: Mark, verdict: Verdict, folder: str) -> Mark:
    message = verdict.error or ", ".join(each.title for each in verdict.mistakes)
    if not message and not verdict.correct:
        failed = [f"{each.name} {each.detail}".strip() for each in verdict.checks if not each.passed]
        message = "; ".join(failed) or "nothing wrong was found, but not everything could be looked at"
    return replace(
        lost,
        got=lost.of if verdict.correct else 0,
        word=verdict.word,
        message=message.replace(folder, ""),
        text=told(verdict).replace(folder, ""),
        mistakes=tuple(each.to_json() for each in verdict.mistakes),
        remarks=tuple(each.to_json() for each in verdict.remarks),
        found=verdict.to_json()["found"],
    )


def _ready_made(lost: Mark, path: str, line: int, name: str) -> Mark:
    place = f"{path}, line {line}" if line else path
    message = f"{place}: {name.strip('.')} is ready-made, and here the attention is written out"
    mistake = {
        "id": READY_MADE_ID,
        "family": [READY_MADE_ID],
        "title": "Ready-made attention",
        "explanation": message,
        "line": line or None,
    }
    return replace(lost, word="incorrect", message=message, mistakes=(mistake,))


def _once(findings: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    kept: dict[tuple[str, int | None], dict[str, Any]] = {}
    for each in findings:
        kept.setdefault((each["id"], each["line"]), each)
    return list(kept.values())
