# contract: sinusoidal-positions
import torch
from torch import nn


class AddPositions(nn.Module):
    """x (batch, length, dim) plus PE(pos, 2i) = sin(pos / 10000^(2i/dim)), PE(pos, 2i+1) = cos(the same)."""

    def forward(self, x):
        length, dim = x.shape[1], x.shape[2]
        pos = torch.arange(length, dtype=x.dtype, device=x.device)[:, None]
        j = torch.arange(dim, device=x.device)
        angle = pos / 10000 ** ((j - j % 2).to(x.dtype) / dim)
        return x + torch.where(j % 2 == 0, angle.sin(), angle.cos())
