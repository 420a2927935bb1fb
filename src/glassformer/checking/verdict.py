"""What a check found, and its forms: for people, for programs."""

from dataclasses import asdict, dataclass, field
from typing import Any

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class Finding:
    """A mistake, or a remark on a convention. family: the ids that cannot be told apart from it."""

    id: str
    family: tuple[str, ...]
    title: str
    explanation: str
    line: int | None = None
    see: str = ""
    hint: str = ""
    solution: str = ""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Verdict:
    """The answer: correct, incorrect, inconclusive or error. question: what the checker must be told."""

    target: str
    contract: str
    verdict: str
    mistakes: tuple[Finding, ...] = ()
    remarks: tuple[Finding, ...] = ()
    checks: tuple[Check, ...] = ()
    found: dict[str, Any] = field(default_factory=dict)
    question: str = ""
    printed: str = ""
    seconds: float = 0.0
    points: dict[str, float] | None = None

    @property
    def status(self) -> int:
        """The exit status of the command: 0 correct, 1 incorrect or inconclusive, 3 could not be run."""
        return {"correct": 0, "incorrect": 1, "inconclusive": 1, "error": 3}[self.verdict]

    def as_json(self) -> dict[str, Any]:
        """The documented form."""

        def told(finding: Finding) -> dict[str, Any]:
            kept = ("id", "family", "title", "explanation", "line")
            return {key: value for key, value in asdict(finding).items() if key in kept}

        found = {
            key: self.found.get(key) for key in ("arguments", "parameters", "batch_first", "mask_true_means")
        }
        return {
            "schema_version": SCHEMA_VERSION,
            "target": self.target,
            "contract": self.contract,
            "verdict": self.verdict,
            "mistakes": [told(each) for each in self.mistakes],
            "remarks": [told(each) for each in self.remarks],
            "checks": [asdict(each) for each in self.checks],
            "points": self.points or {"got": None, "of": None},
            "found": found,
            "question": self.question,
            "seconds": round(self.seconds, 3),
        }
