"""Mistakes as replacements in the text of a right implementation."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path

Edits = Sequence[tuple[str, str] | tuple[str, str, int]]
"""What is replaced, what by, and how often it occurs where that is not once."""


def seeded(path: Path, mistakes: Mapping[str, Edits]) -> str:
    """The text of a file with these mistakes; ValueError where two of them change the same place."""
    text = path.read_text(encoding="utf-8")
    edits = []
    for slug, replacements in mistakes.items():
        for old, new, *count in replacements:
            if text.count(old) != (count or [1])[0]:
                raise ValueError(f"{slug} in {path.stem}: {text.count(old)} times {old!r}")
            start = -1
            while (start := text.find(old, start + 1)) >= 0:
                edits.append((start, old, new))
    edits.sort()
    for (start, old, _), (after, _, _) in itertools.pairwise(edits):
        if start + len(old) > after:
            both = text[after : start + len(old)]
            raise ValueError(f"{' and '.join(mistakes)} overlap in {path.stem} at {both!r}")
    for start, old, new in reversed(edits):
        text = text[:start] + new + text[start + len(old) :]
    return text
