"""How a part is called: which argument takes what, by its name first, then by trying."""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice, product
from typing import Any

import numpy as np

from glassformer.checking.exchange import Argument, Built
from glassformer.checking.names import SIZES

Probe = Mapping[str, Any]
"""What is given, by name: arrays and numbers."""


SHARED = "shared"
"""The group of what several arguments may take at once."""


@dataclass(frozen=True)
class Feed:
    """What an argument may take. pattern: on its whole name, in lower case. group: one of a group at most."""

    what: str
    pattern: str
    give: Callable[[Probe], Any]
    group: str = ""

    def fits(self, argument: Argument) -> bool:
        return re.fullmatch(self.pattern, argument.name.lower().strip("_")) is not None


def feed(name: str, pattern: str) -> Feed:
    """For what stands in the probe under this name."""
    return Feed(name, pattern, lambda probe: probe[name])


def sized(role: str, more: str = "") -> Feed:
    """For a size that is known by the names of `names.SIZES`, or by another pattern."""
    known = "|".join(re.escape(each) for each in SIZES.get(role, ()))
    found = feed(role, f"{known}|{more}" if more else known)
    return replace(found, group=SHARED) if role in ("bias", "dropout") else found


Feeding = Mapping[str, Feed]
"""Argument -> what it takes."""


def feedings(
    arguments: Sequence[Argument], feeds: Sequence[Feed], *, by_name: bool = True, limit: int = 80
) -> Iterator[Feeding]:
    """Ways to fill a signature. by_name: only such as fit the names, where any does."""
    names, options = [], []
    for argument in arguments:
        if argument.kind in ("args", "kwargs"):
            continue
        fitting = [each for each in feeds if each.fits(argument)]
        if argument.required and (not fitting or not by_name):
            fitting += [each for each in feeds if each not in fitting]
        if fitting:
            names.append(argument.name)
            options.append(fitting)
    for chosen in islice(product(*options), limit):
        groups = [each.group or each.what for each in chosen if each.group != SHARED]
        if len(set(groups)) == len(groups):
            yield dict(zip(names, chosen, strict=True))


@dataclass(frozen=True, eq=False)
class Way:
    """A built thing and how to call it."""

    built: Built
    values: Mapping[str, np.ndarray]
    takes: Feeding
    made: Mapping[str, Any]
    positional: tuple[str, ...] = ()
    """Arguments that are given by place."""

    def given(self, probe: Probe) -> tuple[list[Any], dict[str, Any]]:
        """Arguments and keywords for a probe."""
        everything = {name: each.give(probe) for name, each in self.takes.items()}
        return (
            [everything[name] for name in self.positional if name in everything],
            {name: value for name, value in everything.items() if name not in self.positional},
        )

    def takes_a(self, what: str) -> str | None:
        """The argument that takes it."""
        return next((name for name, each in self.takes.items() if each.what == what), None)


def batch_first_said(words: str, known: bool | None) -> bool | None:
    """What the words beside the code say of the first two axes; `known` is what else is known of it."""
    if known is not None:
        return known
    batch, length = r"(b|n|batch\w*)", r"(l|t|s|n|seq\w*|length|tokens|time)"
    for first, second, answer in ((length, batch, False), (batch, length, True)):
        if re.search(rf"[\[(]\s*{first}\s*,\s*{second}\s*,", words.lower()):
            return answer
    return None
