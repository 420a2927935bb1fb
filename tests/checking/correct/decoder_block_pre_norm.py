# contract: decoder-block
import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DecoderBlock(nn.Module):
    """Pre-norm: causal self-attention, cross-attention to the memory, MLP."""

    def __init__(self, dim: int, heads: int, mlp_dim: int) -> None:
        super().__init__()
        self.heads = heads
        self.norm_self, self.norm_cross, self.norm_mlp = (
            nn.LayerNorm(dim),
            nn.LayerNorm(dim),
            nn.LayerNorm(dim),
        )
        self.qkv = nn.Linear(dim, 3 * dim)
        self.self_out = nn.Linear(dim, dim)
        self.q = nn.Linear(dim, dim)
        self.kv = nn.Linear(dim, 2 * dim)
        self.cross_out = nn.Linear(dim, dim)
        self.mlp = nn.Sequential(nn.Linear(dim, mlp_dim), nn.GELU(), nn.Linear(mlp_dim, dim))

    def _heads(self, t: Tensor) -> Tensor:
        return t.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def forward(self, x: Tensor, memory: Tensor, memory_key_padding_mask: Tensor | None = None) -> Tensor:
        q, k, v = map(self._heads, self.qkv(self.norm_self(x)).chunk(3, dim=-1))
        a = F.scaled_dot_product_attention(q, k, v, is_causal=True)
        x = x + self.self_out(a.transpose(1, 2).flatten(2))

        q = self._heads(self.q(self.norm_cross(x)))
        k, v = map(self._heads, self.kv(memory).chunk(2, dim=-1))
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if memory_key_padding_mask is not None:
            scores = scores.masked_fill(memory_key_padding_mask[:, None, None, :], -torch.inf)
        a = scores.softmax(dim=-1) @ v
        x = x + self.cross_out(a.transpose(1, 2).flatten(2))

        return x + self.mlp(self.norm_mlp(x))
