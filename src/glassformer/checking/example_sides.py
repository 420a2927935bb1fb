"""What an example consists of, and how its numbers are set."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.attention import BARE, RIGHT, Masks, Sizes, Steps, Weights, attend

UNMASKED = Masks()


class Sides(NamedTuple):
    """what: the numbers that go in, in words. right and wrong: what comes out, a line a row."""

    what: str
    right: str
    wrong: str


def table(rows: Tensor | np.ndarray | Sequence, digits: int = 2, names: Sequence[str] = ()) -> str:
    """Aligned numbers, a line a row; a name in front of each where there are names.

    >>> print(table([[1, 20], [3, 4]], 0, ["a", "b"]))
    a    1 20
    b    3  4
    """
    if isinstance(rows, (Tensor, np.ndarray)):
        rows = rows.tolist()
    if rows and not isinstance(rows[0], (list, tuple)):
        rows = [rows]
    cells = [[each if isinstance(each, str) else number(each, digits) for each in row] for row in rows]
    width = max(len(cell) for row in cells for cell in row)
    lines = [" ".join(f"{cell:>{width}}" for cell in row) for row in cells]
    if names:
        longest = max(map(len, names))
        lines = [f"{name:{longest}}   {line}" for name, line in zip(names, lines, strict=True)]
    return "\n".join(lines)


def number(value: float, digits: int = 2) -> str:
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0 else text


def floats(*rows: Sequence[float]) -> Tensor:
    return torch.tensor(rows, dtype=torch.float64)


def attended(q: Tensor, k: Tensor, v: Tensor, steps: Steps, masks: Masks = UNMASKED, **sizes: int) -> Tensor:
    """The reference's output for q, k and v that are (batch, heads, tokens, d_head) already."""
    chosen = Sizes(
        **{"d_model": q.shape[1] * q.shape[-1], "heads": q.shape[1], "d_head": q.shape[-1], **sizes}
    )
    bare = replace(steps, split=BARE.split, merge=BARE.merge)
    return attend((q, k, v), Weights(), chosen, masks, bare)


def weights_of(scores: Tensor, steps: Steps = RIGHT, masks: Masks = UNMASKED, **sizes: int) -> Tensor:
    """The weights that the steps make of these scores (batch, heads, queries, keys), before any scale.

    The keys and the values are unit vectors: so a query is its scores, and the output is the weights.
    """
    keys = scores.shape[-1]
    unit = torch.eye(keys, dtype=torch.float64).expand(*scores.shape[:2], keys, keys)
    return attended(scores, unit, unit, steps, masks, **sizes)
