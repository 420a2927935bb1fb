"""What the judge says of right attention, written by many hands, and of attention with a mistake in it."""

import re
from pathlib import Path

import pytest

from glassformer.checking.attention_judge import KINDS, AttentionJudge
from glassformer.checking.judging import Outcome
from glassformer.checking.runner import Runner
from glassformer.checking.source import Code
from tests.checking.seeded import attention as seeded

CORRECT = [
    path
    for path in sorted((Path(__file__).parent / "correct").glob("*.py"))
    if re.search(r"# contract: (\S+)", path.read_text(encoding="utf-8"))[1] in KINDS  # type: ignore[index]
]
FAMILY = {
    "causal-inverted": "causal-transposed",
    "mask-filled-with-1e-9": "mask-multiplied",
    "missing-key-bias": "missing-bias",
}
"""What is seeded under a name of its own and behaves as the other."""


def judged(text: str, filename: str, seed: int = 0) -> Outcome:
    kind = KINDS[re.search(r"# contract: (\S+)", text)[1]]  # type: ignore[index]
    target = re.search(r"# target: (\S+)", text)
    runner = Runner()
    offers = [each for each in runner.load(text, filename) if not each.name.startswith("_")]
    offer = next((each for each in offers if target and each.name == target[1]), offers[-1])
    return AttentionJudge(runner, offer, Code.of(text, offer.name), seed, kind=kind).judge()


def one_base_each() -> list[tuple[str, str]]:
    """Of every mistake one style, another one for each next mistake."""
    slugs: dict[str, list[str]] = {}
    for slug, base in seeded.cases():
        slugs.setdefault(slug, []).append(base)
    return [(slug, bases[number % len(bases)]) for number, (slug, bases) in enumerate(sorted(slugs.items()))]


@pytest.mark.parametrize(("slug", "base"), one_base_each())
def test_a_seeded_mistake_is_never_called_another(slug: str, base: str) -> None:
    outcome = judged(seeded.source(base, slug), f"{base}.py")
    named = {each for _, family in (*outcome.mistakes, *outcome.remarks) for each in family} - {
        "masked-row-nan"
    }
    assert named, "nothing was found"
    assert FAMILY.get(slug, slug) in named or named & {"unknown", "unknown-mask"}


@pytest.mark.parametrize("path", CORRECT, ids=lambda path: path.stem)
def test_right_attention_is_found_right(path: Path) -> None:
    outcome = judged(path.read_text(encoding="utf-8"), path.name)
    assert outcome.error is None
    assert [slug for slug, _ in outcome.mistakes] == []
    assert any(check.name.startswith("output") and check.passed for check in outcome.checks)
    assert all(check.passed for check in outcome.checks)
