"""Examples: the scale, the softmax, and which tensor is which."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from glassformer.checking import attention_mistakes as known
from glassformer.checking.attention import RIGHT, Projection, Sizes, Steps, Weights, attend
from glassformer.checking.example_sides import Sides, attended, floats, table, weights_of

ALL = (*known.CORE, *known.PADDING, *known.CAUSAL, *known.HIDING, *known.COMBINED)
BANK = {slug: [each for each in ALL if each.slug == slug] for slug in {each.slug for each in ALL}}
"""Slug -> the ways to make this mistake."""
D_K = 4
SCORES = floats([4, 2, 0])[None, None]
PAIRS = floats([3, 0, 0], [2, 1, 0], [0, 2, 1])
"""Scores of three queries and three keys, after the scale."""


def steps_of(slug: str, way: int = 0) -> Steps:
    return BANK[slug][way].on(RIGHT)


def _scaled(slug: str) -> Sides:
    wide = slug == "scale-by-d-model"
    sizes = {"d_head": D_K, "heads": 4 if wide else 1, "d_model": 4 * D_K if wide else D_K}
    right, wrong = (weights_of(SCORES, steps, **sizes)[0, 0] for steps in (RIGHT, steps_of(slug)))
    widths = "4 heads, d_k = 4, d_model = 16;" if wide else "d_k = 4;"
    what = f"weights of one query over three keys; {widths} scores 4, 2, 0"
    return Sides(what, table(right), table(wrong))


def _softmax(slug: str) -> Sides:
    """Three queries, three keys; d_head = 1, so that the scale divides by one."""
    scores = PAIRS[None, None]
    right, wrong = (weights_of(scores, steps, d_head=1)[0, 0] for steps in (RIGHT, steps_of(slug)))
    what = "weights, a row a query and a column a key; the same scores on both sides"
    return Sides(what, _with_sums(right), _with_sums(wrong))


def _with_sums(weights: Tensor, names: Sequence[str] = ()) -> str:
    lines = table(weights, names=names).splitlines()
    return "\n".join(f"{line}   sum {row.sum():.2f}" for line, row in zip(lines, weights, strict=True))


def _across(slug: str, axis: str) -> Sides:
    """One query each in two heads, or in two sequences."""
    scores = floats([2, 0, 0], [0, 1, 2])[:, None, :]
    scores = scores[None] if axis == "head" else scores[:, None]
    right, wrong = (weights_of(scores, steps, d_head=1).reshape(2, 3) for steps in (RIGHT, steps_of(slug)))
    names = [f"{axis} 1", f"{axis} 2"]
    what = f"weights of one query over three keys, in two {axis}s"
    return Sides(what, _with_sums(right, names), _with_sums(wrong, names))


def _roles(slug: str) -> Sides:
    """Queries, keys and values of two tokens, exchanged."""
    q, k, v = floats([4, 0], [0, 1]), floats([1, 0], [2, 3]), floats([10, 1], [20, 2])
    wrong = replace(RIGHT, sources=("k", "q", "v") if slug == "q-k-swapped" else ("q", "v", "k"))
    given = q[None, None], k[None, None], v[None, None]
    what = "two tokens: q = [4 0], [0 1];  k = [1 0], [2 3];  v = [10 1], [20 2]; the output"
    return Sides(what, *(table(attended(*given, steps)[0, 0]) for steps in (RIGHT, wrong)))


def _mixed(slug: str) -> Sides:
    """The first token looks at both, the second only at itself."""
    q, k, v = floats([0, 0], [0, 9]), floats([0, 0], [0, 9]), floats([10, 0], [0, 20])
    given = q[None, None], k[None, None], v[None, None]
    what = "weights [0.5 0.5] and [0 1]; v = [10 0], [0 20]; the output, a row a query"
    return Sides(what, *(table(attended(*given, steps)[0, 0]) for steps in (RIGHT, steps_of(slug))))


def _projected(steps: Steps, weights: Weights, x: Tensor) -> Tensor:
    return attend((x[None],) * 3, weights, Sizes(2, 1, 2), steps=steps)[0]


def _projections(slug: str) -> Sides:
    one, shifted = floats([1, 0], [0, 1]), floats([1, 2], [0, 1])
    bias = torch.tensor([5.0, 7.0], dtype=torch.float64)
    x = floats([1, 2], [3, 4])
    plain = Projection(one)
    q = k = plain
    if slug == "no-output-projection":
        weights, wrong = Weights(q, k, plain, Projection(10 * one)), steps_of(slug)
        what = "x = [1 2], [3 4]; W_o multiplies by 10; the output"
    elif slug == "missing-bias":
        weights, wrong = Weights(q, k, plain, Projection(one, bias)), replace(RIGHT, unbiased=("o",))
        what = "x = [1 2], [3 4]; the output's bias is [5 7]; the output"
    elif slug == "weights-transposed":
        weights, wrong = Weights(q, k, Projection(shifted), plain), replace(RIGHT, transposed=("v",))
        what = "x = [1 2], [3 4]; W_v = [1 2], [0 1]; the output"
    else:
        weights, wrong = Weights(q, k, Projection(10 * one)), replace(RIGHT, roles=("q", "k", "k"))
        what = "x = [1 2], [3 4]; W_k leaves as it is, W_v multiplies by 10; v comes from W_k; the output"
    return Sides(what, *(table(_projected(steps, weights, x)) for steps in (RIGHT, wrong)))


def _key_bias() -> Sides:
    """The scores move, each row as a whole."""
    q, k, bias = floats([1, 0], [2, 1]), floats([1, 0], [0, 1]), floats([3, 1])
    with_bias, without = q @ (k + bias).T / math.sqrt(2), q @ k.T / math.sqrt(2)
    assert torch.allclose(torch.softmax(with_bias, -1), torch.softmax(without, -1))
    what = "scores of two queries, a row each: a bias lifts the whole row, and the weights stay"
    return Sides(what, table(with_bias), table(without))


def _cross() -> Sides:
    own, memory = floats([1, 0], [0, 1]), floats([10, 10], [20, 20], [30, 30])
    given = own[None, None], memory[None, None], memory[None, None]
    what = "queries from [1 0], [0 1]; keys and values from [10 10], [20 20], [30 30]; the output"
    return Sides(
        what, *(table(attended(*given, s)[0, 0]) for s in (RIGHT, steps_of("cross-attends-to-itself")))
    )


def _order() -> Sides:
    q, k, v = floats([1, 0]), floats([1, 0], [0, 1]), floats([10, 0], [0, 10])
    given = q[None, None], k[None, None], v[None, None]
    what = "called with query=[1 0], key=[1 0], [0 1], value=[10 0], [0 10]; the output"
    turned = replace(RIGHT, sources=("q", "v", "k"))
    return Sides(what, *(table(attended(*given, steps)[0, 0]) for steps in (RIGHT, turned)))


def _free() -> Sides:
    """Attention without parameters: the output is softmax(x x^T) x."""
    scores = floats([4, 2, 0])[None, None]
    unscaled = replace(RIGHT, scale=lambda scores, sizes: scores)
    right, wrong = (weights_of(scores, steps, d_head=4)[0, 0] for steps in (unscaled, RIGHT))
    what = "weights of one token over three; d = 4, and the dot products are 4, 2, 0"
    return Sides(what, table(right), table(wrong))


def _gradient() -> Sides:
    """What reaches the queries when the weights are cut off."""

    def slope(steps: Steps) -> Tensor:
        q = floats([1, 2])[None, None].requires_grad_()
        k = floats([1, 0], [0, 1])[None, None]
        v = (floats([1, 0], [0, 1])[None, None] * 10).requires_grad_()
        attended(q, k, v, steps)[..., 0].sum().backward()
        return torch.zeros(2) if q.grad is None else q.grad[0, 0, 0]

    cut = replace(RIGHT, normalise=lambda scores: torch.softmax(scores, -1).detach())
    what = "q = [1 2], k = [1 0], [0 1], v = 10 k, weights.detach(); the gradient of the queries"
    return Sides(what, table(slope(RIGHT)), table(slope(cut)))


def _single() -> Sides:
    scores = floats([1, 2, 3])[None, None]
    low = replace(RIGHT, normalise=lambda each: torch.softmax(each.float(), -1).double())
    right, wrong = (weights_of(scores, steps, d_head=1)[0, 0] for steps in (RIGHT, low))
    what = "weights of one query over three keys, scores 1, 2, 3: twelve digits"
    return Sides(what, table(right, 12), table(wrong, 12))


EXAMPLES: dict[str, Callable[[], Sides]] = {
    **{
        slug: (lambda slug=slug: _scaled(slug))
        for slug in (
            "no-scale", "scale-by-d-model", "scale-by-d-k", "scale-by-length", "scale-multiplied",
            "scale-after-softmax",
        )
    },
    **{
        slug: (lambda slug=slug: _softmax(slug))
        for slug in ("softmax-over-queries", "softmax-twice", "no-softmax", "log-softmax")
    },
    "softmax-over-heads": lambda: _across("softmax-over-heads", "head"),
    "softmax-over-batch": lambda: _across("softmax-over-batch", "sequence"),
    **{slug: (lambda slug=slug: _roles(slug)) for slug in ("q-k-swapped", "k-v-swapped")},
    **{
        slug: (lambda slug=slug: _mixed(slug))
        for slug in ("attention-weights-transposed", "values-not-mixed")
    },
    **{
        slug: (lambda slug=slug: _projections(slug))
        for slug in ("no-output-projection", "missing-bias", "weights-transposed", "wrong-projection")
    },
    "missing-key-bias": _key_bias,
    "cross-attends-to-itself": _cross,
    "arguments-in-another-order": _order,
    "scaled-where-none-is-meant": _free,
    "gradient-stopped": _gradient,
    "single-precision-inside": _single,
}  # fmt: skip
