# contract: decoder-block
# target: DecoderLayer
import math

import torch
from torch import nn


def attention(query, key, value, mask=None, dropout=None):
    "Compute 'Scaled Dot Product Attention'; a mask of 0 hides a key"
    scores = torch.matmul(query, key.transpose(-2, -1)) / math.sqrt(query.size(-1))
    if mask is not None:
        scores = scores.masked_fill(mask == 0, float("-inf"))
    p_attn = scores.softmax(dim=-1)
    if dropout is not None:
        p_attn = dropout(p_attn)
    return torch.matmul(p_attn, value)


class MultiHeadedAttention(nn.Module):
    def __init__(self, h, d_model, dropout):
        super().__init__()
        self.h = h
        self.linears = nn.ModuleList([nn.Linear(d_model, d_model) for _ in range(4)])
        self.dropout = nn.Dropout(dropout)

    def forward(self, query, key, value, mask=None):
        nbatches = query.size(0)
        query, key, value = (
            lin(x).view(nbatches, -1, self.h, x.size(-1) // self.h).transpose(1, 2)
            for lin, x in zip(self.linears, (query, key, value), strict=False)
        )
        x = attention(query, key, value, mask=mask, dropout=self.dropout)
        return self.linears[-1](x.transpose(1, 2).flatten(2))


class SublayerConnection(nn.Module):
    "A residual connection around a sublayer, then the layer norm (post-norm)"

    def __init__(self, size, dropout):
        super().__init__()
        self.norm = nn.LayerNorm(size)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x, sublayer):
        return self.norm(x + self.dropout(sublayer(x)))


class DecoderLayer(nn.Module):
    "Post-norm: self-attn (causal), src-attn, feed forward (ReLU); src_mask (batch, source) is 0 at padding"

    def __init__(self, size, h, d_ff, dropout=0.1):
        super().__init__()
        self.self_attn = MultiHeadedAttention(h, size, dropout)
        self.src_attn = MultiHeadedAttention(h, size, dropout)
        self.feed_forward = nn.Sequential(nn.Linear(size, d_ff), nn.ReLU(), nn.Linear(d_ff, size))
        self.sublayer = nn.ModuleList([SublayerConnection(size, dropout) for _ in range(3)])

    def forward(self, x, memory, src_mask=None):
        m = memory
        tgt_mask = torch.ones(x.size(1), x.size(1), device=x.device).tril()
        if src_mask is not None:
            src_mask = src_mask[:, None, None, :]
        x = self.sublayer[0](x, lambda x: self.self_attn(x, x, x, tgt_mask))
        x = self.sublayer[1](x, lambda x: self.src_attn(x, m, m, src_mask))
        return self.sublayer[2](x, self.feed_forward)
