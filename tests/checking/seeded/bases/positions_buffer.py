# contract: sinusoidal-positions
import torch
import torch.nn as nn


class PositionalEncoding(nn.Module):
    """Adds the sinusoidal encoding to x (batch, length, d_model): sine and cosine alternate."""

    def __init__(self, d_model, max_len=512, dropout=0.1):
        super().__init__()
        self.dropout = nn.Dropout(p=dropout)
        positions = torch.arange(0, max_len).double()
        frequencies = 10000.0 ** -(torch.arange(0, d_model, 2).double() / d_model)
        angles = torch.outer(positions, frequencies)
        pe = torch.stack([angles.sin(), angles.cos()], dim=-1).flatten(1)[:, :d_model]
        self.register_buffer("pe", pe.float().unsqueeze(0))

    def forward(self, x):
        x = x + self.pe[:, : x.size(1)]
        return self.dropout(x)
