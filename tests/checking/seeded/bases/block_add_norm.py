# contract: transformer-block
# target: TransformerEncoderBlock
import math

import torch
from torch import nn


class Head(nn.Module):
    def __init__(self, num_hiddens, head_size):
        super().__init__()
        self.query = nn.Linear(num_hiddens, head_size)
        self.key = nn.Linear(num_hiddens, head_size)
        self.value = nn.Linear(num_hiddens, head_size)

    def forward(self, X):
        Q, K, V = self.query(X), self.key(X), self.value(X)
        scores = torch.bmm(Q, K.transpose(1, 2)) / math.sqrt(K.shape[-1])
        return torch.bmm(torch.softmax(scores, dim=2), V)


class MultiHeadAttention(nn.Module):
    def __init__(self, num_hiddens, num_heads):
        super().__init__()
        self.heads = nn.ModuleList(Head(num_hiddens, num_hiddens // num_heads) for _ in range(num_heads))
        self.W_o = nn.Linear(num_hiddens, num_hiddens)

    def forward(self, X):
        return self.W_o(torch.cat([head(X) for head in self.heads], dim=-1))


class PositionWiseFFN(nn.Module):
    def __init__(self, num_hiddens, ffn_num_hiddens):
        super().__init__()
        self.dense1 = nn.Linear(num_hiddens, ffn_num_hiddens)
        self.activation = nn.GELU()
        self.dense2 = nn.Linear(ffn_num_hiddens, num_hiddens)

    def forward(self, X):
        return self.dense2(self.activation(self.dense1(X)))


class AddNorm(nn.Module):
    """The residual connection, followed by layer normalization."""

    def __init__(self, num_hiddens, dropout):
        super().__init__()
        self.dropout = nn.Dropout(dropout)
        self.ln = nn.LayerNorm(num_hiddens)

    def forward(self, X, Y):
        return self.ln(self.dropout(Y) + X)


class TransformerEncoderBlock(nn.Module):
    """Post-norm encoder block of the original Transformer, but with (exact) GELU, as in BERT."""

    def __init__(self, num_hiddens, num_heads, ffn_num_hiddens, dropout=0.1):
        super().__init__()
        self.attention = MultiHeadAttention(num_hiddens, num_heads)
        self.addnorm1 = AddNorm(num_hiddens, dropout)
        self.ffn = PositionWiseFFN(num_hiddens, ffn_num_hiddens)
        self.addnorm2 = AddNorm(num_hiddens, dropout)

    def forward(self, X):
        Y = self.addnorm1(X, self.attention(X))
        return self.addnorm2(Y, self.ffn(Y))
