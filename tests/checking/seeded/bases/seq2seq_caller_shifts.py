# contract: encoder-decoder
# target: Transformer
import math

import torch
from torch import Tensor, nn


class Attention(nn.Module):
    def __init__(self, dim: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(dim, dim) for _ in range(4))

    def forward(self, x: Tensor, context: Tensor, mask: Tensor) -> Tensor:
        """The mask is True where a query may attend, and broadcasts to (batch, heads, queries, keys)."""
        q, k, v = (
            f(t).unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for f, t in ((self.q, x), (self.k, context), (self.v, context))
        )
        scores = q @ k.mT / math.sqrt(k.shape[-1])
        weights = scores.masked_fill(~mask, -torch.inf).softmax(dim=-1)
        return self.o((weights @ v).transpose(1, 2).flatten(2))


class EncoderLayer(nn.Module):
    """Pre-norm, exact GELU."""

    def __init__(self, dim: int, heads: int, d_ff: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention = Attention(dim, heads)
        self.ff = nn.Sequential(nn.Linear(dim, d_ff), nn.GELU(), nn.Linear(d_ff, dim))

    def forward(self, x: Tensor, src_mask: Tensor) -> Tensor:
        h = self.norm1(x)
        x = x + self.attention(h, h, src_mask)
        return x + self.ff(self.norm2(x))


class DecoderLayer(nn.Module):
    """Pre-norm, exact GELU."""

    def __init__(self, dim: int, heads: int, d_ff: int) -> None:
        super().__init__()
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(dim), nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.attention, self.cross_attention = Attention(dim, heads), Attention(dim, heads)
        self.ff = nn.Sequential(nn.Linear(dim, d_ff), nn.GELU(), nn.Linear(d_ff, dim))

    def forward(self, y: Tensor, memory: Tensor, tgt_mask: Tensor, src_mask: Tensor) -> Tensor:
        h = self.norm1(y)
        y = y + self.attention(h, h, tgt_mask)
        h = self.norm2(y)
        y = y + self.cross_attention(h, memory, src_mask)
        h = self.norm3(y)
        return y + self.ff(h)


class Transformer(nn.Module):
    """src (batch, source) and tgt (batch, target), both token ids, to logits (batch, target, vocabulary).

    0 is padding. tgt starts with <bos>: the caller shifts it, logits[:, t] are for the token after tgt[:, t].
    """

    def __init__(
        self,
        src_vocab: int,
        tgt_vocab: int,
        dim: int = 32,
        heads: int = 4,
        layers: int = 2,
        d_ff: int = 64,
        dropout: float = 0.1,
    ) -> None:
        super().__init__()
        self.dim = dim
        self.src_embedding = nn.Embedding(src_vocab, dim)
        self.tgt_embedding = nn.Embedding(tgt_vocab, dim)
        self.encoder = nn.ModuleList([EncoderLayer(dim, heads, d_ff) for _ in range(layers)])
        self.decoder = nn.ModuleList([DecoderLayer(dim, heads, d_ff) for _ in range(layers)])
        self.encoder_norm = nn.LayerNorm(dim)
        self.decoder_norm = nn.LayerNorm(dim)
        self.dropout = nn.Dropout(dropout)
        self.output = nn.Linear(dim, tgt_vocab)

    def embed(self, ids: Tensor, embedding: nn.Embedding) -> Tensor:
        x = embedding(ids) * math.sqrt(self.dim)
        position = torch.arange(ids.shape[1], device=x.device, dtype=x.dtype)[:, None]
        even = torch.arange(0, self.dim, 2, device=x.device, dtype=x.dtype)
        angle = position * torch.exp(-math.log(10000.0) * even / self.dim)
        table = torch.stack((angle.sin(), angle.cos()), dim=-1).flatten(1)[:, : self.dim]
        return self.dropout(x + table)

    def forward(self, src: Tensor, tgt: Tensor) -> Tensor:
        src_mask = (src != 0)[:, None, None, :]
        n = tgt.shape[1]
        causal = torch.ones(n, n, dtype=torch.bool, device=tgt.device).tril()
        tgt_mask = (tgt != 0)[:, None, None, :] & causal
        x = self.embed(src, self.src_embedding)
        for layer in self.encoder:
            x = layer(x, src_mask)
        memory = self.encoder_norm(x)
        y = self.embed(tgt, self.tgt_embedding)
        for layer in self.decoder:
            y = layer(y, memory, tgt_mask, src_mask)
        return self.output(self.decoder_norm(y))
