"""Judges one file of the tests, and holds what was found beside what was seeded in it."""

import re
from collections.abc import Iterable
from dataclasses import dataclass

from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.judging import Outcome, Session
from glassformer.checking.runner import Runner
from glassformer.checking.source import Code

ALIKE = {
    "causal-inverted": "causal-transposed",
    "mask-filled-with-1e-9": "mask-multiplied",
    "missing-key-bias": "missing-bias",
    "padding-wrong-axis": "padding-on-queries",
}
"""What is seeded under a name of its own and behaves as the other."""
BESIDE = frozenset({"masked-row-nan", "single-precision-inside"})
"""Remarks that go with a mistake and do not name it."""
UNKNOWN = frozenset({"unknown", "unknown-mask"})


def contract_of(text: str) -> str:
    return text.split("\n", 1)[0].removeprefix("# contract: ")


def judged(text: str, filename: str, seed: int = 0, session: Session | None = None) -> Outcome:
    """What the judge of its contract says of a file; its target is named in it, or the last public name."""
    session = Runner() if session is None else session
    offers = [each for each in session.load(text, filename) if not each.name.startswith("_")]
    target = re.search(r"^# target: (\w+)$", text, re.M)
    offer = next((each for each in offers if target and each.name == target[1]), offers[-1])
    return CONTRACTS[contract_of(text)].judge(session, offer, Code.of(text, offer.name), seed).judge()


@dataclass(frozen=True)
class Compared:
    """named: what was seeded and found under its name. others: names that mean nothing seeded.

    word: "right", "unknown", "wrong" (only other names), "missed" or "error" (it could not be run).
    """

    word: str
    named: tuple[str, ...]
    others: tuple[str, ...]

    @property
    def detected(self) -> bool:
        return self.word != "missed"


def compared(outcome: Outcome, slugs: Iterable[str]) -> Compared:
    """The findings of a judge beside the mistakes that were seeded."""
    wanted = {slug: ALIKE.get(slug, slug) for slug in slugs}
    findings = [set(family) for slug, family in (*outcome.mistakes, *outcome.remarks) if slug not in BESIDE]
    named = tuple(slug for slug, want in wanted.items() if any({slug, want} & each for each in findings))
    meant = set(wanted) | set(wanted.values())
    others = tuple(sorted(min(each) for each in findings if not each & (meant | UNKNOWN)))
    if named:
        word = "right"
    elif outcome.error:
        word = "error"
    elif any(each & UNKNOWN for each in findings):
        word = "unknown"
    else:
        word = "wrong" if others else "missed"
    return Compared(word, named, others)
