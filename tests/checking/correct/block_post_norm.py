# contract: transformer-block
import math

import torch.nn as nn


class EncoderLayer(nn.Module):
    """Post-norm, as in the paper."""

    def __init__(self, d_model, nhead, dim_feedforward=2048, dropout=0.1):
        super().__init__()
        self.nhead = nhead
        self.w_q = nn.Linear(d_model, d_model)
        self.w_k = nn.Linear(d_model, d_model)
        self.w_v = nn.Linear(d_model, d_model)
        self.w_o = nn.Linear(d_model, d_model)
        self.linear1 = nn.Linear(d_model, dim_feedforward)
        self.linear2 = nn.Linear(dim_feedforward, d_model)
        self.norm1 = nn.LayerNorm(d_model)
        self.norm2 = nn.LayerNorm(d_model)
        self.dropout = nn.Dropout(dropout)

    def _self_attention(self, x, key_padding_mask):
        b, n, d = x.shape
        q, k, v = (f(x).view(b, n, self.nhead, -1).transpose(1, 2) for f in (self.w_q, self.w_k, self.w_v))
        scores = q @ k.transpose(-2, -1) / math.sqrt(d // self.nhead)
        if key_padding_mask is not None:
            scores = scores.masked_fill(key_padding_mask[:, None, None, :], float("-inf"))
        weights = self.dropout(scores.softmax(dim=-1))
        return self.w_o((weights @ v).transpose(1, 2).reshape(b, n, d))

    def forward(self, src, src_key_padding_mask=None):
        x = self.norm1(src + self.dropout(self._self_attention(src, src_key_padding_mask)))
        ff = self.linear2(self.dropout(self.linear1(x).relu()))
        return self.norm2(x + self.dropout(ff))
