# contract: transformer-block
# target: TransformerBlock
import torch
import torch.nn.functional as F
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, k, heads):
        super().__init__()
        self.heads = heads
        self.toqueries = nn.Linear(k, k * heads, bias=False)
        self.tokeys = nn.Linear(k, k * heads, bias=False)
        self.tovalues = nn.Linear(k, k * heads, bias=False)
        self.unifyheads = nn.Linear(heads * k, k)

    def forward(self, x):
        b, t, k = x.size()
        queries = self.toqueries(x).view(b, t, self.heads, k)
        keys = self.tokeys(x).view(b, t, self.heads, k)
        values = self.tovalues(x).view(b, t, self.heads, k)
        dot = F.softmax(torch.einsum("bihk,bjhk->bhij", queries, keys) / k**0.5, dim=3)
        return self.unifyheads(torch.einsum("bhij,bjhk->bihk", dot, values).reshape(b, t, self.heads * k))


class TransformerBlock(nn.Module):
    def __init__(self, k, heads):
        super().__init__()
        self.attention = SelfAttention(k, heads=heads)
        self.norm1 = nn.LayerNorm(k)
        self.norm2 = nn.LayerNorm(k)
        self.ff = nn.Sequential(nn.Linear(k, 4 * k), nn.ReLU(), nn.Linear(4 * k, k))

    def forward(self, x):
        attended = self.attention(x)
        x = self.norm1(attended + x)
        fedforward = self.ff(x)
        return self.norm2(fedforward + x)
