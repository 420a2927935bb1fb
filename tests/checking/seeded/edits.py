"""Mistakes as replacements in the text of a right implementation."""

import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Edits = Sequence[tuple[str, str] | tuple[str, str, int]]
"""What is replaced, what by, and how often it occurs where that is not once."""


@dataclass(frozen=True)
class Seeds:
    """mistakes: slug -> base -> what to replace in that file of the folder."""

    folder: Path
    mistakes: Mapping[str, Mapping[str, Edits]]

    def source(self, base: str, *slugs: str) -> str:
        """The text of a base with these mistakes; ValueError where two of them change the same place."""
        return seeded(self.folder / f"{base}.py", {slug: self.mistakes[slug][base] for slug in slugs})

    def cases(self) -> Iterator[tuple[str, str]]:
        """Every mistake with every base that can have it."""
        return ((slug, base) for slug, bases in self.mistakes.items() for base in bases)


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
