# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    """The heads are cut from the last axis and laid behind one another along the batch.

    key_mask: (batch, keys), True = may attend
    causality: if true, units that reference the future are masked
    """

    def __init__(self, num_units, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.q_linear = nn.Linear(num_units, num_units)
        self.k_linear = nn.Linear(num_units, num_units)
        self.v_linear = nn.Linear(num_units, num_units)
        self.o_linear = nn.Linear(num_units, num_units)

    def forward(self, queries, keys, values, key_mask=None, causality=False):
        Q = self.q_linear(queries)
        K = self.k_linear(keys)
        V = self.v_linear(values)

        Q_ = torch.cat(torch.chunk(Q, self.num_heads, dim=2), dim=0)  # (h*N, T_q, C/h)
        K_ = torch.cat(torch.chunk(K, self.num_heads, dim=2), dim=0)  # (h*N, T_k, C/h)
        V_ = torch.cat(torch.chunk(V, self.num_heads, dim=2), dim=0)  # (h*N, T_k, C/h)

        outputs = torch.bmm(Q_, K_.permute(0, 2, 1))  # (h*N, T_q, T_k)
        outputs = outputs / K_.size(2) ** 0.5
        if key_mask is not None:
            key_masks = key_mask.repeat(self.num_heads, 1)  # (h*N, T_k)
            outputs = outputs.masked_fill(~key_masks.unsqueeze(1), float("-inf"))
        if causality:
            tril = torch.tril(torch.ones_like(outputs[0]))  # (T_q, T_k)
            outputs = outputs.masked_fill(tril == 0, float("-inf"))
        outputs = torch.softmax(outputs, dim=-1)
        outputs = torch.bmm(outputs, V_)  # (h*N, T_q, C/h)

        outputs = torch.cat(torch.chunk(outputs, self.num_heads, dim=0), dim=2)  # (N, T_q, C)
        return self.o_linear(outputs)
