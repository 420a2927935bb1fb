"""Scaled dot-product attention, one function three ways, and attention without any parameter.

Every attention function has one signature, `Attention`, and gives the same numbers:

- `explicit_attention` reads like the equation; autograd finds the backward pass.
- `tiled_attention` never holds the whole matrix of scores; its backward pass is written by hand.
- `fused_attention` hands the work to PyTorch's own kernel.
"""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from glassformer.nn.masks import Mask
from glassformer.nn.positions import AlibiBias
from glassformer.nn.tiles import four_axes
from glassformer.nn.tiling import attend_in_tiles


@runtime_checkable
class Attention(Protocol):
    """The signature of every attention function.

    q is (batch, heads, queries, d_head), k (batch, heads, keys, d_head), v (batch, heads, keys, d_value).
    `mask` (True = may attend) and `bias` (added to the scaled scores, where -∞ forbids too) are tensors that
    broadcast to (batch, heads, queries, keys), or objects that know their own tiles. A query that may attend
    to nothing gives zeros, and gradients of zero. Gives the output (batch, heads, queries, d_value), or with
    `return_weights` the pair of output and weights (batch, heads, queries, keys).
    """

    def __call__(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | Mask | None = None,
        bias: Tensor | AlibiBias | None = None,
        *,
        return_weights: bool = False,
    ) -> Tensor | tuple[Tensor, Tensor]: ...


def explicit_attention(
    q: Float[Tensor, "batch heads queries d_head"],
    k: Float[Tensor, "batch heads keys d_head"],
    v: Float[Tensor, "batch heads keys d_value"],
    mask: Tensor | Mask | None = None,
    bias: Tensor | AlibiBias | None = None,
    *,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """softmax(Q Kᵀ / √d_k + bias) V, written out (Vaswani et al. 2017, section 3.2.1).

    Shapes as in `Attention`. Where the mask is False a score becomes the lowest finite number rather than
    -∞: its weight is exactly 0 either way, and a fully masked row never meets ∞ - ∞.
    """
    weights = attention_weights(q, k, mask, bias)
    output = weights @ v
    return (output, weights) if return_weights else output


def attention_weights(
    q: Float[Tensor, "batch heads queries d_head"],
    k: Float[Tensor, "batch heads keys d_head"],
    mask: Tensor | Mask | None = None,
    bias: Tensor | AlibiBias | None = None,
) -> Float[Tensor, "batch heads queries keys"]:
    """softmax(Q Kᵀ / √d_k + bias): how much each query takes from each key. A row sums to 1, or to 0."""
    # dividing q costs queries × d_head divisions, dividing the scores queries × keys
    scores = (q / math.sqrt(q.shape[-1])) @ k.transpose(-2, -1)
    may_attend, added = _dense(mask, bias, q, k)
    if added is not None:
        scores = scores + added.to(scores.dtype)
    if may_attend is None:
        return scores.softmax(dim=-1)
    # a sum, since masked_fill with a mask that broadcasts is several times slower on the CPU; and half of the
    # lowest number, which a score added to it does not turn into -inf, also in float16
    lowest = torch.finfo(scores.dtype).min / 2
    scores = scores + torch.zeros_like(may_attend, dtype=scores.dtype).masked_fill(~may_attend, lowest)
    return scores.softmax(dim=-1) * may_attend.any(dim=-1, keepdim=True)


def tiled_attention(
    q: Float[Tensor, "batch heads queries d_head"],
    k: Float[Tensor, "batch heads keys d_head"],
    v: Float[Tensor, "batch heads keys d_value"],
    mask: Tensor | Mask | None = None,
    bias: Tensor | AlibiBias | None = None,
    *,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The same softmax(Q Kᵀ / √d_k + bias) V, a tile of the scores at a time.

    Shapes as in `Attention`; how it works, and what it costs, stands in `glassformer.nn.tiling`.
    Memory grows with queries + keys, not with their product, unless weights are asked for: these are
    computed apart, so that asking does not change the output.
    """
    output = attend_in_tiles(q, k, v, mask, bias)
    return (output, attention_weights(q, k, mask, bias)) if return_weights else output


def fused_attention(
    q: Float[Tensor, "batch heads queries d_head"],
    k: Float[Tensor, "batch heads keys d_head"],
    v: Float[Tensor, "batch heads keys d_value"],
    mask: Tensor | Mask | None = None,
    bias: Tensor | AlibiBias | None = None,
    *,
    return_weights: bool = False,
) -> Tensor | tuple[Tensor, Tensor]:
    """The same, by `torch.nn.functional.scaled_dot_product_attention`. Shapes as in `Attention`.

    A mask that is causal and nothing else stays a flag, any other becomes one dense tensor. Requested
    weights are computed apart, so that asking does not change the output.
    """
    if bias is None and mask is not None and not isinstance(mask, Tensor) and mask.keys is None:
        output = F.scaled_dot_product_attention(q, k, v, is_causal=mask.causal)
    else:
        may_attend, added = _dense(mask, bias, q, k)
        if added is not None and may_attend is not None:
            added = torch.where(may_attend, added, -math.inf)
        output = F.scaled_dot_product_attention(q, k, v, attn_mask=may_attend if added is None else added)
        if may_attend is not None:
            # which kernel runs decides what a fully masked row holds; here it holds zeros
            output = output.masked_fill(~may_attend.any(dim=-1, keepdim=True), 0.0)
    return (output, attention_weights(q, k, mask, bias)) if return_weights else output


def parameter_free_attention(
    x: Float[Tensor, "batch tokens d_model"],
) -> Float[Tensor, "batch tokens d_model"]:
    """y_i = Σ_j softmax_j(x_iᵀ x_j) x_j for every i at once: Y = softmax(X Xᵀ) X.

    Self-attention before it has anything to learn: no projections, no scale, no heads. Each row of Y is a
    weighted mean of the rows of X.
    """
    return (x @ x.transpose(-2, -1)).softmax(dim=-1) @ x


def parameter_free_attention_loops(
    x: Float[Tensor, "batch tokens d_model"],
) -> Float[Tensor, "batch tokens d_model"]:
    """`parameter_free_attention` as the sum says it, one token at a time: to be read and checked, not run."""
    y = torch.zeros_like(x)
    for example, x_of_example in enumerate(x):
        for i, x_i in enumerate(x_of_example):
            similarities = torch.stack([torch.dot(x_i, x_j) for x_j in x_of_example])
            powers = torch.exp(similarities - similarities.max())
            for weight, x_j in zip(powers / powers.sum(), x_of_example, strict=True):
                y[example, i] += weight * x_j
    return y


def _dense(
    mask: Tensor | Mask | None, bias: Tensor | AlibiBias | None, q: Tensor, k: Tensor
) -> tuple[Tensor | None, Tensor | None]:
    """Mask and bias as tensors of four axes. A bias of -∞ moves into the mask, which knows masked rows."""
    queries, keys = q.shape[-2], k.shape[-2]
    may_attend = mask.dense(queries, keys, q.device) if isinstance(mask, Mask) else mask
    added = bias.dense(queries, keys, q.device, q.dtype) if isinstance(bias, AlibiBias) else bias
    may_attend = None if may_attend is None else four_axes(may_attend)
    added = None if added is None else four_axes(added.to(q))
    if isinstance(bias, Tensor) and added is not None and (forbidden := added == -math.inf).any():
        may_attend = ~forbidden if may_attend is None else may_attend & ~forbidden
        added = added.masked_fill(forbidden, 0.0)
    return may_attend, added
