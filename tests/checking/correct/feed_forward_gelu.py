# contract: feed-forward
import math

import torch
from torch import nn


def _gelu(x):
    return 0.5 * x * (1.0 + torch.erf(x / math.sqrt(2.0)))


class MLP(nn.Module):
    def __init__(self, n_embd, expansion=4):
        super().__init__()
        self.c_fc = nn.Linear(n_embd, expansion * n_embd)
        self.c_proj = nn.Linear(expansion * n_embd, n_embd)

    def forward(self, x):
        return self.c_proj(_gelu(self.c_fc(x)))
