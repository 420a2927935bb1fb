"""Judging the files of `correct` and of `seeded`, for the tests of the judges."""

import re
from pathlib import Path

from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.judging import Outcome
from glassformer.checking.runner import Runner
from glassformer.checking.source import Code
from tests.checking.seeded import rest

HERE = Path(__file__).parent
SAME = {"causal-inverted": "causal-transposed", "padding-wrong-axis": "padding-on-queries"}
"""What is seeded under a name of its own and behaves as the other."""


def contract_of(text: str) -> str:
    found = re.search(r"# contract: (\S+)", text)
    assert found
    return found[1]


def judged(text: str, filename: str, seed: int = 0) -> Outcome:
    target = re.search(r"# target: (\S+)", text)
    runner = Runner()
    offers = [each for each in runner.load(text, filename) if not each.name.startswith("_")]
    offer = next((each for each in offers if target and each.name == target[1]), offers[-1])
    return CONTRACTS[contract_of(text)].judge(runner, offer, Code.of(text, offer.name), seed).judge()


def right_files(contracts: set[str]) -> list[Path]:
    """What has these contracts and no mistake: the folder `correct`, and the bases of the seeded ones."""
    files = sorted([*(HERE / "correct").glob("*.py"), *(HERE / "seeded" / "bases").glob("*.py")])
    return [path for path in files if contract_of(path.read_text(encoding="utf-8")) in contracts]


def one_base_each(contracts: set[str]) -> list[tuple[str, str]]:
    """Of every mistake one style, another one for each next mistake."""
    slugs: dict[str, list[str]] = {}
    for slug, base in rest.cases():
        if rest.contract(base) in contracts:
            slugs.setdefault(slug, []).append(base)
    return [(slug, bases[number % len(bases)]) for number, (slug, bases) in enumerate(sorted(slugs.items()))]


def named(outcome: Outcome) -> set[str]:
    """Everything that was said, families too, but what no mistake is seeded for."""
    found = {each for _, family in (*outcome.mistakes, *outcome.remarks) for each in family}
    return found - {"masked-row-nan", "unused-parameter", "single-precision-inside"}
