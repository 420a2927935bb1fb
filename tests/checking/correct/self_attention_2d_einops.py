# contract: self-attention-2d
import torch
from einops import rearrange
from torch import nn


class SelfAttention2d(nn.Module):
    def __init__(
        self,
        embed_dim: int = 256,
        head_dim: int = 256,
        value_dim: int = 256,
        out_dim: int = 256,
        num_heads: int = 8,
    ):
        """Multi-Head Self-Attention Module with 2d token input & output

        Args:
            embed_dim (int): Dimension of input tokens
            head_dim (int): Query and key dimension of all heads together
            value_dim (int): Value dimension of all heads together
            out_dim (int): Output dimension
            num_heads (int): Number of attention heads
        """
        super().__init__()
        self.num_heads = num_heads
        self.scale = (head_dim // num_heads) ** -0.5
        self.q = nn.Linear(embed_dim, head_dim, bias=False)
        self.k = nn.Linear(embed_dim, head_dim, bias=False)
        self.v = nn.Linear(embed_dim, value_dim, bias=False)
        self.o = nn.Linear(value_dim, out_dim, bias=False)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        _, _, h, w = x.shape
        x = rearrange(x, "b c h w -> b (h w) c")
        q = rearrange(self.q(x), "b n (k d) -> b k n d", k=self.num_heads)
        k = rearrange(self.k(x), "b n (k d) -> b k d n", k=self.num_heads)
        v = rearrange(self.v(x), "b n (k d) -> b k n d", k=self.num_heads)
        attention_map = torch.softmax(self.scale * (q @ k), dim=-1)
        out = self.o(rearrange(attention_map @ v, "b k n d -> b n (k d)"))
        return rearrange(out, "b (h w) c -> b c h w", h=h, w=w)
