# contract: multi-head-attention
import torch
import torch.nn.functional as F
from torch import nn


class _Head(nn.Module):
    def __init__(self, d_model, head_size, causal):
        super().__init__()
        self.query = nn.Linear(d_model, head_size)
        self.key = nn.Linear(d_model, head_size)
        self.value = nn.Linear(d_model, head_size)
        self.causal = causal

    def forward(self, x, context, padding_mask):
        q = self.query(x)
        k = self.key(context)
        v = self.value(context)
        scores = torch.bmm(q, k.transpose(1, 2))
        scores = scores * q.size(-1) ** -0.5
        allowed = torch.ones(q.size(1), k.size(1), dtype=torch.bool, device=x.device)
        if self.causal:
            allowed = torch.tril(allowed)
        if padding_mask is not None:
            allowed = allowed & padding_mask[:, None, :]
        scores = scores.masked_fill(~allowed, float("-inf"))
        weights = F.softmax(scores, dim=-1)
        return torch.bmm(weights, v)


class MultiHeadAttention(nn.Module):
    """Heads side by side, causal if asked for; padding_mask is (batch, keys), True = may attend."""

    def __init__(self, d_model, n_heads, causal=False):
        super().__init__()
        self.heads = nn.ModuleList(_Head(d_model, d_model // n_heads, causal) for _ in range(n_heads))
        self.proj = nn.Linear(d_model, d_model)

    def forward(self, x, context=None, padding_mask=None):
        context = x if context is None else context
        out = torch.cat([head(x, context, padding_mask) for head in self.heads], dim=-1)
        return self.proj(out)
