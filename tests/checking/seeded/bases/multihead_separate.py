# contract: multi-head-attention
import math

import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """Attention from x to the context, or to x itself without one.

    padding_mask: (batch, keys), True = may attend (a real token).
    causal: no query attends to a later position.
    """

    def __init__(self, d_model, num_heads, bias=True):
        super().__init__()
        assert d_model % num_heads == 0
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_k = d_model // num_heads
        self.q_proj = nn.Linear(d_model, d_model, bias=bias)
        self.k_proj = nn.Linear(d_model, d_model, bias=bias)
        self.v_proj = nn.Linear(d_model, d_model, bias=bias)
        self.out_proj = nn.Linear(d_model, d_model, bias=bias)

    def forward(self, x, context=None, padding_mask=None, causal=False):
        if context is None:
            context = x
        batch, queries, _ = x.shape
        keys = context.shape[1]
        q = self.q_proj(x)
        k = self.k_proj(context)
        v = self.v_proj(context)
        q = q.view(batch, queries, self.num_heads, self.d_k).transpose(1, 2)
        k = k.view(batch, keys, self.num_heads, self.d_k).transpose(1, 2)
        v = v.view(batch, keys, self.num_heads, self.d_k).transpose(1, 2)

        scores = q @ k.transpose(-2, -1)
        scores = scores / math.sqrt(self.d_k)
        if padding_mask is not None:
            scores = scores.masked_fill(~padding_mask[:, None, None, :], float("-inf"))
        if causal:
            past = torch.ones(queries, keys, dtype=torch.bool, device=x.device).tril()
            scores = scores.masked_fill(~past, float("-inf"))
        weights = torch.softmax(scores, dim=-1)
        out = weights @ v
        out = out.transpose(1, 2).reshape(batch, queries, self.d_model)
        return self.out_proj(out)
