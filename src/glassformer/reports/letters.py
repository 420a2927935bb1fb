"""The fonts that figures are written with, and what is said of letters that none of them has."""

import logging
import re
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

FAMILY = "DejaVu Sans"
"""Comes with matplotlib; has Latin, Greek, Cyrillic, Hebrew and Arabic letters."""
OTHERS = (
    "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans CJK TC", "Noto Sans CJK KR", "Noto Sans SC",
    "Noto Sans JP", "Noto Sans TC", "Noto Sans KR", "Source Han Sans SC", "WenQuanYi Zen Hei",
    "WenQuanYi Micro Hei", "Droid Sans Fallback", "PingFang SC", "Hiragino Sans GB", "Hiragino Sans",
    "Heiti TC", "Apple SD Gothic Neo", "Arial Unicode MS", "Microsoft YaHei", "SimHei", "Yu Gothic",
    "Meiryo", "Malgun Gothic", "NanumGothic", "Noto Sans Devanagari", "Noto Sans Bengali",
    "Noto Sans Tamil", "Noto Sans Telugu", "Noto Sans Thai", "Nirmala UI", "Leelawadee UI",
    "Kohinoor Devanagari", "Thonburi",
)  # fmt: skip
"""Where the machine has them, for all other letters: what its systems and their packages bring."""
_told: set[str] = set()


@lru_cache(maxsize=1)
def families() -> list[str]:
    """The first that has a letter writes it."""
    from matplotlib.font_manager import fontManager

    there = {each.name for each in fontManager.ttflist}
    return [FAMILY, *(each for each in OTHERS if each in there)]


@contextmanager
def missing_letters_told() -> Iterator[None]:
    """One line for the letters that no font has, once, in place of matplotlib's warning of each."""
    finder = logging.getLogger("matplotlib.font_manager")  # tells of fonts that have one weight alone
    level = finder.level
    finder.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            yield
    finally:
        finder.setLevel(level)
    missing = []
    for each in caught:
        glyph = re.match(r"Glyph (\d+) ", str(each.message))
        if glyph:
            missing.append(chr(int(glyph[1])))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
    new = [each for each in dict.fromkeys(missing) if each not in _told]
    if new:
        _told.update(new)
        shown = " ".join(new[:10]) + (" ..." if len(new) > 10 else "")
        logging.getLogger("glassformer").warning(
            "note: boxes stand in the figures for letters that no font here has: %s; install one that has "
            "them, Noto Sans CJK say, and empty matplotlib's cache, which lists the fonts",
            shown,
        )
