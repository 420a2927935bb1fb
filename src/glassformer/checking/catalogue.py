"""Every mistake by its id: what it is called, what it does, where to look. The words stand in words/*.toml.

Words are no code: a file of words can be read, and put right, by whoever knows what learners understand.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

WORDS = Path(__file__).parent / "words"
FILES = ("attention", "masks", "layers", "models", "numpy")
SORTS = {
    "error": "the result is wrong",
    "convention": "right, but other implementations do it another way: a remark",
    "contract": "wrong only where the contract, or the code's own signature, asks for the other way",
    "unknown": "the result is wrong, and nothing known explains it",
}


@dataclass(frozen=True)
class Entry:
    """A mistake in words. sort: a key of SORTS. explanation: what it does to the result, in one sentence.

    hint: where to look; it does not give the solution away, `solution` does. lines: patterns for the line of
    code where this step probably is, the most telling first. like: the id that this one is another name of.
    """

    slug: str
    sort: str
    title: str
    explanation: str
    hint: str
    solution: str
    lines: tuple[str, ...]
    room: str
    like: str = ""


@cache
def entries() -> Mapping[str, Entry]:
    """Id -> entry, in the order of the files."""
    steps = _read("steps")
    found: dict[str, Entry] = {}
    for room in FILES:
        for slug, words in _read(room).items():
            if "like" in words:
                same = found[words["like"]]
                found[slug] = Entry(**{**vars(same), "slug": slug, "like": same.slug})
            else:
                words["lines"] = tuple(_patterns(words["lines"], steps))
                found[slug] = Entry(slug=slug, room=room, **words)
    return found


def entry(slug: str) -> Entry:
    """The words for an id; LookupError for one that is not in the catalogue.

    >>> entry("no-scale").title
    'the scores are not scaled'
    """
    if slug not in entries():
        raise LookupError(f"{slug} is not in the catalogue of mistakes")
    return entries()[slug]


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((WORDS / f"{name}.toml").read_text(encoding="utf-8"))


def _patterns(lines: list[str], steps: Mapping[str, list[str]]) -> Iterator[str]:
    """The patterns of an entry, "@scale" standing for those of a step."""
    for each in lines:
        if each.startswith("@"):
            yield from steps[each[1:]]
        else:
            yield each
