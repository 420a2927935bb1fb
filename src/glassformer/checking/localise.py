"""Where an unknown mistake begins: the first quantity of attention that the code does not compute.

A step of the code is one of the reference's quantities if it holds the same numbers in any order and shape,
whole or head by head: so neither layouts nor loops over the heads matter.
"""

from collections.abc import Mapping, Sequence

import numpy as np

from glassformer.checking.exchange import Step
from glassformer.checking.judging import EXACT, Place

QUANTITIES = ("queries", "keys", "values", "scores", "weights", "context", "output")
"""In the order in which attention computes them."""


def localise(steps: Sequence[Step], wanted: Mapping[str, np.ndarray]) -> Place:
    """The first of the `QUANTITIES` that is not among the steps, of code whose output is wrong.

    wanted: by quantity, (batch, heads, ...).
    """
    kept = [(each, np.sort(each.value, None)) for each in steps]
    lines = {name: _line(kept, value) for name, value in wanted.items()}
    found = [name for name in QUANTITIES[:-1] if lines.get(name) is not None]
    if not found:
        return Place("", 0, QUANTITIES[0])
    last = found[-1]
    return Place(last, lines[last] or 0, QUANTITIES[QUANTITIES.index(last) + 1])


def _line(steps: Sequence[tuple[Step, np.ndarray]], value: np.ndarray) -> int | None:
    """The line of the first step that holds these numbers, or of the one that holds the last head's."""
    whole = _first(steps, value)
    if whole is not None or value.ndim != 4:
        return whole
    heads = [_first(steps, value[:, head]) for head in range(value.shape[1])]
    return None if any(each is None for each in heads) else heads[-1]


def _first(steps: Sequence[tuple[Step, np.ndarray]], value: np.ndarray) -> int | None:
    ordered = np.sort(value, None)
    size = float(np.linalg.norm(ordered)) or 1.0
    for step, numbers in steps:
        if numbers.size == ordered.size and np.linalg.norm(numbers - ordered) <= EXACT * size:
            return step.line
    return None
