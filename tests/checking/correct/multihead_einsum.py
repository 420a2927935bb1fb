# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """Every weight has an axis of heads. n batch, i queries, j keys, m model, h head, d size of a head."""

    def __init__(self, d_model, n_heads, d_head=None):
        super().__init__()
        d_head = d_head or d_model // n_heads
        self.W_Q = nn.Parameter(torch.empty(n_heads, d_model, d_head))
        self.W_K = nn.Parameter(torch.empty(n_heads, d_model, d_head))
        self.W_V = nn.Parameter(torch.empty(n_heads, d_model, d_head))
        self.W_O = nn.Parameter(torch.empty(n_heads, d_head, d_model))
        for w in (self.W_Q, self.W_K, self.W_V, self.W_O):
            nn.init.normal_(w, std=0.02)

    def forward(self, x, y=None, mask=None):
        """Attend from x to y (to x itself without y). mask (n, i, j): True = may attend."""
        y = x if y is None else y
        q = torch.einsum("nim,hmd->nhid", x, self.W_Q)
        k = torch.einsum("njm,hmd->nhjd", y, self.W_K)
        v = torch.einsum("njm,hmd->nhjd", y, self.W_V)
        scores = torch.einsum("nhid,nhjd->nhij", q, k) / q.shape[-1] ** 0.5
        if mask is not None:
            scores = scores.where(mask[:, None], float("-inf"))
        z = torch.einsum("nhij,nhjd->nhid", scores.softmax(-1), v)
        return torch.einsum("nhid,hdm->nim", z, self.W_O)
