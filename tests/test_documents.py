"""Documents hold what they promise: no gap left open, no link into the void."""

import re
from pathlib import Path

import pytest

from glassformer.tasks import TASKS, find_task

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = [
    ROOT / "README.md",
    ROOT / "CHANGELOG.md",
    *ROOT.glob("docs/**/*.md"),
    *ROOT.glob("benchmarks/*.md"),
]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(document: Path) -> None:
    text = document.read_text(encoding="utf-8")
    assert "@@" not in text
    links = re.findall(r"\]\(([^)#]+)", text)
    files = [document.parent / link for link in links if "://" not in link]
    assert not [file for file in files if not _source(file).exists()]


def _source(file: Path) -> Path:
    """A figure is drawn by its script when the site is built."""
    return file.with_suffix(".py") if file.parent.name == "figures" else file


@pytest.mark.parametrize("name", TASKS)
def test_presets_open_with_what_they_cost(name: str) -> None:
    for preset in find_task(name).presets.values():
        assert preset.cost.startswith("glassformer train ")
        assert "2026" in preset.cost or "not measured" in preset.cost


def test_the_house_is_as_it_is_drawn() -> None:
    drawn = set(re.findall(r"\w+\.py", (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")))
    built = {path.name for path in (ROOT / "src" / "glassformer").rglob("*.py")}
    assert drawn <= built
    assert built - drawn <= {"__init__.py", "__main__.py", "base.py", "config.py", "imdb.py", "text.py",
                             "parity.py", "cache.py"}  # fmt: skip
