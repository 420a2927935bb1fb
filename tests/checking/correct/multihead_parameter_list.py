# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """Three matrices a head in ParameterLists, the results of all heads added: sum_h O_h W_h."""

    def __init__(self, d_model, n_heads):
        super().__init__()
        d_k = d_model // n_heads

        def matrices(rows, columns):
            return nn.ParameterList([nn.Parameter(torch.randn(rows, columns)) for _ in range(n_heads)])

        self.queries = matrices(d_model, d_k)
        self.keys = matrices(d_model, d_k)
        self.values = matrices(d_model, d_k)
        self.outputs = matrices(d_k, d_model)

    def forward(self, x, y=None):
        y = x if y is None else y
        total = 0
        for w_q, w_k, w_v, w_o in zip(self.queries, self.keys, self.values, self.outputs, strict=True):
            q, k, v = x @ w_q, y @ w_k, y @ w_v
            total = total + torch.softmax(q @ k.mT / q.shape[-1] ** 0.5, dim=-1) @ v @ w_o
        return total
