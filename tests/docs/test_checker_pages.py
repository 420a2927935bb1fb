"""The pages of the checker leave nothing out: every mistake, every contract."""

import re
from pathlib import Path

import pytest
from markdown import Markdown

from checker import contract, mistakes
from glassformer.checking.catalogue import ENTRIES, FILES
from glassformer.checking.contracts import CONTRACTS

PAGES = Path(__file__).resolve().parents[2] / "docs" / "checker"


def test_every_file_of_words_is_on_the_page() -> None:
    page = (PAGES / "mistakes.md").read_text(encoding="utf-8")
    assert re.findall(r"^<<< mistakes (\w+)$", page, re.M) == list(FILES)


def test_every_contract_is_on_the_page_under_its_id() -> None:
    page = (PAGES / "contracts.md").read_text(encoding="utf-8")
    shown = re.findall(r"^<<< contract ([\w-]+)$", page, re.M)
    assert shown == re.findall(r"^### .* \{ #([\w-]+) \}$", page, re.M)
    assert set(CONTRACTS) <= set(shown)
    assert len(shown) == len(set(shown))
    assert "--as attention" in contract("attention")[1]


def test_every_mistake_can_be_linked_to_by_its_id() -> None:
    page = Markdown(extensions=["checker", "attr_list", "fenced_code"]).convert(
        "\n\n".join(f"<<< mistakes {room}" for room in FILES)
    )
    ids = re.findall(r"id=[\"']([\w-]+)", page)
    assert ids == list(ENTRIES)
    assert "with this mistake" in page
    assert "<<<" not in page


def test_an_unknown_file_of_words_stops_the_build() -> None:
    with pytest.raises(LookupError, match="nothing"):
        mistakes("nothing")
