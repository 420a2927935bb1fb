# contract: self-attention
import math

import torch
import torch.nn as nn


class Attention(nn.Module):
    def __init__(self, hidden_size, bias=True):
        super().__init__()
        self.qkv = nn.Linear(hidden_size, 3 * hidden_size, bias=bias)

    def forward(self, hidden_states, attention_mask=None):
        """
        :param hidden_states: [batch, seq_len, hidden_size]
        :param attention_mask: [batch, seq_len], 1 for real tokens and 0 for padding
        :return: context of the same shape as hidden_states, and attention probabilities
        """
        query, key, value = self.qkv(hidden_states).chunk(3, dim=-1)
        scores = torch.matmul(query, key.transpose(-1, -2)) / math.sqrt(query.size(-1))
        if attention_mask is not None:
            scores = scores.masked_fill(attention_mask[:, None, :] == 0, float("-inf"))
        probs = nn.functional.softmax(scores, dim=-1)
        return torch.matmul(probs, value), probs
