# contract: sinusoidal-positions
import torch
from torch import nn


class PositionalEncoding(nn.Module):
    """Adds fixed sinusoids to x, (batch, tokens, dim)."""

    def __init__(self, dim):
        super().__init__()
        self.dim = dim

    def forward(self, x):
        pos = torch.arange(x.shape[1], dtype=torch.float64, device=x.device)
        freq = 10000 ** (-torch.arange(0, self.dim, 2, dtype=torch.float64, device=x.device) / self.dim)
        angles = torch.outer(pos, freq)
        table = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)
        return x + table[:, : self.dim].to(x.dtype)  # one column too many if dim is odd
