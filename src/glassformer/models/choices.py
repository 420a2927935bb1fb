"""What the names in a model's configuration stand for. The models share these tables."""

from collections.abc import Callable

from torch import Tensor, nn

from glassformer.nn.attention import Attention, explicit_attention, fused_attention, tiled_attention
from glassformer.nn.blocks import EncoderBlock, PostNormBlock, PreNormBlock
from glassformer.nn.feedforward import gelu_tanh
from glassformer.nn.pooling import ClsPool, LastPool, MaxPool, MeanPool

ATTENTION: dict[str, Attention] = {
    "explicit": explicit_attention,
    "tiled": tiled_attention,
    "fused": fused_attention,
}
ACTIVATION: dict[str, Callable[[Tensor], Tensor]] = {
    "relu": nn.functional.relu,
    "gelu": nn.functional.gelu,
    "gelu_tanh": gelu_tanh,
}
POOL: dict[str, type[nn.Module]] = {"mean": MeanPool, "cls": ClsPool, "max": MaxPool, "last": LastPool}
READ: dict[str, int] = {"cls": 1}
"""Pool -> how many of the first tokens it reads, where that is not all: nobody has to compute the others."""
BLOCK: dict[str, type[EncoderBlock]] = {"pre": PreNormBlock, "post": PostNormBlock}
