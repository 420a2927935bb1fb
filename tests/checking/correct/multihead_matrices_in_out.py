# contract: multi-head-attention
import numpy as np
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.d_model = d_model
        self.num_heads = num_heads
        self.d_k = d_model // num_heads

        def _init_weight(rows, cols):
            limit = np.sqrt(6 / (rows + cols))
            return nn.Parameter(torch.empty(rows, cols).uniform_(-limit, limit))

        self.W_q, self.b_q = _init_weight(d_model, d_model), nn.Parameter(torch.zeros(d_model))
        self.W_k, self.b_k = _init_weight(d_model, d_model), nn.Parameter(torch.zeros(d_model))
        self.W_v, self.b_v = _init_weight(d_model, d_model), nn.Parameter(torch.zeros(d_model))
        self.W_o, self.b_o = _init_weight(d_model, d_model), nn.Parameter(torch.zeros(d_model))

    def split_heads(self, x):
        batch, length, _ = x.shape
        return x.reshape(batch, length, self.num_heads, self.d_k).permute(0, 2, 1, 3)

    def combine_heads(self, x):
        batch, _, length, _ = x.shape
        return x.permute(0, 2, 1, 3).reshape(batch, length, self.d_model)

    def forward(self, Q, K, V, mask=None):
        Q = self.split_heads(torch.matmul(Q, self.W_q) + self.b_q)
        K = self.split_heads(torch.matmul(K, self.W_k) + self.b_k)
        V = self.split_heads(torch.matmul(V, self.W_v) + self.b_v)
        scores = torch.matmul(Q, K.transpose(2, 3)) / np.sqrt(self.d_k)
        if mask is not None:
            scores = scores.masked_fill(mask == 0, float("-inf"))
        heads = torch.matmul(torch.softmax(scores, dim=3), V)
        return torch.matmul(self.combine_heads(heads), self.W_o) + self.b_o
