# contract: attention
import math

import torch


def attention(q, k, v):
    """softmax(QK^T / sqrt(d_k)) V for tensors of shape (batch, heads, length, d_k)."""
    scores = q @ k.transpose(-2, -1) / math.sqrt(q.size(-1))
    return torch.softmax(scores, dim=-1) @ v
