# contract: self-attention
import torch
from torch import Tensor, nn


class SingleHeadAttention(nn.Module):
    """One attention head of its own inner width, projected back to the model's width.

    mask: bool, (tokens, tokens) or (batch, tokens, tokens); True marks pairs that must not attend.
    """

    def __init__(self, dim: int, key_dim: int | None = None, value_dim: int | None = None) -> None:
        super().__init__()
        key_dim = key_dim or dim
        value_dim = value_dim or key_dim
        self.to_q = nn.Linear(dim, key_dim)
        self.to_k = nn.Linear(dim, key_dim)
        self.to_v = nn.Linear(dim, value_dim)
        self.to_out = nn.Linear(value_dim, dim)
        self.scale = key_dim**-0.5

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        dots = torch.einsum("bid,bjd->bij", self.to_q(x), self.to_k(x)) * self.scale
        if mask is not None:
            dots = dots.masked_fill(mask, -torch.inf)
        return self.to_out(dots.softmax(dim=-1) @ self.to_v(x))
