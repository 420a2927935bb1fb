# contract: self-attention-2d
import torch
import torch.nn as nn


class SelfAttention2d(nn.Module):
    def __init__(self, in_channels, n_heads):
        super().__init__()
        self.n_heads = n_heads
        self.qkv = nn.Conv2d(in_channels, 3 * in_channels, kernel_size=1)
        self.proj = nn.Conv2d(in_channels, in_channels, kernel_size=1)

    def forward(self, x):
        B, C, H, W = x.shape
        d = C // self.n_heads
        q, k, v = self.qkv(x).view(B, 3, self.n_heads, d, H * W).unbind(dim=1)  # each (B, heads, d, HW)
        scores = torch.einsum("bhdi,bhdj->bhij", q, k) * d**-0.5
        weights = scores.softmax(dim=-1)
        y = torch.einsum("bhij,bhdj->bhdi", weights, v)
        return self.proj(y.reshape(B, C, H, W))
