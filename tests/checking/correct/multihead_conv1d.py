# contract: multi-head-attention
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.h = heads
        self.q, self.k, self.v, self.proj = (nn.Conv1d(channels, channels, 1) for _ in range(4))

    def forward(self, x):
        """x: (batch, tokens, channels)"""
        q, k, v = (f(x.mT).unflatten(1, (self.h, -1)) for f in (self.q, self.k, self.v))
        w = torch.einsum("bhdi,bhdj->bhij", q, k).div((q.shape[2]) ** 0.5).softmax(-1)
        return self.proj(torch.einsum("bhij,bhdj->bhdi", w, v).flatten(1, 2)).mT
