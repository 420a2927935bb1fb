# contract: learned-positions
import torch
from torch import nn


class PositionEmbedding(nn.Module):
    """One learned vector per position, up to num_positions of them."""

    def __init__(self, num_positions: int, dim: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(1, num_positions, dim))
        nn.init.trunc_normal_(self.weight, std=0.02)

    def forward(self, tokens: torch.Tensor) -> torch.Tensor:
        n = tokens.shape[-2]
        if n > self.weight.shape[1]:
            raise ValueError(f"{n} tokens, but only {self.weight.shape[1]} positions")
        return tokens + self.weight[:, :n]
