# contract: self-attention
import torch
from torch import nn


class SelfAttention(nn.Module):
    """Self-attention of one head with matrices of its own.

    mask (batch, queries, keys): True = may attend. causal: nobody looks ahead.
    """

    def __init__(self, embed_dim, d_k):
        super().__init__()
        self.d_k = d_k
        self.Wq = nn.Parameter(torch.empty(embed_dim, d_k))
        self.Wk = nn.Parameter(torch.empty(embed_dim, d_k))
        self.Wv = nn.Parameter(torch.empty(embed_dim, d_k))
        for matrix in (self.Wq, self.Wk, self.Wv):
            nn.init.xavier_uniform_(matrix)

    def forward(self, x, mask=None, causal=False):
        q = torch.einsum("bnd,de->bne", x, self.Wq)
        k = torch.einsum("bnd,de->bne", x, self.Wk)
        v = torch.einsum("bnd,de->bne", x, self.Wv)
        scores = torch.einsum("bie,bje->bij", q, k)
        scores = scores / self.d_k**0.5
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        if causal:
            future = torch.ones_like(scores[0], dtype=torch.bool).triu(diagonal=1)
            scores = scores.masked_fill(future, float("-inf"))
        alpha = scores.softmax(dim=-1)
        return torch.einsum("bij,bje->bie", alpha, v)
