"""What a reader calls a module: `self-attention, 4 heads of 16`, not MultiHeadAttention.

A module of somebody else's goes by the words of its class's name.
"""

import re
from collections.abc import Callable
from typing import Any

from torch import nn

from glassformer.nn.embeddings import TokenEmbedding
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.grids import LearnedGridPositions, SinusoidalGridPositions
from glassformer.nn.masks import Mask
from glassformer.nn.multihead import (
    MultiHeadAttention,
    MultiHeadSelfAttention,
    SelfAttention,
    SelfAttention2d,
)
from glassformer.nn.patches import PatchEmbedding
from glassformer.nn.pooling import ClsPool, LastPool, MaxPool, MeanPool
from glassformer.nn.positions import AlibiBias, LearnedPositions, RotaryPositions, SinusoidalPositions
from glassformer.nn.stochastic_depth import StochasticDepth

ACTIVATIONS = {"relu": "ReLU", "gelu": "GELU", "silu": "SiLU"}

Call = tuple[tuple[Any, ...], dict[str, Any]]
"""The arguments that a module was called with."""


def label(module: nn.Module, call: Call = ((), {})) -> tuple[str, str]:
    """(what a reader calls it, its sizes and variants, which may be empty)."""
    for kind, describe in KNOWN.items():
        if isinstance(module, kind):
            return describe(module, call)
    return words(type(module).__name__), ""


def is_known(module: nn.Module) -> bool:
    """Whether a module is shown as one part, by a name of its own, whatever it is made of."""
    return isinstance(module, tuple(KNOWN))


def words(name: str) -> str:
    """The words of a class's name.

    >>> words("PreNormBlock"), words("RMSNorm"), words("Conv2d")
    ('pre-norm block', 'RMS norm', 'conv2d')
    """
    found = re.findall(r"[A-Z]{2,}(?![a-z])|[A-Z]?[a-z0-9]+|[A-Z]+", name) or [name]
    told = " ".join(word if word.isupper() and len(word) > 1 else word.lower() for word in found)
    return re.sub(r"\b(pre|post) norm\b", r"\1-norm", told)


def _attention(module: Any, call: Call) -> tuple[str, str]:
    args, kwargs = call
    given = [*args[1:], *kwargs.values()]
    crossed = (args[1] if len(args) > 1 else kwargs.get("context")) is not None
    causal = any(isinstance(each, Mask) and each.causal for each in given)
    name = "cross-attention" if crossed else "masked self-attention" if causal else "self-attention"
    sizes = _heads(module.heads, module.d_head)
    if module.rotary is not None:
        sizes += ", rotary positions" if isinstance(module.rotary, RotaryPositions) else ", rotary by place"
    if any(isinstance(each, AlibiBias) for each in given):
        sizes += ", ALiBi"
    first = kwargs.get("only_first")
    if first is not None:
        sizes += ", the first token asks" if first == 1 else f", the first {first} tokens ask"
    return name, sizes


def _separate_heads(module: MultiHeadSelfAttention, call: Call) -> tuple[str, str]:
    first: Any = module.heads[0]
    return "self-attention", _heads(len(module.heads), first.query.out_features)


def _heads(heads: int, d_head: int) -> str:
    return f"{heads} head{'s' * (heads > 1)} of {d_head}"


def _feed_forward(module: FeedForward, call: Call) -> tuple[str, str]:
    function = getattr(module.activation, "__name__", type(module.activation).__name__)
    return "feed-forward", f"d_ff {module.expand.out_features:,}, {ACTIVATIONS.get(function, function)}"


def _embedding(module: Any, call: Call) -> tuple[str, str]:
    table = module.embedding if isinstance(module, TokenEmbedding) else module
    scaled = ", × √d_model" if getattr(module, "factor", None) else ""
    return "token embedding", f"vocab {table.num_embeddings:,}{scaled}"


def _patches(module: PatchEmbedding, call: Call) -> tuple[str, str]:
    height, width = module.patch
    return "patch embedding", f"patches of {height} × {width} pixels"


def _recurrent(module: nn.RNNBase, call: Call) -> tuple[str, str]:
    layers = f", {module.num_layers} layers" if module.num_layers > 1 else ""
    both = ", in both directions" if module.bidirectional else ""
    return type(module).__name__, f"d_hidden {module.hidden_size}{layers}{both}"


def _convolution(module: Any, call: Call) -> tuple[str, str]:
    kernel = " × ".join(map(str, module.kernel_size))
    return "convolution", f"{module.out_channels} channels, kernel {kernel}"


def _plain(name: str, sizes: Callable[[Any], str] = lambda module: "") -> Callable[..., tuple[str, str]]:
    return lambda module, call: (name, sizes(module))


KNOWN: dict[Any, Callable[[Any, Call], tuple[str, str]]] = {
    MultiHeadAttention: _attention,
    MultiHeadSelfAttention: _separate_heads,
    SelfAttention: _plain("self-attention", lambda m: _heads(1, m.query.out_features)),
    SelfAttention2d: _plain(
        "self-attention over the grid", lambda m: _heads(m.attention.heads, m.attention.d_head)
    ),
    FeedForward: _feed_forward,
    TokenEmbedding: _embedding,
    PatchEmbedding: _patches,
    LearnedPositions: _plain("learned positions", lambda m: f"at most {m.embedding.num_embeddings:,} tokens"),
    SinusoidalPositions: _plain("sinusoidal positions"),
    LearnedGridPositions: _plain("learned positions", lambda m: f"{m.rows} × {m.columns} patches"),
    SinusoidalGridPositions: _plain("sinusoidal positions", lambda m: f"{m.rows} × {m.columns} patches"),
    MeanPool: _plain("mean pooling"),
    MaxPool: _plain("max pooling"),
    ClsPool: _plain("CLS pooling", lambda m: "takes the first token"),
    LastPool: _plain("last pooling", lambda m: "takes the last token"),
    StochasticDepth: _plain("stochastic depth", lambda m: f"rate {m.rate:.2g}"),
    nn.Embedding: _embedding,
    nn.LayerNorm: _plain("layer norm"),
    nn.Linear: _plain("linear", lambda m: f"{m.in_features:,} → {m.out_features:,}"),
    nn.Dropout: _plain("dropout", lambda m: f"rate {m.p:g}, in training"),
    nn.RNNBase: _recurrent,
    nn.modules.conv._ConvNd: _convolution,
    nn.MultiheadAttention: _plain("multi-head attention", lambda m: _heads(m.num_heads, m.head_dim)),
    nn.ReLU: _plain("ReLU"),
    nn.GELU: _plain("GELU"),
}
"""Class -> what its modules are called. Each is shown as one part."""
