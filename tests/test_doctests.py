"""What docstrings show with >>> is what comes out."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest

import glassformer

ROOT = Path(glassformer.__file__).parent
SHOWING = [path for path in sorted(ROOT.rglob("*.py")) if ">>> " in path.read_text(encoding="utf-8")]


@pytest.mark.parametrize("path", SHOWING, ids=lambda path: str(path.relative_to(ROOT)))
def test_examples_in_docstrings(path: Path) -> None:
    module = import_module(".".join(("glassformer", *path.relative_to(ROOT).with_suffix("").parts)))
    found = doctest.testmod(module)
    assert found.attempted > 0
    assert found.failed == 0
