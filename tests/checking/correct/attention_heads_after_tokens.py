# contract: attention
import torch


def attention(q, k, v, causal=False):
    """q, k, v: (batch, tokens, heads, size), as in flash attention."""
    s = torch.einsum("bihd,bjhd->bhij", q, k) / q.shape[-1] ** 0.5
    if causal:
        s = s.masked_fill(torch.ones(s.shape[-2:]).triu(1).bool(), -torch.inf)
    return torch.einsum("bhij,bjhd->bihd", s.softmax(-1), v)
