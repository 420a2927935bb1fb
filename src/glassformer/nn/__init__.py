"""The parts: one concept per module, torch only. A mask says True = may attend; batch comes first.

Names are imported when first used, so that `import glassformer.nn` does not wait for torch.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glassformer.nn.attention import (
        Attention,
        attention_weights,
        explicit_attention,
        fused_attention,
        parameter_free_attention,
        parameter_free_attention_loops,
        tiled_attention,
    )
    from glassformer.nn.blocks import EncoderBlock, PostNormBlock, PreNormBlock
    from glassformer.nn.cache import KeyValueCache
    from glassformer.nn.decoder_blocks import (
        DecoderBlock,
        PostNormDecoderBlock,
        PreNormDecoderBlock,
    )
    from glassformer.nn.embeddings import TokenEmbedding
    from glassformer.nn.feedforward import FeedForward, gelu_tanh
    from glassformer.nn.grids import LearnedGridPositions, RotaryGridPositions, SinusoidalGridPositions
    from glassformer.nn.masks import Mask, both, causal_mask, padding_mask
    from glassformer.nn.multihead import (
        MultiHeadAttention,
        MultiHeadSelfAttention,
        SelfAttention,
        SelfAttention2d,
    )
    from glassformer.nn.patches import PatchEmbedding, patchify, unpatchify
    from glassformer.nn.pooling import ClsPool, LastPool, MaxPool, MeanPool
    from glassformer.nn.positions import (
        AlibiBias,
        LearnedPositions,
        RotaryPositions,
        SinusoidalPositions,
        alibi_slopes,
        sinusoids,
    )
    from glassformer.nn.stochastic_depth import StochasticDepth

_MODULE_OF = {
    "AlibiBias": "positions",
    "Attention": "attention",
    "ClsPool": "pooling",
    "DecoderBlock": "decoder_blocks",
    "EncoderBlock": "blocks",
    "FeedForward": "feedforward",
    "KeyValueCache": "cache",
    "LastPool": "pooling",
    "LearnedGridPositions": "grids",
    "LearnedPositions": "positions",
    "Mask": "masks",
    "MaxPool": "pooling",
    "MeanPool": "pooling",
    "MultiHeadAttention": "multihead",
    "MultiHeadSelfAttention": "multihead",
    "PatchEmbedding": "patches",
    "PostNormBlock": "blocks",
    "PostNormDecoderBlock": "decoder_blocks",
    "PreNormBlock": "blocks",
    "PreNormDecoderBlock": "decoder_blocks",
    "RotaryGridPositions": "grids",
    "RotaryPositions": "positions",
    "SelfAttention": "multihead",
    "SelfAttention2d": "multihead",
    "SinusoidalGridPositions": "grids",
    "SinusoidalPositions": "positions",
    "StochasticDepth": "stochastic_depth",
    "TokenEmbedding": "embeddings",
    "alibi_slopes": "positions",
    "attention_weights": "attention",
    "both": "masks",
    "causal_mask": "masks",
    "explicit_attention": "attention",
    "fused_attention": "attention",
    "gelu_tanh": "feedforward",
    "padding_mask": "masks",
    "parameter_free_attention": "attention",
    "parameter_free_attention_loops": "attention",
    "patchify": "patches",
    "sinusoids": "positions",
    "tiled_attention": "attention",
    "unpatchify": "patches",
}

__all__ = [
    "AlibiBias",
    "Attention",
    "ClsPool",
    "DecoderBlock",
    "EncoderBlock",
    "FeedForward",
    "KeyValueCache",
    "LastPool",
    "LearnedGridPositions",
    "LearnedPositions",
    "Mask",
    "MaxPool",
    "MeanPool",
    "MultiHeadAttention",
    "MultiHeadSelfAttention",
    "PatchEmbedding",
    "PostNormBlock",
    "PostNormDecoderBlock",
    "PreNormBlock",
    "PreNormDecoderBlock",
    "RotaryGridPositions",
    "RotaryPositions",
    "SelfAttention",
    "SelfAttention2d",
    "SinusoidalGridPositions",
    "SinusoidalPositions",
    "StochasticDepth",
    "TokenEmbedding",
    "alibi_slopes",
    "attention_weights",
    "both",
    "causal_mask",
    "explicit_attention",
    "fused_attention",
    "gelu_tanh",
    "padding_mask",
    "parameter_free_attention",
    "parameter_free_attention_loops",
    "patchify",
    "sinusoids",
    "tiled_attention",
    "unpatchify",
]


def __getattr__(name: str) -> object:
    if name not in _MODULE_OF:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
