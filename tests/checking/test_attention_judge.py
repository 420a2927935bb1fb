"""What the judge says of right attention, written by many hands, and of attention with a mistake in it."""

import re
from pathlib import Path

import pytest

from glassformer.checking.attention_judge import KINDS
from tests.checking.seeded import attention as seeded
from tests.checking.seeded.judged import compared, judged

CORRECT = [
    path
    for path in sorted((Path(__file__).parent / "correct").glob("*.py"))
    if re.search(r"# contract: (\S+)", path.read_text(encoding="utf-8"))[1] in KINDS  # type: ignore[index]
]


def one_base_each() -> list[tuple[str, str]]:
    """Of every mistake one style, another one for each next mistake."""
    slugs: dict[str, list[str]] = {}
    for slug, base in seeded.cases():
        slugs.setdefault(slug, []).append(base)
    return [(slug, bases[number % len(bases)]) for number, (slug, bases) in enumerate(sorted(slugs.items()))]


@pytest.mark.parametrize(("slug", "base"), one_base_each())
def test_a_seeded_mistake_is_never_called_another(slug: str, base: str) -> None:
    outcome = judged(seeded.source(base, slug), f"{base}.py")
    assert compared(outcome, [slug]).word in ("right", "unknown")


@pytest.mark.parametrize("path", CORRECT, ids=lambda path: path.stem)
def test_right_attention_is_found_right(path: Path) -> None:
    outcome = judged(path.read_text(encoding="utf-8"), path.name)
    assert outcome.error is None
    assert [slug for slug, _ in outcome.mistakes] == []
    assert any(check.name.startswith("output") and check.passed for check in outcome.checks)
    assert all(check.passed for check in outcome.checks)
