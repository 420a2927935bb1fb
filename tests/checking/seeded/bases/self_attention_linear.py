# contract: self-attention
import math

import torch
from torch import nn


class SelfAttention(nn.Module):
    """One head. attention_mask is (batch, keys) and True = may attend; causal hides the future."""

    def __init__(self, d_in, d_out, causal=False, bias=True):
        super().__init__()
        self.causal = causal
        self.W_query = nn.Linear(d_in, d_out, bias=bias)
        self.W_key = nn.Linear(d_in, d_out, bias=bias)
        self.W_value = nn.Linear(d_in, d_out, bias=bias)

    def forward(self, x, attention_mask=None):
        queries = self.W_query(x)
        keys = self.W_key(x)
        values = self.W_value(x)
        d_k = keys.size(-1)
        attn_scores = queries @ keys.transpose(1, 2)
        length = x.size(1)
        mask = torch.ones(length, length, dtype=torch.bool, device=x.device)
        if self.causal:
            mask = mask.tril()
        if attention_mask is not None:
            mask = mask & attention_mask.unsqueeze(1)
        attn_scores = attn_scores.masked_fill(~mask, -torch.inf)
        attn_weights = torch.softmax(attn_scores / math.sqrt(d_k), dim=-1)
        return attn_weights @ values
