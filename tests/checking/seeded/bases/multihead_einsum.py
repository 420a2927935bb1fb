# contract: multi-head-attention
import torch
from torch import einsum, nn


class MultiHeadAttention(nn.Module):
    """Multi-head attention with einsum. `mask` is (batch, queries, keys), True = may attend."""

    def __init__(self, dim, heads=8, bias=True):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.to_q = nn.Linear(dim, dim, bias=bias)
        self.to_k = nn.Linear(dim, dim, bias=bias)
        self.to_v = nn.Linear(dim, dim, bias=bias)
        self.to_out = nn.Linear(dim, dim, bias=bias)

    def split(self, t):
        return t.unflatten(-1, (self.heads, -1))

    def forward(self, query, key, value, mask=None):
        q = self.split(self.to_q(query))
        k = self.split(self.to_k(key))
        v = self.split(self.to_v(value))
        sim = einsum("bihd,bjhd->bhij", q, k)
        sim = sim * self.scale
        if mask is not None:
            sim = sim.masked_fill(~mask.unsqueeze(1), -torch.inf)
        attn = sim.softmax(dim=-1)
        out = einsum("bhij,bjhd->bihd", attn, v)
        out = out.flatten(2)
        return self.to_out(out)
