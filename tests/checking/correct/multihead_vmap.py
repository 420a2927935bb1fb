# contract: multi-head-attention
import torch
from torch import nn
from torch.func import vmap


def _one_head(q, k, v):
    """q, k, v: (tokens, d_head)."""
    return torch.softmax(q @ k.T / q.shape[-1] ** 0.5, dim=-1) @ v


class MultiHeadAttention(nn.Module):
    """One head of one sequence, mapped over heads and over the batch."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(d_model, 3 * d_model)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x):
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).unbind(2)
        over_heads = vmap(_one_head, in_dims=1, out_dims=1)
        return self.out(vmap(over_heads)(q, k, v).flatten(-2))
