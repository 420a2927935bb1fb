"""Examples: masks on three queries and three keys."""

import math
from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from glassformer.checking.attention import RIGHT, Masks, Steps
from glassformer.checking.example_sides import Sides, floats, table, weights_of
from glassformer.checking.examples_attention import PAIRS, steps_of

EVEN = torch.zeros(1, 1, 3, 3, dtype=torch.float64)
UNEVEN = PAIRS[None, None]
CAUSAL = Masks(causal=True)
LAST_PADDED = Masks(torch.tensor([[True, True, False]]))
QUIET = replace(RIGHT, after=lambda shares, allowed, sizes: shares.nan_to_num())
"""A row that may see nothing gives zeros, as in torch's scaled_dot_product_attention."""


def _weights(what: str, scores: Tensor, masks: Masks, wrong: Steps, right: Steps = RIGHT) -> Sides:
    shown = (weights_of(scores, steps, masks, d_head=1)[0, 0] for steps in (right, wrong))
    return Sides(f"weights, a row a query and a column a key; {what}", *map(table, shown))


def _causal(slug: str, way: int = 0) -> Sides:
    return _weights("equal scores", EVEN, CAUSAL, steps_of(slug, way))


def _padding(slug: str) -> Sides:
    return _weights("equal scores; token 3 is padding", EVEN, LAST_PADDED, steps_of(slug))


def _hidden(slug: str) -> Sides:
    return _weights("token 3 is padding", UNEVEN, LAST_PADDED, steps_of(slug))


def _filled(with_what: float) -> Steps:
    return replace(RIGHT, hide=lambda scores, allowed: scores.masked_fill(~allowed, with_what))


def _both() -> Sides:
    what = "equal scores; causal, and token 3 is padding"
    return _weights(what, EVEN, Masks(LAST_PADDED.padding, True), steps_of("masks-or-ed"))


def _folded() -> Sides:
    """One query of each sequence in each of two heads."""
    padding = torch.tensor([[True, True, False], [True, False, False]])
    scores = torch.zeros(2, 2, 1, 3, dtype=torch.float64)
    names = [f"sequence {s}, head {h}" for s in (1, 2) for h in (1, 2)]
    what = "sequence 1 has two real tokens, sequence 2 one; weights of one query in each of two heads"
    shown = (
        table(weights_of(scores, steps, Masks(padding), d_head=1).reshape(4, 3), names=names)
        for steps in (RIGHT, steps_of("mask-folded-wrongly"))
    )
    return Sides(what, *shown)


def _nothing_to_see(wrong: Steps) -> Sides:
    masks = Masks(torch.zeros(1, 3, dtype=torch.bool))
    scores = floats([3, 0, 0])[None, None]
    shown = (table(weights_of(scores, steps, masks, d_head=1)[0, 0]) for steps in (QUIET, wrong))
    return Sides("weights of one query over three keys, all of which are padding", *shown)


def _lengths(by: int) -> Sides:
    lengths = torch.tensor([[1], [2]])
    right, wrong = (table((torch.arange(3) < lengths + each).long(), 0) for each in (0, by))
    return Sides("sentences of 1 and 2 words in a batch of length 3; 1 = a word", right, wrong)


def _nan() -> Sides:
    scores = torch.tensor([-math.inf, -math.inf])
    what = "weights of a query that may attend to none of two keys; the NaN reaches all that uses them"
    return Sides(what, table(torch.softmax(scores, -1).nan_to_num(0.0)), table(torch.softmax(scores, -1)))


EXAMPLES: dict[str, Callable[[], Sides]] = {
    "padding-one-too-far": lambda: _lengths(1),
    "padding-one-too-short": lambda: _lengths(-1),
    "nan-everywhere": _nan,
    **{
        slug: (lambda slug=slug: _causal(slug))
        for slug in (
            "causal-excludes-self", "causal-one-too-far", "causal-transposed", "causal-forgotten",
        )
    },
    "causal-inverted": lambda: _causal("causal-transposed", 1),
    **{
        slug: (lambda slug=slug: _padding(slug))
        for slug in ("padding-inverted", "padding-ignored", "padding-on-queries")
    },
    "mask-folded-wrongly": _folded,
    "masks-or-ed": _both,
    **{
        slug: (lambda slug=slug: _hidden(slug))
        for slug in ("mask-after-softmax", "mask-multiplied", "mask-added")
    },
    "mask-filled-with-1e-9": lambda: _weights("token 3 is padding", UNEVEN, LAST_PADDED, _filled(1e-9)),
    "filled-with-minus-1e9": lambda: _nothing_to_see(_filled(-1e9)),
    "masked-row-nan": lambda: _nothing_to_see(RIGHT),
}  # fmt: skip
