"""What the judge says of right models, and of models with a mistake in them."""

from pathlib import Path

import pytest

from glassformer.checking.model_judge import _in_words
from tests.checking.judged import named, one_base_each, right_files
from tests.checking.seeded import rest
from tests.checking.seeded.judged import ALIKE, judged

CONTRACTS = {"text-classifier", "vision-transformer", "encoder-decoder"}
REST_IS_IN_BLOCKS = {"layers-copied", "wrong-activation", "norm-before-addition", "no-dropout-in-train"}


@pytest.mark.parametrize("path", right_files(CONTRACTS), ids=lambda path: path.stem)
def test_a_right_model_is_found_right(path: Path) -> None:
    outcome = judged(path.read_text(encoding="utf-8"), path.name)
    assert outcome.error is None
    assert outcome.mistakes == []
    assert any(check.name.startswith("output") for check in outcome.checks)
    assert all(check.passed for check in outcome.checks)


@pytest.mark.parametrize(
    ("slug", "base"), [each for each in one_base_each(CONTRACTS) if each[0] not in REST_IS_IN_BLOCKS]
)
def test_a_seeded_mistake_is_never_called_another(slug: str, base: str) -> None:
    said = named(judged(rest.source(base, slug), f"{base}.py"))
    assert said, "nothing was found"
    assert ALIKE.get(slug, slug) in said or said == {"unknown"}


def test_the_part_that_acts_alone_is_told_in_words() -> None:
    assert _in_words("e self") == "the encoder's self-attention"
    assert _in_words("d ff") == "the decoder's feed-forward layers"
