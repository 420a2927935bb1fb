# contract: decoder-block
# target: DecoderBlock
import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    """Multi-head attention of x to context; mask is True where a query may look."""

    def __init__(self, d_model: int, n_heads: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        self.query = nn.Linear(d_model, d_model)
        self.key = nn.Linear(d_model, d_model)
        self.value = nn.Linear(d_model, d_model)
        self.out = nn.Linear(d_model, d_model)

    def split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.n_heads, -1).transpose(1, 2)

    def forward(self, x: Tensor, context: Tensor, mask: Tensor | None = None) -> Tensor:
        q, k, v = self.split(self.query(x)), self.split(self.key(context)), self.split(self.value(context))
        scores = q @ k.mT / math.sqrt(q.size(-1))
        if mask is not None:
            scores = scores.masked_fill(~mask, -math.inf)
        return self.out((scores.softmax(dim=-1) @ v).transpose(1, 2).flatten(2))


class DecoderBlock(nn.Module):
    """Pre-norm decoder block: causal self-attention, cross-attention to memory, feed-forward (exact GELU).

    memory_mask: (batch, memory length), True for real tokens.
    """

    def __init__(self, d_model: int, n_heads: int, d_ff: int, dropout: float = 0.1) -> None:
        super().__init__()
        self.self_attention = Attention(d_model, n_heads)
        self.cross_attention = Attention(d_model, n_heads)
        self.feed_forward = nn.Sequential(nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model))
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.norm3 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, memory: Tensor, memory_mask: Tensor | None = None) -> Tensor:
        length = x.size(1)
        causal = torch.tril(torch.ones(length, length, dtype=torch.bool, device=x.device))
        if memory_mask is not None:
            memory_mask = memory_mask[:, None, None, :]
        h = self.norm1(x)
        x = x + self.dropout(self.self_attention(h, h, causal))
        h = self.norm2(x)
        x = x + self.dropout(self.cross_attention(h, memory, memory_mask))
        h = self.norm3(x)
        x = x + self.dropout(self.feed_forward(h))
        return x
