"""Sizes that change with the input become symbols: `batch`, `tokens`, `sources`, `targets`.

A size is an int, or a sum of products such as `tokens + 1` or `4 · tokens`, found by running the model at
several sizes, and checked at every one of them.
"""

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import torch
from torch import Tensor

Dim = int | str
Shape = tuple[Dim, ...]
Sizes = dict[str, int]

AXES = {
    "tokens": ("ids", "mask"),
    "sources": ("source", "source_mask"),
    "targets": ("target", "target_mask"),
}
"""Symbol -> the tensors of a batch whose second axis it is; `labels` of two axes go with the targets."""


def lengths_of(batch: Mapping[str, Any]) -> Sizes:
    """The lengths that a batch has."""
    return {
        symbol: batch[names[0]].shape[1]
        for symbol, names in AXES.items()
        if isinstance(batch.get(names[0]), Tensor) and batch[names[0]].ndim == 2
    }


def resized(batch: Mapping[str, Any], sizes: Sizes) -> dict[str, Any]:
    """The batch at other sizes: rows and columns taken again from the first, or left out.

    Masks become None, which means that every token is real: shapes do not depend on them.
    """
    changed: dict[str, Any] = {}
    for name, part in batch.items():
        symbols = [symbol for symbol, names in AXES.items() if name in names]
        if name == "labels" and isinstance(part, Tensor) and part.ndim == 2 and "targets" in sizes:
            symbols = ["targets"]
        if name in ("mask", "source_mask", "target_mask"):
            changed[name] = None
            continue
        if not isinstance(part, Tensor):
            changed[name] = part
            continue
        part = part[torch.arange(sizes["batch"]) % len(part)]
        if symbols and symbols[0] in sizes and part.ndim > 1:
            part = part[:, torch.arange(sizes[symbols[0]]) % part.shape[1]]
        changed[name] = part
    return changed


def symbolic(values: Sequence[int], sizes: Sequence[Sizes]) -> Dim | None:
    """The one size that is values[i] where the symbols are sizes[i]; None where none is found.

    >>> symbolic([8, 9, 8], [{"batch": 2, "tokens": 7}, {"batch": 2, "tokens": 8}, {"batch": 3, "tokens": 7}])
    'tokens + 1'
    """
    if len(set(values)) == 1:
        return values[0]
    names = list(sizes[0])
    products = [(name,) for name in names] + list(combinations(names, 2))
    for product in products:
        factor = [math.prod(each[name] for name in product) for each in sizes]
        moved = next((i for i, each in enumerate(factor) if each != factor[0]), None)
        if moved is None:
            continue
        rise, change = factor[moved] - factor[0], values[moved] - values[0]
        if change % rise or change // rise < 1:
            continue
        times, rest = change // rise, values[0] - change // rise * factor[0]
        if all(times * f + rest == value for f, value in zip(factor, values, strict=True)):
            term = " · ".join([*([str(times)] if times > 1 else []), *product])
            return f"{term} {'+' if rest > 0 else '-'} {abs(rest)}" if rest else term
    for first, second in combinations(names, 2):
        rest = values[0] - sizes[0][first] - sizes[0][second]
        if all(e[first] + e[second] + rest == value for e, value in zip(sizes, values, strict=True)):
            return f"{first} + {second}" + (f" {'+' if rest > 0 else '-'} {abs(rest)}" if rest else "")
    return None


def size_at(dim: Dim, sizes: Sizes) -> int:
    """The number that a size is, where its symbols are these.

    >>> size_at("4 · tokens + 1", {"tokens": 3})
    13
    """
    if isinstance(dim, int):
        return dim
    terms = dim.replace(" - ", " + -").split(" + ")
    return sum(
        math.prod(sizes[factor] if factor in sizes else int(factor) for factor in term.split(" · "))
        for term in terms
    )


def shown(shape: Shape) -> str:
    """A shape on one line, as people write it."""
    parts = (f"{dim:,}" if isinstance(dim, int) else dim for dim in shape)
    return " × ".join(
        f"({part})" if " + " in part or " · " in part or " - " in part else part for part in parts
    )
