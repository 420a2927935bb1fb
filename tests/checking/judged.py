"""Which files of `correct` and of `seeded` the tests of the judges take, and what was said of one."""

from pathlib import Path

from glassformer.checking.judging import Outcome
from tests.checking.seeded import rest
from tests.checking.seeded.judged import contract_of

HERE = Path(__file__).parent


def right_files(contracts: set[str]) -> list[Path]:
    """What has these contracts and no mistake: the folder `correct`, and the bases of the seeded ones."""
    files = sorted([*(HERE / "correct").glob("*.py"), *(HERE / "seeded" / "bases").glob("*.py")])
    return [path for path in files if contract_of(path.read_text(encoding="utf-8")) in contracts]


def one_base_each(contracts: set[str]) -> list[tuple[str, str]]:
    """Of every mistake one style, another one for each next mistake."""
    slugs: dict[str, list[str]] = {}
    for slug, base in rest.cases():
        if contract_of(rest.source(base)) in contracts:
            slugs.setdefault(slug, []).append(base)
    return [(slug, bases[number % len(bases)]) for number, (slug, bases) in enumerate(sorted(slugs.items()))]


def named(outcome: Outcome) -> set[str]:
    """Everything that was said, families too, but what no mistake is seeded for."""
    found = {each for _, family in (*outcome.mistakes, *outcome.remarks) for each in family}
    return found - {"masked-row-nan", "unused-parameter", "single-precision-inside"}
