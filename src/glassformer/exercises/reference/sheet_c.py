"""Sheet C: self-attention over a grid, and a vision transformer."""

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glassformer.nn.patches import patchify


class SelfAttention2d(nn.Module):
    """Self-attention over a grid: every place attends to every other, softmax(Q K^T / sqrt(d_head)) V.

    x, y: (batch, channels, height, width). The places, row by row, are height * width tokens of `channels`
    features; Q, K and V are linear maps of them, cut into heads of d_head = channels / heads features; the
    heads' outputs are concatenated and go through an output projection. Written out: no ready-made attention.

    Source: Vaswani et al. 2017, section 3.2.2.
    """

    def __init__(self, channels: int, heads: int = 1) -> None:
        super().__init__()
        self.heads = heads
        self.query = nn.Linear(channels, channels)
        self.key = nn.Linear(channels, channels)
        self.value = nn.Linear(channels, channels)
        self.output = nn.Linear(channels, channels)

    def forward(
        self, x: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch channels height width"]:
        tokens = x.flatten(2).transpose(1, 2)
        q, k, v = (
            each.unflatten(-1, (self.heads, -1)).transpose(1, 2)
            for each in (self.query(tokens), self.key(tokens), self.value(tokens))
        )
        weights = (q @ k.transpose(-2, -1) / math.sqrt(k.shape[-1])).softmax(dim=-1)
        y = self.output((weights @ v).transpose(1, 2).flatten(2))
        return y.transpose(1, 2).unflatten(2, x.shape[2:])


class FeedForwardBlock(nn.Module):
    """FFN(x) = W_2 g(W_1 x + b_1) + b_2, the same for every token.

    x, FFN(x): (batch, tokens, d_model); inside: (batch, tokens, d_ff). g: GELU(x) = x Phi(x), as vision
    transformers have it; ReLU counts as well.

    Source: Vaswani et al. 2017, section 3.3 (ReLU); Dosovitskiy et al. 2021, section 3.1 (GELU).
    """

    def __init__(self, d_model: int, d_ff: int) -> None:
        super().__init__()
        self.expand = nn.Linear(d_model, d_ff)
        self.contract = nn.Linear(d_ff, d_model)

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        return self.contract(nn.functional.gelu(self.expand(x)))


class SelfAttentionTransformerBlock(nn.Module):
    """h = x + attention(norm_1(x)),  y = h + FFN(norm_2(h)): the norm comes before each.

    x, y: (batch, tokens, d_model). norms: nn.LayerNorm(d_model); FFN: `FeedForwardBlock`; attention over all
    tokens: a `SelfAttention2d` over a grid of tokens x 1 will do.

    Source: Dosovitskiy et al. 2021, 'An Image is Worth 16x16 Words', equations 2 and 3.
    """

    def __init__(self, d_model: int, heads: int, d_ff: int) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(d_model)
        self.attention = SelfAttention2d(d_model, heads)
        self.feed_forward_norm = nn.LayerNorm(d_model)
        self.feed_forward = FeedForwardBlock(d_model, d_ff)

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        grid = self.attention_norm(x).transpose(1, 2)[..., None]
        h = x + self.attention(grid)[..., 0].transpose(1, 2)
        return h + self.feed_forward(self.feed_forward_norm(h))


class VisionTransformer(nn.Module):
    """logits = W norm(blocks([cls; x_p E] + P))[0] + b, where x_p are the patches of an image.

    images: (batch, channels, image_size, image_size); logits: (batch, classes). E: a linear map of a patch's
    pixels to d_model features; cls: a learned token put before the patches; P: a learned position for each of
    the 1 + (image_size / patch_size)^2 tokens; `layers` blocks (`SelfAttentionTransformerBlock`); one more
    layer norm; the head reads the CLS token.

    Source: Dosovitskiy et al. 2021, 'An Image is Worth 16x16 Words', section 3.1.
    """

    def __init__(
        self,
        image_size: int,
        patch_size: int,
        channels: int,
        classes: int,
        d_model: int,
        layers: int,
        heads: int,
        d_ff: int,
    ) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.embed = nn.Linear(channels * patch_size**2, d_model)
        self.cls = nn.Parameter(torch.randn(1, 1, d_model) * 0.02)
        self.positions = nn.Parameter(torch.randn(1, 1 + (image_size // patch_size) ** 2, d_model) * 0.02)
        self.blocks = nn.ModuleList(
            SelfAttentionTransformerBlock(d_model, heads, d_ff) for _ in range(layers)
        )
        self.norm = nn.LayerNorm(d_model)
        self.head = nn.Linear(d_model, classes)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        x = self.embed(patchify(images, self.patch_size))
        x = torch.cat([self.cls.expand(len(x), -1, -1), x], dim=1) + self.positions
        for block in self.blocks:
            x = block(x)
        return self.head(self.norm(x)[:, 0])
