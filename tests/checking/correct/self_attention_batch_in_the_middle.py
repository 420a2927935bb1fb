# contract: self-attention
import math

import torch
from torch import Tensor, nn


class SelfAttention(nn.Module):
    """x: (tokens, batch, features), the batch in the middle; one head."""

    def __init__(self, features: int, d_k: int) -> None:
        super().__init__()
        self.to_queries = nn.Linear(features, d_k, bias=False)
        self.to_keys = nn.Linear(features, d_k, bias=False)
        self.to_values = nn.Linear(features, d_k, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        q, k, v = self.to_queries(x), self.to_keys(x), self.to_values(x)
        scores = torch.einsum("ibd,jbd->bij", q, k) / math.sqrt(q.size(2))
        return torch.einsum("bij,jbd->ibd", scores.softmax(dim=2), v)
