"""The checker's own transformer block: sublayers, norms and residuals, each step replaceable.

    pre-norm:   x + f(norm(x))          post-norm:  norm(x + f(x))

for f = self-attention, then cross-attention in a decoder, then the feed-forward layer (Vaswani et al. 2017,
figure 1; Xiong et al. 2020, figure 1). Float64; x and memory (batch, tokens, d_model).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from glassformer.checking.attention import RIGHT, Masks, Projection, Sizes, Steps, Weights, attend

NO_MASKS = (Masks(), Masks())


@dataclass(frozen=True)
class Norm:
    """Gain and shift of a layer norm; None where there is none."""

    weight: Tensor | None = None
    bias: Tensor | None = None


@dataclass(frozen=True)
class BlockWeights:
    """attentions: of the self-attention, and of the cross-attention where there is one."""

    attentions: tuple[Weights, ...]
    norms: tuple[Norm, ...]
    first: Projection
    second: Projection


def moments(x: Tensor, eps: float, dims: tuple[int, ...] = (-1,)) -> Tensor:
    """(x - mean) / sqrt(variance + eps), the variance divided by n."""
    centred = x - x.mean(dims, keepdim=True)
    return centred / torch.sqrt(centred.square().mean(dims, keepdim=True) + eps)


def relu(x: Tensor) -> Tensor:
    return x.clamp(min=0)


def gelu(x: Tensor) -> Tensor:
    """x Phi(x), Phi the distribution function of the normal distribution."""
    return x * (1 + torch.erf(x / math.sqrt(2))) / 2


@dataclass(frozen=True)
class Flow:
    """For each sublayer, where its norm stands and what is added to it.

    places: "pre" x + f(n(x)), "post" n(x + f(x)), "after" n(x) + f(n(x)), "before" x + n(f(x)).
    residuals: "own" the sublayer's input, "none", "input" the block's input, "previous" the input of the
    sublayer before.
    """

    places: tuple[str, ...]
    residuals: tuple[str, ...]


@dataclass(frozen=True)
class BlockSteps:
    """One block, step by step. norms: which norm each sublayer uses. attentions: as many as there are."""

    flow: Flow
    norms: tuple[int, ...]
    attentions: tuple[Steps, ...] = (RIGHT,)
    activation: Callable[[Tensor], Tensor] = gelu
    normalise: Callable[[Tensor, float], Tensor] = moments
    eps: float = 1e-5


def right_steps(place: str, cross: bool = False) -> BlockSteps:
    """A right block with its norms in this place, "pre" or "post"."""
    count = 3 if cross else 2
    flow = Flow((place,) * count, ("own",) * count)
    return BlockSteps(flow, tuple(range(count)), (RIGHT,) * (count - 1))


def normed(x: Tensor, norm: Norm, steps: BlockSteps) -> Tensor:
    y = steps.normalise(x, steps.eps)
    y = y if norm.weight is None else y * norm.weight
    return y if norm.bias is None else y + norm.bias


def run_block(
    x: Tensor,
    memory: Tensor | None,
    weights: BlockWeights,
    sizes: Sizes,
    steps: BlockSteps,
    masks: tuple[Masks, ...] = NO_MASKS,
) -> Tensor:
    """The output (batch, tokens, d_model). masks: of the self-attention and of the cross-attention."""
    entered: list[Tensor] = []
    count = len(steps.flow.places)
    for number, (place, residual) in enumerate(zip(steps.flow.places, steps.flow.residuals, strict=True)):
        norm = weights.norms[steps.norms[number]]
        entered.append(x)
        given = normed(x, norm, steps) if place in ("pre", "after") else x
        if number == count - 1:
            silent = _silent(weights.second)
            y = torch.zeros_like(x) if silent else weights.second(steps.activation(weights.first(given)))
        else:
            own = steps.attentions[number]
            context = given if number == 0 or memory is None else memory
            seen = masks[number]
            if number == 1 and own.sources == ("q", "q", "q"):
                seen = replace(masks[0], causal=False)
            mixed = weights.attentions[number]
            usual = own.normalise is RIGHT.normalise and own.causal is RIGHT.causal and own.output
            if usual and seen.padding is None and mixed.o is not None and _silent(mixed.o):
                y = torch.zeros_like(x)
            else:
                y = attend((given, context, context), mixed, sizes, seen, own)
        if place == "before":
            y = normed(y, norm, steps)
        if residual == "own":
            y = y + (given if place == "after" else x)
        elif residual != "none":
            y = y + (entered[0] if residual == "input" else entered[-2])
        x = normed(y, norm, steps) if place == "post" else y
    return x


def _silent(last: Projection) -> bool:
    """Whether a sublayer that ends in this adds nothing."""
    return not last.weight.any() and (last.bias is None or not last.bias.any())
