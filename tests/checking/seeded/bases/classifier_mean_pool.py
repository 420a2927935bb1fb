# contract: text-classifier
# target: TextClassifier
import math

import torch
from torch import Tensor, nn


def sinusoids(length: int, dim: int) -> Tensor:
    position = torch.arange(length, dtype=torch.float64)[:, None]
    two_i = torch.arange(0, dim, 2, dtype=torch.float64)
    angles = position / 10000.0 ** (two_i / dim)
    table = torch.zeros(length, dim, dtype=torch.float64)
    table[:, 0::2] = angles.sin()
    table[:, 1::2] = angles.cos()[:, : dim // 2]
    return table


class EncoderBlock(nn.Module):
    """Pre-norm, multi-head self-attention that ignores padded keys, feed-forward network with exact GELU."""

    def __init__(self, dim: int, heads: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm_attention = nn.LayerNorm(dim)
        self.qkv = nn.Linear(dim, 3 * dim)
        self.proj = nn.Linear(dim, dim)
        self.norm_ff = nn.LayerNorm(dim)
        self.ff = nn.Sequential(nn.Linear(dim, hidden), nn.GELU(), nn.Linear(hidden, dim))
        self.dropout = nn.Dropout(dropout)

    def attend(self, x: Tensor, real: Tensor) -> Tensor:
        b, n, d = x.shape
        q, k, v = self.qkv(x).view(b, n, 3, self.heads, d // self.heads).permute(2, 0, 3, 1, 4)
        scores = q @ k.transpose(-2, -1) / math.sqrt(d // self.heads)
        scores = scores.masked_fill(~real[:, None, None, :], -torch.inf)
        weights = torch.softmax(scores, dim=-1)
        return self.proj((weights @ v).transpose(1, 2).reshape(b, n, d))

    def forward(self, x: Tensor, real: Tensor) -> Tensor:
        h = self.attend(self.norm_attention(x), real)
        x = x + self.dropout(h)
        h = self.ff(self.norm_ff(x))
        return x + self.dropout(h)


class TextClassifier(nn.Module):
    """Token ids (batch, length), 0 is padding, to logits (batch, classes).

    Embedding, sinusoidal positions, encoder blocks, layer norm, mean over the real tokens, linear classifier.
    """

    def __init__(
        self,
        vocab_size: int,
        num_classes: int,
        dim: int = 32,
        heads: int = 4,
        depth: int = 2,
        hidden: int = 64,
        max_len: int = 128,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, dim, padding_idx=0)
        self.register_buffer("positions", sinusoids(max_len, dim).float())
        self.dropout = nn.Dropout(dropout)
        self.blocks = nn.ModuleList([EncoderBlock(dim, heads, hidden, dropout) for _ in range(depth)])
        self.norm = nn.LayerNorm(dim)
        self.classifier = nn.Linear(dim, num_classes)

    def forward(self, ids: Tensor) -> Tensor:
        real = ids != 0
        x = self.embedding(ids)
        x = x + self.positions[: ids.shape[1]]
        x = self.dropout(x)
        for block in self.blocks:
            x = block(x, real)
        x = self.norm(x)
        weights = real.to(x.dtype).unsqueeze(-1)
        pooled = (x * weights).sum(dim=1) / weights.sum(dim=1)
        return self.classifier(pooled)
