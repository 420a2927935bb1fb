"""Examples: which numbers land in which head, and in which token of a grid."""

from collections.abc import Callable
from dataclasses import replace

import torch
from torch import Tensor

from glassformer.checking import attention_mistakes as known
from glassformer.checking.attention import GRID, RIGHT, Sizes, Steps, Weights, attend
from glassformer.checking.example_sides import Sides, floats, table, weights_of
from glassformer.checking.examples_attention import steps_of

SIZES = Sizes(4, 2, 2)
TOKENS = floats([11, 12, 13, 14], [21, 22, 23, 24])[None]
"""Feature j of token i is the number ij."""
PICTURE = floats([11, 12, 13, 14], [21, 22, 23, 24]).reshape(1, 2, 2, 2)
"""Place j of channel i is the number ij."""


def _split(slug: str) -> Sides:
    what = "number 23 is feature 3 of token 2; what the two heads get, row by row a token"
    return Sides(what, *(_heads(steps.split(TOKENS, SIZES)) for steps in (RIGHT, steps_of(slug))))


def _heads(y: Tensor) -> str:
    lines = [table(each, 0).splitlines() for each in y[0]]
    return "\n".join(
        f"head {number}: {' | '.join(' '.join(line.split()) for line in each)}"
        for number, each in enumerate(lines, 1)
    )


def _merge(slug: str) -> Sides:
    context = RIGHT.split(TOKENS, SIZES)
    what = "number 23 is feature 3 of token 2; the heads' results laid side by side, a row a token"
    return Sides(what, *(table(steps.merge(context, SIZES)[0], 0) for steps in (RIGHT, steps_of(slug))))


def _projection(slug: str) -> Sides:
    """The queries of one token for two heads, of all its features; and otherwise."""
    x = floats([1, 2, 10, 20])
    if slug == "heads-on-slices":
        weight = torch.ones(4, 4, dtype=torch.float64)
        wrong = torch.block_diag(weight[:2, :2], weight[2:, 2:])
        what = "x = [1 2 10 20], all weights of W_q are 1, two heads; their queries"
    else:
        weight = torch.eye(4, dtype=torch.float64)
        wrong = weight[:, :2].repeat(1, 2)
        what = "x = [1 2 10 20], W_q leaves as it is, two heads; their queries"
    return Sides(what, *(_heads(RIGHT.split((x @ each)[None], SIZES)) for each in (weight, wrong)))


def _one_head() -> Sides:
    """Scores of one query in each of two heads; one head of all features has their sum."""
    scores = floats([6, 0, 0], [0, 0, 6])
    right = weights_of(scores[None, :, None], d_head=4)[0, :, 0]
    wrong = weights_of(scores.sum(0)[None, None, None], d_head=8)[0, 0]
    what = "weights of one query over three keys: head 1 wants the first key, head 2 the third"
    return Sides(what, table(right, names=["head 1", "head 2"]), table(wrong, names=["all   "]))


def _heads_to_heads() -> Sides:
    """The axes of tokens and heads exchanged before the scores."""
    swapped = replace(
        RIGHT,
        split=lambda y, sizes: y.reshape(y.shape[0], y.shape[1], sizes.heads, -1),
        merge=lambda context, sizes: context.flatten(2),
    )
    x = floats([0, 0, 0, 0], [0, 0, 0, 40])[None]
    what = "token 1 is [0 0 0 0], token 2 is [0 0 0 40], two heads; the output of both"
    return Sides(what, *(table(_output(x, steps), 0) for steps in (RIGHT, swapped)))


def _output(x: Tensor, steps: Steps) -> Tensor:
    return attend((x, x, x), Weights(), SIZES, steps=steps)[0]


def _batch() -> Sides:
    """All scores are zero, so that each output is the mean of what is attended to."""
    values = floats([11, 12, 13], [21, 22, 23])[..., None]
    zero = torch.zeros_like(values)
    sizes = Sizes(1, 1, 1)
    names = ["sequence 1", "sequence 2"]
    what = "values 11 12 13 in sequence 1, 21 22 23 in sequence 2; every weight is even; the output"
    return Sides(
        what,
        *(
            table(attend((zero, zero, values), Weights(), sizes, steps=steps)[..., 0], 0, names)
            for steps in (RIGHT, steps_of("batch-length-swapped"))
        ),
    )


def _unequal() -> Sides:
    """A view of three keys as if they were two, as there are queries."""
    keys, names, said = floats([11], [12], [13]), ["key 1", "key 2", "key 3"], ""
    try:
        keys.view(2, 1)
    except RuntimeError as error:
        said = f"RuntimeError: {error}"
    what = "2 queries, 3 keys of one feature each: 11, 12, 13; the keys, cut for the heads"
    return Sides(what, table(keys.view(3, 1), 0, names), said)


def _grid(slug: str) -> Sides:
    wrong = next(each for each in known.GRID if each.slug == slug).on(GRID)
    what = "two channels of 2 x 2 pixels, 23 is pixel 3 of channel 2; the tokens, a row each"
    return Sides(what, *(table(steps.enter(PICTURE)[0], 0) for steps in (GRID, wrong)))


EXAMPLES: dict[str, Callable[[], Sides]] = {
    **{slug: (lambda slug=slug: _split(slug)) for slug in ("split-without-transpose", "interleaved-heads")},
    **{slug: (lambda slug=slug: _merge(slug)) for slug in ("merge-without-transpose", "heads-averaged")},
    **{slug: (lambda slug=slug: _projection(slug)) for slug in ("heads-on-slices", "heads-share-projection")},
    "one-big-head": _one_head,
    "heads-attend-to-heads": _heads_to_heads,
    "batch-length-swapped": _batch,
    "equal-lengths-only": _unequal,
    **{slug: (lambda slug=slug: _grid(slug)) for slug in ("grid-flattened-by-view", "grid-columns-first")},
}
