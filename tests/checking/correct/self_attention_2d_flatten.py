# contract: self-attention-2d
import torch
from torch import nn


class SelfAttention2d(nn.Module):
    """Every pixel attends to every pixel; (batch, channels, height, width) in and out."""

    def __init__(self, channels: int, num_heads: int = 1):
        super().__init__()
        self.num_heads = num_heads
        self.q = nn.Linear(channels, channels)
        self.k = nn.Linear(channels, channels)
        self.v = nn.Linear(channels, channels)
        self.out = nn.Linear(channels, channels)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        b, c, h, w = x.shape
        tokens = x.flatten(2).transpose(1, 2)  # (b, h * w, c)

        def split(t):
            return t.view(b, h * w, self.num_heads, c // self.num_heads).transpose(1, 2)

        q, k, v = split(self.q(tokens)), split(self.k(tokens)), split(self.v(tokens))
        att = torch.softmax(q @ k.transpose(-2, -1) / (c // self.num_heads) ** 0.5, dim=-1)
        y = (att @ v).transpose(1, 2).reshape(b, h * w, c)
        return self.out(y).transpose(1, 2).reshape(b, c, h, w)
