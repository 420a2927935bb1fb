"""Every mistake by its id: what it is called, what it does, where to look. The words stand in words/*.toml.

Words are no code: a file of words can be read, and put right, by whoever knows what learners understand.
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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

    remark, remark_title: the same where it is no mistake but a remark. hint: where to look; it does not give
    the solution away, `solution` does, and `kernel` for code on top of torch's own attention. lines: patterns
    for the line of code where this step probably is, the most telling first. room: the file of words that it
    stands in. like: the id that this one is another name of.
    """

    slug: str
    sort: str = "error"
    title: str = ""
    explanation: str = ""
    remark: str = ""
    remark_title: str = ""
    hint: str = ""
    solution: str = ""
    kernel: str = ""
    lines: tuple[str, ...] = ()
    room: str = ""
    like: str = ""


def entry(slug: str) -> Entry:
    """The words for an id; LookupError for one that is not in the catalogue.

    >>> entry("no-scale").title
    'the scores are not scaled'
    """
    if slug not in ENTRIES:
        raise LookupError(f"{slug} is not in the catalogue of mistakes")
    return ENTRIES[slug]


def _entries() -> Iterator[Entry]:
    steps = _read("steps")
    for room in FILES:
        words = _read(room)
        for slug, own in words.items():
            like = own.get("like", "")
            said: dict[str, Any] = dict(words[like] if like else own)
            lines = tuple(_patterns(said.pop("lines"), steps))
            yield Entry(slug, lines=lines, room=room, like=like, **said)


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads((WORDS / f"{name}.toml").read_text(encoding="utf-8"))


def _patterns(lines: list[str], steps: Mapping[str, list[str]]) -> Iterator[str]:
    """The patterns of an entry, "@scale" standing for those of a step."""
    for each in lines:
        if each.startswith("@"):
            yield from steps[each[1:]]
        else:
            yield each


ENTRIES: Mapping[str, Entry] = {each.slug: each for each in _entries()}
"""Id -> entry, in the order of the files."""
