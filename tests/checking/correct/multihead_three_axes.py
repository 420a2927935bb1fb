# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """Per-head weights (heads, d_model, d_k), as in the paper; mask (queries, keys), True = may attend."""

    def __init__(self, h, d_model, d_k=None):
        super().__init__()
        d_k = d_k or d_model // h
        self.W_Q = nn.Parameter(torch.randn(h, d_model, d_k))
        self.W_K = nn.Parameter(torch.randn(h, d_model, d_k))
        self.W_V = nn.Parameter(torch.randn(h, d_model, d_k))
        self.W_O = nn.Parameter(torch.randn(h, d_k, d_model))

    def forward(self, Q, K, V, mask=None):
        q = torch.einsum("bnd,hdk->bhnk", Q, self.W_Q)
        k = torch.einsum("bmd,hdk->bhmk", K, self.W_K)
        v = torch.einsum("bmd,hdk->bhmk", V, self.W_V)
        e = torch.einsum("bhnk,bhmk->bhnm", q, k) / q.size(-1) ** 0.5
        if mask is not None:
            e = e.masked_fill(mask.logical_not(), -torch.inf)
        return torch.einsum("bhnm,bhmk,hko->bno", e.softmax(-1), v, self.W_O)
