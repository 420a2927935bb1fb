# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """A small module a head, which maps back to d_model itself; the heads are summed."""

    class Head(nn.Module):
        def __init__(self, d_model, d_head):
            super().__init__()
            self.q, self.k, self.v = (nn.Linear(d_model, d_head) for _ in range(3))
            self.o = nn.Linear(d_head, d_model)

        def forward(self, x, mask):
            scores = self.q(x) @ self.k(x).mT * self.q.out_features**-0.5
            return self.o(scores.masked_fill(~mask[:, None], -torch.inf).softmax(-1) @ self.v(x))

    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = nn.ModuleList(self.Head(d_model, d_model // heads) for _ in range(heads))

    def forward(self, x, mask=None):
        """mask: (batch, keys), True = may attend."""
        mask = torch.ones(x.shape[:2], dtype=torch.bool) if mask is None else mask
        return sum(head(x, mask) for head in self.heads)
