"""Attention as the exercises ask for it, torch alone."""

import math

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn


def scaled_dot_product_attention(
    q: Float[Tensor, "batch queries d_k"],
    k: Float[Tensor, "batch keys d_k"],
    v: Float[Tensor, "batch keys d_v"],
    mask: Bool[Tensor, "batch queries keys"] | None = None,
) -> Float[Tensor, "batch queries d_v"]:
    """softmax(Q K^T / sqrt(d_k)) V.

    mask: True = may attend, anything that broadcasts to the scores. Where a query may attend to nothing, the
    output is 0. Axes before the last two, a batch and perhaps heads, are kept as they are.

    Source: Vaswani et al. 2017, section 3.2.1.
    """
    scores = q @ k.transpose(-2, -1) / math.sqrt(k.shape[-1])
    if mask is None:
        return scores.softmax(dim=-1) @ v
    weights = scores.masked_fill(~mask, torch.finfo(scores.dtype).min / 2).softmax(dim=-1)
    return (weights * mask.any(dim=-1, keepdim=True)) @ v


class SelfAttention(nn.Module):
    """y = softmax(Q K^T / sqrt(d_k)) V,  Q = x W_Q + b_Q,  K = x W_K + b_K,  V = x W_V + b_V: one head.

    x: (batch, tokens, d_model); y: (batch, tokens, d_head). d_k is read off K. No output projection.

    Source: Vaswani et al. 2017, section 3.2.1.
    """

    def __init__(self, d_model: int, d_head: int) -> None:
        super().__init__()
        self.query = nn.Linear(d_model, d_head)
        self.key = nn.Linear(d_model, d_head)
        self.value = nn.Linear(d_model, d_head)

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_head"]:
        q, k, v = self.query(x), self.key(x), self.value(x)
        weights = (q @ k.transpose(-2, -1) / math.sqrt(k.shape[-1])).softmax(dim=-1)
        return weights @ v


class MultiHeadSelfAttention(nn.Module):
    """y = [head_1; ...; head_h] W_O + b_O: a ModuleList of heads, each a `SelfAttention` of the same x.

    x, y: (batch, tokens, d_model); each head has d_head = d_model / heads features.

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = nn.ModuleList(SelfAttention(d_model, d_model // heads) for _ in range(heads))
        self.output = nn.Linear(d_model, d_model)

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        return self.output(torch.cat([head(x) for head in self.heads], dim=-1))


class MultiHeadAttention(nn.Module):
    """y = [head_1; ...; head_h] W_O + b_O,  head_i = softmax(Q_i K_i^T / sqrt(d_head)) V_i.

    Q is made from x, K and V from `context`, or from x without one (self-attention).
    x, y: (batch, queries, d_model); context: (batch, keys, d_model); d_head = d_model / heads.
    mask: True = may attend; it broadcasts to (batch, heads, queries, keys). Padding, (batch, keys), is given
    as padding[:, None, None, :]. Where a query may attend to nothing, its heads give 0.

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.output = nn.Linear(d_model, d_model)

    def forward(
        self,
        x: Float[Tensor, "batch queries d_model"],
        context: Float[Tensor, "batch keys d_model"] | None = None,
        mask: Bool[Tensor, "..."] | None = None,
    ) -> Float[Tensor, "batch queries d_model"]:
        context = x if context is None else context
        q, k, v = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.query(x), self.key(context), self.value(context))
        )
        scores = q @ k.transpose(-2, -1) / math.sqrt(k.shape[-1])
        if mask is not None:
            scores = scores.masked_fill(~mask, torch.finfo(scores.dtype).min / 2)
        weights = scores.softmax(dim=-1)
        if mask is not None:
            weights = weights * mask.any(dim=-1, keepdim=True)
        return self.output((weights @ v).transpose(1, 2).flatten(2))


class WideMultiHeadAttention(nn.Module):
    """y = [head_1; ...; head_h] W_O + b_O with wide heads: W_Q, W_K, W_V in R^(d x h d), W_O in R^(h d x d).

    x, y: (batch, tokens, d_model). A head has d_head = d_model features; scores are divided by sqrt(d_head).

    Source: Bloem 2019, 'Transformers from scratch'.
    """

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(d_model, heads * d_model)
        self.key = nn.Linear(d_model, heads * d_model)
        self.value = nn.Linear(d_model, heads * d_model)
        self.output = nn.Linear(heads * d_model, d_model)

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        q, k, v = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.query(x), self.key(x), self.value(x))
        )
        weights = (q @ k.transpose(-2, -1) / math.sqrt(k.shape[-1])).softmax(dim=-1)
        return self.output((weights @ v).transpose(1, 2).flatten(2))
