"""The known mistakes in words."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Entry:
    """sort: error, convention, contract (it decides) or unknown. lines: patterns of the step."""

    slug: str
    sort: str = "error"
    title: str = ""
    explanation: str = ""
    hint: str = ""
    solution: str = ""
    lines: tuple[str, ...] = ()


ENTRIES: dict[str, Entry] = {}
