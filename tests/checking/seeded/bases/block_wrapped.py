# contract: transformer-block
# target: Block
import torch
import torch.nn as nn
import torch.nn.functional as F


class PreNorm(nn.Module):
    def __init__(self, dim, fn):
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fn = fn

    def forward(self, x):
        return self.fn(self.norm(x))


class Attention(nn.Module):
    def __init__(self, dim, heads):
        super().__init__()
        self.heads = heads
        self.scale = (dim // heads) ** -0.5
        self.to_qkv = nn.Linear(dim, dim * 3)
        self.to_out = nn.Linear(dim, dim)

    def forward(self, x):
        q, k, v = (t.unflatten(-1, (self.heads, -1)) for t in self.to_qkv(x).chunk(3, dim=-1))
        dots = torch.einsum("bihd,bjhd->bhij", q, k) * self.scale
        attn = dots.softmax(dim=-1)
        out = torch.einsum("bhij,bjhd->bihd", attn, v)
        return self.to_out(out.flatten(2))


class FeedForward(nn.Module):
    def __init__(self, dim, hidden_dim):
        super().__init__()
        self.fc1 = nn.Linear(dim, hidden_dim)
        self.fc2 = nn.Linear(hidden_dim, dim)

    def forward(self, x):
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """The Vision Transformer's block: PreNorm around attention and MLP, exact GELU, dropout on both."""

    def __init__(self, dim, heads, mlp_dim, dropout=0.1):
        super().__init__()
        self.p = dropout
        self.attn = PreNorm(dim, Attention(dim, heads))
        self.mlp = PreNorm(dim, FeedForward(dim, mlp_dim))

    def forward(self, x):
        x = F.dropout(self.attn(x), self.p, self.training) + x
        y = F.dropout(self.mlp(x), self.p, self.training) + x
        return y
