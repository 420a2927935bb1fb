# contract: multi-head-attention
# target: MultiHeadSelfAttention
import torch
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, d_model: int, d_head: int):
        super().__init__()
        self.query = nn.Linear(d_model, d_head)
        self.key = nn.Linear(d_model, d_head)
        self.value = nn.Linear(d_model, d_head)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = self.query(x), self.key(x), self.value(x)
        weights = torch.softmax(torch.bmm(q, k.transpose(1, 2)) / k.size(-1) ** 0.5, dim=2)
        return torch.bmm(weights, v)


class MultiHeadSelfAttention(nn.Module):
    def __init__(self, d_model: int, num_heads: int):
        super().__init__()
        if d_model % num_heads:
            raise ValueError("d_model must be divisible by num_heads")
        self.heads = nn.ModuleList(SelfAttention(d_model, d_model // num_heads) for _ in range(num_heads))
        self.output = nn.Linear(d_model, d_model)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.output(torch.cat([head(x) for head in self.heads], dim=-1))
