# contract: multi-head-attention
# target: Attention
from dataclasses import dataclass

import torch
from torch import nn


@dataclass(frozen=True)
class AttentionConfig:
    width: int
    n_heads: int
    use_bias: bool = True


class Attention(nn.Module):
    def __init__(self, c: AttentionConfig):
        super().__init__()
        self.c = c
        self.q, self.k, self.v, self.o = (nn.Linear(c.width, c.width, bias=c.use_bias) for _ in range(4))

    def forward(self, x):
        q, k, v = (f(x).unflatten(-1, (self.c.n_heads, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        return self.o((torch.softmax(q @ k.mT / k.shape[-1] ** 0.5, -1) @ v).transpose(1, 2).flatten(2))
