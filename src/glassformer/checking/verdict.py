"""The answer of a check, as it is printed and as it is written to JSON."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, Literal

from glassformer.checking.judging import Check

SCHEMA_VERSION = 1
Word = Literal["correct", "incorrect", "inconclusive", "error"]


@dataclass(frozen=True)
class Finding:
    """A mistake or a remark in words. id: a slug of the catalogue; family: the ids it cannot be told from.

    line: of the file under check (of the cell, in a notebook), where that step probably is; place, code: the
    same in words, and its text. see: how to see it oneself, with numbers. hint does not give the solution
    away, solution does.
    """

    id: str
    family: tuple[str, ...]
    title: str
    explanation: str
    line: int | None = None
    cell: int | None = None
    place: str = ""
    code: str = ""
    see: str = ""
    hint: str = ""
    solution: str = ""

    def to_json(self) -> dict[str, Any]:
        return {
            "id": self.id,
            "family": list(self.family),
            "title": self.title,
            "explanation": self.explanation,
            "line": self.line,
            "cell": self.cell,
            "code": self.code,
            "see": self.see,
            "hint": self.hint,
        }


@dataclass(frozen=True)
class Located:
    """Up to where an unknown mistake's code is right. right: the last quantity that is, "" for none; place,
    code: where it is computed, "" where that is not known. differs: the quantity after it.
    """

    right: str
    differs: str
    line: int | None = None
    cell: int | None = None
    place: str = ""
    code: str = ""


@dataclass(frozen=True)
class Points:
    """What an exercise gives: one criterion or several, `got` of `of` in all."""

    got: float
    of: float
    criteria: Mapping[str, tuple[float, float]] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """What is known of one piece of code under one contract.

    word: correct, incorrect, inconclusive (the checker did not find out how it is built or called) or error
    (it could not be run). error: why; asks: what it ought to take and give. question: what the checker could
    not find out, with an adapter to paste. located: where an unknown mistake begins. left_out: what was not
    tried, and why; never_given: the arguments among it of which nothing is known. understood: `found` in
    words. fits: the contract that this rather looks like, where it does not look like `contract`. printed:
    what the code printed. guessed: why this contract was taken, where none was asked for.
    """

    target: str
    contract: str
    word: Word
    mistakes: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()
    checks: tuple[Check, ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)
    seconds: float = 0.0
    points: Points | None = None
    error: str = ""
    question: str = ""
    asks: str = ""
    located: Located | None = None
    left_out: tuple[str, ...] = ()
    never_given: tuple[str, ...] = ()
    understood: tuple[str, ...] = ()
    fits: str = ""
    printed: str = ""
    guessed: str = ""
    seed: int = 0

    @property
    def unexplained(self) -> bool:
        """Whether something is wrong, and nothing of it has a name."""
        return bool(self.mistakes) and all(each.id.startswith("unknown") for each in self.mistakes)

    @property
    def correct(self) -> bool:
        return self.word == "correct"

    @property
    def exit_status(self) -> int:
        """0 correct, 1 incorrect or inconclusive, 3 could not be run."""
        return {"correct": 0, "incorrect": 1, "inconclusive": 1, "error": 3}[self.word]

    def _stopped(self) -> tuple[Check, ...]:
        """That it could not be run, as a check, where a program reads why."""
        name = "it looks like the contract" if self.fits else "it can be built and called"
        return (Check(name, False, self.question or self.error),) if self.error else ()

    def to_json(self) -> dict[str, Any]:
        """As `--json` writes it."""
        known = ("arguments", "parameters", "batch_first", "mask_true_means")
        return {
            "schema_version": SCHEMA_VERSION,
            "target": self.target,
            "contract": self.contract,
            "verdict": self.word,
            "mistakes": [each.to_json() for each in self.mistakes],
            "remarks": [each.to_json() for each in self.remarks],
            "checks": [asdict(each) for each in (*self.checks, *self._stopped())],
            "points": None if self.points is None else {"got": self.points.got, "of": self.points.of},
            "found": {name: self.found.get(name) for name in known},
            "seconds": round(self.seconds, 3),
            "fits": self.fits or None,
            "guessed": self.guessed or None,
            "located": None if self.located is None else asdict(self.located),
            "not_tried": list(self.left_out),
            "printed": self.printed,
            "question": self.question or None,
            "understood": list(self.understood),
        }
