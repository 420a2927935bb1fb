"""Attention weights beside a model's own computation, which stays as it is."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor, nn

from glassformer.nn.attention import Attention, attention_weights
from glassformer.nn.multihead import MultiHeadAttention

Kind = Literal["self-attention", "encoder self-attention", "decoder self-attention", "cross-attention"]


@dataclass(frozen=True)
class AttentionPlace:
    """An attention of a model: what it attends to, and its block, counted from 1 on its side."""

    kind: Kind
    layer: int
    module: MultiHeadAttention

    @property
    def heads(self) -> int:
        """Its heads."""
        return self.module.heads


@dataclass(frozen=True)
class Attended:
    """What one attention did in one forward pass. Row i of a head says what query i takes from each key."""

    kind: Kind
    layer: int
    weights: Float[Tensor, "batch heads queries keys"]


def attention_places(model: nn.Module) -> list[AttentionPlace]:
    """Every `MultiHeadAttention` of a model, in the order of its modules; none in a recurrent one."""
    places = []
    seen: dict[Kind, int] = {}
    for name, module in model.named_modules():
        if isinstance(module, MultiHeadAttention):
            kind = _kind(name)
            seen[kind] = seen.get(kind, 0) + 1
            places.append(AttentionPlace(kind, seen[kind], module))
    return places


@contextmanager
def captured_attention(model: nn.Module) -> Iterator[list[Attended]]:
    """Within it, every forward pass appends the weights of every attention, in the order of computation.

    The output is computed by the very function that the module has, explicit, tiled or fused, with the very
    arguments, so it stays the same bit for bit; the weights are computed once more, beside it, as
    softmax(Q Kᵀ / √d_k + bias) under the same mask (Vaswani et al. 2017, section 3.2.1). They carry no
    gradient. On leaving, also by an error, each module has its own function again.
    """
    found: list[Attended] = []

    def beside(place: AttentionPlace, attention: Attention) -> Attention:
        def recorded(
            q: Tensor,
            k: Tensor,
            v: Tensor,
            mask: Any = None,
            bias: Any = None,
            *,
            return_weights: bool = False,
        ) -> Tensor | tuple[Tensor, Tensor]:
            result = attention(q, k, v, mask, bias, return_weights=return_weights)
            weights = attention_weights(q.detach(), k.detach(), mask, bias)
            found.append(Attended(place.kind, place.layer, weights))
            return result

        return recorded

    with replaced_attention(
        {place.module: beside(place, place.module.attention) for place in attention_places(model)}
    ):
        yield found


@contextmanager
def replaced_attention(functions: dict[MultiHeadAttention, Attention]) -> Iterator[None]:
    """Within it, these modules attend by these functions; on leaving, also by an error, by their own."""
    own = {module: module.attention for module in functions}
    try:
        for module, function in functions.items():
            module.attention = function
        yield
    finally:
        for module, function in own.items():
            module.attention = function


def _kind(name: str) -> Kind:
    parts = name.split(".")
    if "cross_attention" in parts:
        return "cross-attention"
    if "decoder_blocks" in parts:
        return "decoder self-attention"
    return "encoder self-attention" if "encoder_blocks" in parts else "self-attention"
