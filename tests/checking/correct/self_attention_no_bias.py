# contract: self-attention
import math

import torch.nn as nn


class SelfAttention(nn.Module):
    """Single head, everything of size embed_dim, no biases."""

    def __init__(self, embed_dim):
        super().__init__()
        self.embed_dim = embed_dim
        self.keys = nn.Linear(embed_dim, embed_dim, bias=False)
        self.queries = nn.Linear(embed_dim, embed_dim, bias=False)
        self.values = nn.Linear(embed_dim, embed_dim, bias=False)
        self.softmax = nn.Softmax(dim=-1)

    def forward(self, x):
        k = self.keys(x)
        q = self.queries(x)
        v = self.values(x)
        scores = q.matmul(k.permute(0, 2, 1)) / math.sqrt(self.embed_dim)
        return self.softmax(scores).matmul(v)
