"""A transformer encoder that puts an image into one of several classes."""

import copy
from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor, nn

from glassformer.models.choices import ACTIVATION, ATTENTION, BLOCK, POOL, READ
from glassformer.models.configs import VisionTransformerConfig
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.grids import (
    GridPositions,
    LearnedGridPositions,
    RotaryGridPositions,
    SinusoidalGridPositions,
)
from glassformer.nn.multihead import MultiHeadAttention
from glassformer.nn.patches import PatchEmbedding, grid_size


class VisionTransformer(nn.Module):
    """logits = W pool(blocks(positions(embed(images)))) + b.

    With pool='cls' a learned vector is put before the patches (Dosovitskiy et al. 2021, section 3.1), and the
    classifier reads what the blocks made of it; the mean over the patches is as good (their appendix D.3).
    Pre-norm stacks end in one more layer norm. Stochastic depth rises linearly over the blocks, from 0 at the
    first to config.stochastic_depth at the last (Huang et al. 2016, section 3; there, the first already has
    1/layers of it).

    W and b start at 0, as in the authors' code: the first loss is log(classes) exactly, whatever the size of
    the features, and the blocks begin to learn one step after the head.

    Source: Dosovitskiy et al. 2021, 'An Image is Worth 16x16 Words', section 3.1. Deviations: the mean is the
    default; layer norms have eps 1e-5 unless config.eps says otherwise, theirs 1e-6.
    """

    def __init__(self, config: VisionTransformerConfig) -> None:
        super().__init__()
        self.config = config
        d_model, heads, prefix = config.d_model, config.heads, int(config.pool == "cls")
        grid = grid_size((config.height, config.width), config.patch)
        self.embed = PatchEmbedding(config.channels, config.patch, d_model)
        # not zeros: where no position is added to it, the first layer norm would divide 0 by sqrt(eps)
        self.cls = nn.Parameter(torch.randn(d_model) * 0.02) if prefix else None
        self.positions = (
            SinusoidalGridPositions(d_model, *grid, prefix=prefix)
            if config.positions == "sinusoidal"
            else LearnedGridPositions(d_model, *grid, prefix=prefix)
            if config.positions == "learned"
            else nn.Identity()
        )
        rotary = (
            RotaryGridPositions(d_model // heads, *grid, prefix=prefix)
            if config.positions == "rotary"
            else None
        )
        self.dropout = nn.Dropout(config.embedding_dropout)
        self.blocks = nn.ModuleList(
            BLOCK[config.norm](
                MultiHeadAttention(d_model, heads, attention=ATTENTION[config.attention], rotary=rotary),
                FeedForward(d_model, config.d_ff, activation=ACTIVATION[config.activation]),
                d_model,
                dropout=config.dropout,
                stochastic_depth=config.stochastic_depth * layer / max(1, config.layers - 1),
                eps=config.eps,
            )
            for layer in range(config.layers)
        )
        self.norm = nn.LayerNorm(d_model, eps=config.eps) if config.norm == "pre" else nn.Identity()
        self.pool = POOL[config.pool]()
        self.read = READ.get(config.pool)
        self.head = nn.Linear(d_model, config.classes)
        nn.init.zeros_(self.head.weight)
        nn.init.zeros_(self.head.bias)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """images: pixels scaled to [-1, 1]. Raises ValueError for another size than the model's."""
        self._check(images)
        x = self.embed(images)
        if self.cls is not None:
            # x.shape, since len would fix the size of the batch where the model is traced
            x = torch.cat([self.cls.to(x.dtype).expand(x.shape[0], 1, -1), x], dim=1)
        x = self.dropout(self.positions(x))
        if torch.is_autocast_enabled(x.device.type):
            # or the residual stream stays in fp32, and every sum with a bf16 output costs a conversion
            x = x.to(torch.get_autocast_dtype(x.device.type))
        *lower, last = self.blocks
        for block in lower:
            x = block(x)
        x = last(x, only_first=self.read)
        return self.head(self.pool(self.norm(x)))

    def for_image_size(self, height: int, width: int, *, shared: bool = False) -> "VisionTransformer":
        """A copy for images of another size, in pixels: the same weights, learned positions interpolated.

        shared: no weights of its own but these very parameters, so that what one learns, the other knows. It
        begins in this model's mode, of training or evaluation, and is then set on its own.
        Raises UsageError where the patch does not divide the size.

        Source: Dosovitskiy et al. 2021, section 3.2; the interpolation: `LearnedGridPositions.interpolated`.
        """
        config = replace(self.config, height=height, width=width)
        grid = grid_size((height, width), config.patch)
        # deepcopy takes what stands in its memo for copied already
        model = copy.deepcopy(self, {id(each): each for each in self.parameters()} if shared else {})
        model.config = config
        for parent in list(model.modules()):
            for name, child in list(parent.named_children()):
                if isinstance(child, GridPositions):
                    setattr(parent, name, child.shared(*grid) if shared else child.resized(*grid))
        return model

    def _check(self, images: Tensor) -> None:
        config = self.config
        channels, height, width = images.shape[1:]
        if channels != config.channels:
            raise ValueError(
                f"images of {channels} channels do not fit a model built for {config.channels}; convert them"
            )
        if (height, width) != (config.height, config.width):
            raise ValueError(
                f"images of {height} x {width} pixels do not fit a model built for {config.height} x "
                f"{config.width}; resize them, or take model.for_image_size({height}, {width})"
            )


class InTwoSizes(nn.Module):
    """logits = model(images) for images of the model's size, and of a smaller one: by one set of weights.

    Raises UsageError where the patch does not divide the smaller size.

    Source: progressive resizing, Howard 2018 ('Training Imagenet in 3 hours for 25 minutes'); Tan & Le 2021
    (EfficientNetV2), section 4, raise regularisation along with the size.
    """

    def __init__(self, model: VisionTransformer, height: int, width: int) -> None:
        super().__init__()
        self.model = model
        self.smaller = model.for_image_size(height, width, shared=True)

    def forward(self, images: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch classes"]:
        """images: of one of the two sizes. Raises ValueError for another."""
        config = self.smaller.config
        small = images.shape[2:] == (config.height, config.width)
        return self.smaller(images) if small else self.model(images)
