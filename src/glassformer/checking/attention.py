"""The checker's own attention: every step can be replaced, so that a mistake is one step done otherwise.

    O = concat_h( softmax(Q_h K_h^T / sqrt(d_head), masked) V_h ) W_o + b_o        (Vaswani et al. 2017, 3.2)

Written apart from `glassformer.nn` on purpose, and tested against torch.nn: two witnesses who never met.
Float64 throughout; x (batch, tokens, d_model), heads inside as (batch, heads, tokens, d_head).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor


@dataclass(frozen=True)
class Projection:
    """y = x W + b. weight: (in, out), the transpose of what nn.Linear keeps."""

    weight: Tensor
    bias: Tensor | None = None

    def __call__(self, x: Tensor) -> Tensor:
        y = x @ self.weight
        return y if self.bias is None else y + self.bias


@dataclass(frozen=True)
class Weights:
    """The projections of one attention layer; None where there is none."""

    q: Projection | None = None
    k: Projection | None = None
    v: Projection | None = None
    o: Projection | None = None

    def get(self, role: str) -> Projection | None:
        return {"q": self.q, "k": self.k, "v": self.v, "o": self.o}[role]


@dataclass(frozen=True)
class Sizes:
    """heads and d_head as the module was built; d_model of its output."""

    d_model: int
    heads: int
    d_head: int


@dataclass(frozen=True)
class Masks:
    """padding: (batch, keys), True = a real token. causal: no query sees later keys."""

    padding: Tensor | None = None
    causal: bool = False


def softmax(scores: Tensor, dim: int = -1) -> Tensor:
    return torch.softmax(scores, dim)


def _split(y: Tensor, sizes: Sizes) -> Tensor:
    return y.reshape(y.shape[0], y.shape[1], sizes.heads, -1).transpose(1, 2)


def _merge(context: Tensor, sizes: Sizes) -> Tensor:
    return context.transpose(1, 2).flatten(2)


def _padding(masks: Masks, scores: Tensor) -> Tensor | None:
    return None if masks.padding is None else masks.padding[:, None, None, :]


def causal_up_to(diagonal: int) -> Callable[[Masks, Tensor], Tensor | None]:
    """Query i sees the keys up to i + diagonal."""

    def causal(masks: Masks, scores: Tensor) -> Tensor | None:
        return torch.ones(scores.shape[-2:], dtype=torch.bool).tril(diagonal) if masks.causal else None

    return causal


_causal = causal_up_to(0)


def _both(padding: Tensor | None, causal: Tensor | None) -> Tensor | None:
    if padding is None or causal is None:
        return causal if padding is None else padding
    return padding & causal


def _hide(scores: Tensor, allowed: Tensor) -> Tensor:
    return scores.masked_fill(~allowed, -math.inf)


def _same(value: Tensor, *_: object) -> Tensor:
    return value


def _mix(shares: Tensor, v: Tensor) -> Tensor:
    return shares @ v


@dataclass(frozen=True)
class Steps:
    """One attention, step by step. Each mistake of the bank replaces one field or two.

    sources: which input q, k and v are made of. roles: which projection makes them. enter: an input as
    (batch, tokens, d_model). leave: the output in the form of the input, which it is given too.
    """

    sources: tuple[str, str, str] = ("q", "k", "v")
    roles: tuple[str, str, str] = ("q", "k", "v")
    unbiased: tuple[str, ...] = ()
    transposed: tuple[str, ...] = ()
    enter: Callable[[Tensor], Tensor] = _same
    leave: Callable[[Tensor, Tensor], Tensor] = _same
    split: Callable[[Tensor, Sizes], Tensor] = _split
    scale: Callable[[Tensor, Sizes], Tensor] = lambda scores, sizes: scores / math.sqrt(sizes.d_head)
    padding: Callable[[Masks, Tensor], Tensor | None] = _padding
    causal: Callable[[Masks, Tensor], Tensor | None] = _causal
    both: Callable[[Tensor | None, Tensor | None], Tensor | None] = _both
    hide: Callable[[Tensor, Tensor], Tensor] = _hide
    normalise: Callable[[Tensor], Tensor] = softmax
    after: Callable[[Tensor, Tensor | None, Sizes], Tensor] = _same
    mix: Callable[[Tensor, Tensor], Tensor] = _mix
    merge: Callable[[Tensor, Sizes], Tensor] = _merge
    output: bool = True


RIGHT = Steps()
UNSCALED = replace(RIGHT, scale=_same)
BARE = replace(RIGHT, split=_same, merge=_same)
"""For q, k and v that are (batch, heads, tokens, d_head) already."""
GRID = replace(
    RIGHT,
    enter=lambda x: x.flatten(2).transpose(1, 2),
    leave=lambda output, x: output.transpose(1, 2).unflatten(2, x.shape[2:]),
)
"""For x (batch, channels, height, width)."""


def attend(
    inputs: tuple[Tensor, Tensor, Tensor],
    weights: Weights,
    sizes: Sizes,
    masks: Masks = Masks(),
    steps: Steps = RIGHT,
    seen: dict[str, Tensor] | None = None,
) -> Tensor:
    """The output (batch, queries, d_model); raises what torch raises where the steps do not fit together.

    seen: filled with what is computed on the way, by its name.
    """
    given: dict[str, Tensor] = {"q": inputs[0], "k": inputs[1], "v": inputs[2]}
    made = []
    for source, role in zip(steps.sources, steps.roles, strict=True):
        x = steps.enter(given[source])
        projection = weights.get(role)
        made.append(x if projection is None else _projected(projection, x, role, steps))
    q, k, v = (steps.split(each, sizes) for each in made)
    scores = steps.scale(q @ k.transpose(-2, -1), sizes)
    allowed = steps.both(steps.padding(masks, scores), steps.causal(masks, scores))
    hidden = scores if allowed is None else steps.hide(scores, allowed)
    shares = steps.after(steps.normalise(hidden), allowed, sizes)
    context = steps.mix(shares, v)
    if seen is not None:
        seen |= {"queries": q, "keys": k, "values": v}
        seen |= {"scores": scores, "weights": shares, "context": context}
    output = steps.merge(context, sizes)
    if weights.o is not None and steps.output:
        output = _projected(weights.o, output, "o", steps)
    return steps.leave(output, inputs[0])


def _projected(projection: Projection, x: Tensor, role: str, steps: Steps) -> Tensor:
    weight = projection.weight.T if role in steps.transposed else projection.weight
    bias = None if role in steps.unbiased else projection.bias
    return Projection(weight, bias)(x)
