# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """The matrices of queries, keys and values in one parameter, each as nn.Linear has it."""

    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.in_proj = nn.Parameter(torch.randn(3, d_model, d_model) / d_model**0.5)
        self.out = nn.Linear(d_model, d_model)

    def forward(self, x):
        q, k, v = ((x @ w.T).unflatten(-1, (self.num_heads, -1)).transpose(1, 2) for w in self.in_proj)
        weights = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)
        return self.out((weights @ v).transpose(1, 2).flatten(2))
