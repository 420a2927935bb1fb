# contract: multi-head-attention
# target: MultiHead
import math

import torch
from torch import nn


class Scores(nn.Module):
    def forward(self, q, k):
        return q @ k.transpose(-1, -2) / math.sqrt(k.shape[-1])


class Projections(nn.ModuleDict):
    def __init__(self, size):
        super().__init__({name: nn.Linear(size, size) for name in ("query", "key", "value")})


class MultiHead(nn.Module):
    """keep: (batch, keys), 1 for tokens that may be attended to and 0 for padding."""

    def __init__(self, *, model_dim: int, heads: int, dropout: float = 0.1):
        super().__init__()
        self.heads = heads
        self.inner = nn.ModuleDict({"maps": Projections(model_dim), "scores": Scores()})
        self.drop = nn.Dropout(dropout)
        self.out = nn.Sequential(nn.Linear(model_dim, model_dim), nn.Identity())

    def forward(self, *, inputs, keep_mask=None):
        def heads(name):
            return self.inner["maps"][name](inputs).unflatten(2, (self.heads, -1)).movedim(2, 1)

        weights = self.inner["scores"](heads("query"), heads("key"))
        if keep_mask is not None:
            weights = weights.masked_fill(keep_mask[:, None, None, :] == 0, -torch.inf)
        weights = self.drop(weights.softmax(dim=-1))
        return self.out((weights @ heads("value")).movedim(1, 2).flatten(start_dim=2))
