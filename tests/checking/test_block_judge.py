"""What the judge says of right blocks, written by many hands, and of blocks with a mistake in them."""

from pathlib import Path

import pytest

from tests.checking.judged import named, one_base_each, right_files
from tests.checking.seeded import rest
from tests.checking.seeded.judged import ALIKE, judged

CONTRACTS = {"transformer-block", "decoder-block"}


@pytest.mark.parametrize("path", right_files(CONTRACTS), ids=lambda path: path.stem)
def test_a_right_block_is_found_right(path: Path) -> None:
    outcome = judged(path.read_text(encoding="utf-8"), path.name)
    assert outcome.error is None
    assert outcome.mistakes == []
    assert any(check.name.startswith("output") for check in outcome.checks)
    assert all(check.passed for check in outcome.checks)


@pytest.mark.parametrize(("slug", "base"), one_base_each(CONTRACTS))
def test_a_seeded_mistake_is_called_by_its_name(slug: str, base: str) -> None:
    said = named(judged(rest.source(base, slug), f"{base}.py"))
    assert ALIKE.get(slug, slug) in said


def test_two_mistakes_are_both_named() -> None:
    said = named(judged(rest.source("block_view_heads", "no-scale", "norm-shared"), "pair.py"))
    assert {"no-scale", "norm-shared"} <= said


def test_what_fits_nothing_is_unknown() -> None:
    text = rest.source("block_wrapped").replace("return self.fc2(", "return 1.5 * self.fc2(")
    assert named(judged(text, "other.py")) == {"unknown"}
