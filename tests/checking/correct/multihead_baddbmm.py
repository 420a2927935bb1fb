# contract: multi-head-attention
import torch
from torch import nn


class Attention(nn.Module):
    """bias: added to the scores, (queries, keys), -inf where a query may not look."""

    def __init__(self, hidden_size, num_attention_heads):
        super().__init__()
        self.n, self.size = num_attention_heads, hidden_size // num_attention_heads
        self.dense_q = nn.Linear(hidden_size, hidden_size)
        self.dense_k = nn.Linear(hidden_size, hidden_size)
        self.dense_v = nn.Linear(hidden_size, hidden_size)
        self.dense = nn.Linear(hidden_size, hidden_size)

    def fold(self, t):
        return t.unflatten(-1, (self.n, self.size)).transpose(1, 2).flatten(0, 1)

    def forward(self, hidden_states, attn_mask=None):
        q, k, v = (self.fold(f(hidden_states)) for f in (self.dense_q, self.dense_k, self.dense_v))
        length = q.size(1)
        start = q.new_zeros(length, length) if attn_mask is None else attn_mask
        scores = torch.baddbmm(start.expand(len(q), -1, -1), q, k.mT, alpha=self.size**-0.5)
        context = torch.bmm(scores.softmax(-1), v)
        return self.dense(context.unflatten(0, (-1, self.n)).transpose(1, 2).flatten(2))
