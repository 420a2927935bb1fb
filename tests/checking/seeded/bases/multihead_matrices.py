# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """Multi-head attention from bare matrices, each (inputs, outputs).

    mask: broadcastable to (batch, heads, queries, keys); True = may attend.
    """

    def __init__(self, d_model, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.d_head = d_model // n_heads
        self.W_q = nn.Parameter(torch.randn(d_model, d_model) / d_model**0.5)
        self.W_k = nn.Parameter(torch.randn(d_model, d_model) / d_model**0.5)
        self.W_v = nn.Parameter(torch.randn(d_model, d_model) / d_model**0.5)
        self.W_o = nn.Parameter(torch.randn(d_model, d_model) / d_model**0.5)
        self.b_q = nn.Parameter(torch.zeros(d_model))
        self.b_k = nn.Parameter(torch.zeros(d_model))
        self.b_v = nn.Parameter(torch.zeros(d_model))
        self.b_o = nn.Parameter(torch.zeros(d_model))

    def forward(self, x, context=None, mask=None):
        if context is None:
            context = x
        n, l_q, d = x.shape
        l_k = context.shape[1]
        Q = x @ self.W_q + self.b_q
        K = context @ self.W_k + self.b_k
        V = context @ self.W_v + self.b_v
        Q = Q.reshape(n, l_q, self.n_heads, self.d_head).permute(0, 2, 1, 3)
        K = K.reshape(n, l_k, self.n_heads, self.d_head).permute(0, 2, 1, 3)
        V = V.reshape(n, l_k, self.n_heads, self.d_head).permute(0, 2, 1, 3)
        S = Q @ K.mT
        S = S / self.d_head**0.5
        if mask is not None:
            S = torch.where(mask, S, -torch.inf)
        A = torch.exp(S - S.amax(dim=-1, keepdim=True))
        A = A / A.sum(dim=-1, keepdim=True)
        out = A @ V
        out = out.permute(0, 2, 1, 3).reshape(n, l_q, d)
        return out @ self.W_o + self.b_o
