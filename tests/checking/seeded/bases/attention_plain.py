# contract: attention
import torch


def attention(q, k, v, mask=None):
    """softmax(Q K^T / sqrt(d_k)) V; mask is broadcastable to (..., queries, keys), True = may attend."""
    d_k = q.size(-1)
    scores = torch.matmul(q, k.transpose(-2, -1))
    scores = scores / d_k**0.5
    if mask is not None:
        scores = scores.masked_fill(~mask, float("-inf"))
    weights = torch.softmax(scores, dim=-1)
    return torch.matmul(weights, v)
