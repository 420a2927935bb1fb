# contract: learned-positions
import torch
from torch import Tensor, nn


class PositionEmbedding(nn.Module):
    """tokens (batch, n, dim) plus the first n of num_positions learned rows."""

    def __init__(self, num_positions: int, dim: int) -> None:
        super().__init__()
        self.pos = nn.Parameter(torch.randn(num_positions, dim) * 0.02)

    def forward(self, tokens: Tensor) -> Tensor:
        n = tokens.shape[1]
        return tokens + self.pos[:n]
