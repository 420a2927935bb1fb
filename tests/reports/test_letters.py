"""Letters of all scripts: by the fonts that a machine has, and what is said of those that none has."""

import logging
import warnings
from pathlib import Path
from types import SimpleNamespace

import pytest
from matplotlib import font_manager

from glassformer.reports import letters
from glassformer.reports.figures import confusion

NOWHERE = "\U0010fffd"
"""For private use: no font has it."""


def test_fonts_for_other_scripts_are_used_where_there_are_some(monkeypatch: pytest.MonkeyPatch) -> None:
    there = [SimpleNamespace(name=name) for name in ("Comic Sans", "PingFang SC", "Noto Sans CJK JP")]
    monkeypatch.setattr(font_manager.fontManager, "ttflist", there)
    letters.families.cache_clear()
    try:
        assert letters.families() == ["DejaVu Sans", "Noto Sans CJK JP", "PingFang SC"]
    finally:
        letters.families.cache_clear()


def test_letters_that_no_font_has_are_told_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    figures = {
        "accuracy": 0.9, "accuracy_ci95": [0.8, 0.95], "count": 40, "classes": ["good", f"{NOWHERE} bad"],
        "confusion": [[18, 2], [2, 18]],
    }  # fmt: skip
    letters._told.clear()
    finder = logging.getLogger("matplotlib.font_manager").level
    with warnings.catch_warnings(record=True) as caught, caplog.at_level(logging.WARNING, "glassformer"):
        warnings.simplefilter("always")
        for name in ("one.png", "two.pdf"):
            confusion(figures, tmp_path / name, caption="words")
    assert not [each for each in caught if "Glyph" in str(each.message)]
    assert len(caplog.messages) == 1
    assert NOWHERE in caplog.messages[0]
    assert logging.getLogger("matplotlib.font_manager").level == finder


def test_other_warnings_are_left_as_they_are() -> None:
    with pytest.warns(UserWarning, match="something else"), letters.missing_letters_told():
        warnings.warn("something else", stacklevel=1)
