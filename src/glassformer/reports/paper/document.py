"""What a paper is made of, before it becomes PDF or HTML. Nothing here knows what it is about."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal, TypeAlias

Kind: TypeAlias = Literal["pdf", "svg"]


@dataclass(frozen=True)
class Code:
    """Words as they are typed or stored: a command, an option, a checksum."""

    words: str


@dataclass(frozen=True)
class Paragraph:
    """Sentences, in pieces that are plain or code."""

    pieces: tuple[str | Code, ...]


@dataclass(frozen=True)
class Bullets:
    """Paragraphs of a list."""

    entries: tuple[Paragraph, ...]


@dataclass(frozen=True)
class Table:
    """Rows under headings. left: the columns of words, set to the left; figures stand to the right.

    wide: the column of long texts, which takes the room that is left. strong: the rows it is about.
    """

    headings: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    caption: str
    left: tuple[int, ...] = (0,)
    wide: int | None = None
    strong: tuple[int, ...] = ()


@dataclass(frozen=True)
class Figure:
    """A picture. draw: 'pdf' or 'svg' to the bytes of it; alt: what it shows, for those who cannot see it.

    width: share of the room it stands in; height: centimetres at most, 0 for any.
    """

    draw: Callable[[Kind], bytes]
    caption: str
    alt: str
    width: float = 1.0
    height: float = 0.0


@dataclass(frozen=True)
class Facts:
    """Names and values, a line each."""

    rows: tuple[tuple[str, str | Code], ...]


@dataclass(frozen=True)
class Markdown:
    """Text of the user's own."""

    text: str


@dataclass(frozen=True)
class Beside:
    """Two columns. share: the part of the width that the left one has."""

    left: tuple["Block", ...]
    right: tuple["Block", ...]
    share: float = 0.5


Block: TypeAlias = Paragraph | Bullets | Table | Figure | Facts | Markdown | Beside


@dataclass(frozen=True)
class Section:
    """A heading and what stands under it."""

    heading: str
    blocks: tuple[Block, ...]


@dataclass(frozen=True)
class Document:
    """A whole paper."""

    title: str
    author: str
    date: str
    sections: tuple[Section, ...] = field(default_factory=tuple)


def said(*pieces: str | Code) -> Paragraph:
    """A paragraph of these pieces."""
    return Paragraph(tuple(pieces))
