"""Attribution by gradients: how much each part of an input speaks for an answer."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from glassformer.explain.questions import Question

STEPS = 32
"""Points of a path; the nodes of Gauss and Legendre, which integrate a smooth path to many digits."""


@torch.no_grad()
def gradient_x_input(question: Question) -> Float[Tensor, "rows parts"]:
    """a_i = Σ_c (x_ic - z_ic) ∂f/∂x_ic, with x the embedded parts and f the log-odds of the answer.

    To first order, what part i adds to f. z is 0 for tokens, and for patches what the embedding makes of the
    mean image. 0 at padding. Nats. Where a softmax is saturated its slope is small, and so is what this sees
    of it.

    Source: Shrikumar et al. 2017, 'Learning Important Features Through Propagating Activation Differences',
    section 2.
    """
    x = embedded(question)
    slope = _slope(question, x)
    return ((x - question.zero(x)) * slope).sum(-1).masked_fill(~question.real, 0.0)


@torch.no_grad()
def integrated_gradients(question: Question, steps: int = STEPS) -> Float[Tensor, "rows parts"]:
    """a_i = Σ_c (x_ic - z_ic) ∫_0^1 ∂f/∂x_ic (z + α (x - z)) dα, with f the log-odds of the answer.

    z says nothing: for tokens the embedding of the unknown token, for patches that of the mean image.
    Completeness: Σ_i a_i = f(x) - f(z), up to the error of the integral, taken at `steps` points. 0 at
    padding. Nats. Raises ValueError for steps below 1.

    Source: Sundararajan et al. 2017, 'Axiomatic Attribution for Deep Networks', section 3. Deviation: nodes
    of Gauss and Legendre instead of a Riemann sum.
    """
    if steps < 1:
        raise ValueError(f"steps={steps} leaves no point on the path; choose 1 or more")
    x = embedded(question)
    z = question.without_content(x).to(x.dtype)
    nodes, weights = np.polynomial.legendre.leggauss(steps)
    slope = torch.zeros_like(x)
    for node, weight in zip((nodes + 1) / 2, weights / 2, strict=True):
        slope += float(weight) * _slope(question, z + float(node) * (x - z))
    return ((x - z) * slope).sum(-1).masked_fill(~question.real, 0.0)


@torch.no_grad()
def completeness_gap(question: Question, attribution: Float[Tensor, "rows parts"]) -> Float[Tensor, " rows"]:
    """Σ_i a_i - (f(x) - f(z)): what the integral of `integrated_gradients` misses, nats."""
    z = question.without_content(embedded(question))
    with replaced_embedding(question.model, lambda _: z):
        without = question.log_odds()
    return attribution.sum(1) - (question.log_odds() - without)


@torch.no_grad()
def embedded(question: Question) -> Float[Tensor, "rows parts d_model"]:
    """The parts as the model's embedding has them, positions not yet added; in float32 at least."""
    seen: list[Tensor] = []

    def look(x: Tensor) -> Tensor:
        seen.append(x)
        return x

    with replaced_embedding(question.model, look):
        question.logits()
    x = seen[0].detach()
    return x.to(torch.promote_types(x.dtype, torch.float32))  # of patches it is in bf16 under autocast


@contextmanager
def replaced_embedding(model: nn.Module, replace: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """Within it, the first call of the model's embedding in it gives replace(embedded parts).

    The first alone: an encoder-decoder embeds its source first, its target afterwards with the same weights.
    """
    called = False

    def hook(module: nn.Module, given: object, x: Tensor) -> Tensor | None:
        nonlocal called
        if called:
            return None
        called = True
        return replace(x)

    embed = model.embed
    assert isinstance(embed, nn.Module)
    handle = embed.register_forward_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _slope(
    question: Question, at: Float[Tensor, "rows parts d_model"]
) -> Float[Tensor, "rows parts d_model"]:
    """∂f/∂x of each row. Rows do not mix, so one backward pass from their sum serves all."""
    point = at.detach().requires_grad_()
    # cuDNN's recurrent layers have no backward pass outside training
    with torch.enable_grad(), torch.backends.cudnn.flags(enabled=False):
        with replaced_embedding(question.model, lambda _: point):
            total = question.log_odds().sum()
        (slope,) = torch.autograd.grad(total, point)
    return slope
