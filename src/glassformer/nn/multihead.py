"""Self-attention and multi-head attention: the modules that own the projections.

`SelfAttention` and `MultiHeadSelfAttention` are written to be read, one head a module. `MultiHeadAttention`
computes the same with one matrix product for all heads and is what the models use.
"""

from typing import Any, Protocol, runtime_checkable

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn
from torch.nn import functional

from glassformer.nn.attention import Attention, explicit_attention
from glassformer.nn.cache import KeyValueCache
from glassformer.nn.masks import Mask
from glassformer.nn.positions import AlibiBias


@runtime_checkable
class Rotation(Protocol):
    """Turns queries and keys by their positions; see `glassformer.nn.RotaryPositions`.

    One that also takes `first`, the position of the first of them, can be used with a cache.
    """

    def __call__(self, q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]: ...


class SelfAttention(nn.Module):
    """y = softmax(Q K^T / sqrt(d_k)) V,  Q = x W_Q + b_Q,  K = x W_K + b_K,  V = x W_V + b_V: one head.

    x: (batch tokens d_model); y: (batch tokens d_head); the weights, if asked for: (batch tokens tokens).
    d_head, the paper's d_k, is d_model unless given. No output projection.
    mask, bias: as in `glassformer.nn.attention`, for one head.

    Source: Vaswani et al. 2017, section 3.2.1. Deviation: the projections have biases, as torch.nn has.
    """

    def __init__(
        self,
        d_model: int,
        d_head: int | None = None,
        *,
        bias: bool = True,
        attention: Attention = explicit_attention,
    ) -> None:
        super().__init__()
        d_head = d_model if d_head is None else d_head
        self.query = nn.Linear(d_model, d_head, bias=bias)
        self.key = nn.Linear(d_model, d_head, bias=bias)
        self.value = nn.Linear(d_model, d_head, bias=bias)
        self.attention = attention

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        return_weights: bool = False,
    ) -> (
        Float[Tensor, "batch tokens d_head"]
        | tuple[Float[Tensor, "batch tokens d_head"], Float[Tensor, "batch tokens tokens"]]
    ):
        # Attention functions work on (batch heads tokens d_head); here heads is 1.
        q, k, v = (project(x)[:, None] for project in (self.query, self.key, self.value))
        result = self.attention(q, k, v, mask, bias, return_weights=return_weights)
        return (result[0][:, 0], result[1][:, 0]) if isinstance(result, tuple) else result[:, 0]


class MultiHeadSelfAttention(nn.Module):
    """y = [head_1; ...; head_h] W_O + b_O, each head a `SelfAttention` of the same x.

    x, y: (batch tokens d_model); the weights, if asked for: (batch heads tokens tokens).
    d_head is d_model / heads unless given; `MultiHeadAttention.from_heads` gives the fast form.
    Raises ValueError when heads does not divide d_model and d_head is not given.

    Source: Vaswani et al. 2017, section 3.2.2. Deviation: the projections have biases.
    """

    def __init__(
        self,
        d_model: int,
        heads: int,
        *,
        d_head: int | None = None,
        bias: bool = True,
        attention: Attention = explicit_attention,
    ) -> None:
        super().__init__()
        d_head = _even_split(d_model, heads) if d_head is None else d_head
        self.heads = nn.ModuleList(
            SelfAttention(d_model, d_head, bias=bias, attention=attention) for _ in range(heads)
        )
        self.output = nn.Linear(heads * d_head, d_model, bias=bias)

    def forward(
        self,
        x: Float[Tensor, "batch tokens d_model"],
        mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        return_weights: bool = False,
    ) -> (
        Float[Tensor, "batch tokens d_model"]
        | tuple[Float[Tensor, "batch tokens d_model"], Float[Tensor, "batch heads tokens tokens"]]
    ):
        if isinstance(bias, AlibiBias):
            bias = bias.dense(x.shape[1], x.shape[1], x.device, x.dtype)
        results = [
            head(x, _of_head(mask, h), _of_head(bias, h), return_weights) for h, head in enumerate(self.heads)
        ]
        if return_weights:
            y, weights = (list(part) for part in zip(*results, strict=True))
            return self.output(torch.cat(y, dim=-1)), torch.stack(weights, dim=1)
        return self.output(torch.cat(results, dim=-1))


class MultiHeadAttention(nn.Module):
    """y = [head_1; ...; head_h] W_O + b_O,  head_i = softmax(Q_i K_i^T / sqrt(d_k)) V_i.

    Q is made from x, K and V from `context`, or from x without one (self-attention); all heads at once.

    x: (batch queries d_model); y: the same, or (batch only_first d_model); context: (batch keys d_model).
    mask, bias: broadcast to (batch heads queries keys); padding, (batch keys), goes into `Mask(keys=...)`.
    The weights, if asked for: (batch heads queries keys).
    d_head is d_model / heads unless given. Wide heads, d_head = d_model, take every projection from
    R^d to R^(h d) and the output projection back to R^d.
    rotary: a module that maps (q, k) to (q, k), such as `RotaryPositions(d_head)`.

    cache: in self-attention, x holds the tokens that follow those of earlier calls: their keys and values are
    appended, positions go on counting, a `Mask` covers all tokens so far, and causality goes by position. In
    cross-attention, the keys and values of the first call's context serve every later one.

    only_first: so many of x's first tokens ask, and y has these alone; None: all. Keys and values are of all.

    Raises ValueError when heads does not divide d_model and d_head is not given, and when rotary positions or
    ALiBi meet a context: positions in two sequences have no difference.

    Source: Vaswani et al. 2017, section 3.2.2. Deviations: the projections have biases, and start as those of
    torch.nn.MultiheadAttention do; no dropout on the weights. Wide heads: Bloem 2019, 'Transformers from
    scratch'.
    """

    def __init__(
        self,
        d_model: int,
        heads: int,
        *,
        d_head: int | None = None,
        bias: bool = True,
        attention: Attention = explicit_attention,
        rotary: Rotation | None = None,
    ) -> None:
        super().__init__()
        self.heads = heads
        self.d_head = _even_split(d_model, heads) if d_head is None else d_head
        inner = heads * self.d_head
        # Rows: all of Q's, then K's, then V's; within each, head after head, as torch.nn stacks them.
        self.qkv = nn.Linear(d_model, 3 * inner, bias=bias)
        self.output = nn.Linear(inner, d_model, bias=bias)
        self.attention = attention
        self.rotary = rotary
        nn.init.xavier_uniform_(self.qkv.weight)
        if bias:
            nn.init.zeros_(self.qkv.bias)
            nn.init.zeros_(self.output.bias)

    @classmethod
    def from_heads(cls, module: MultiHeadSelfAttention) -> "MultiHeadAttention":
        """The same function as `module`, with copies of its weights in the fused layout."""
        heads = [head for head in module.heads if isinstance(head, SelfAttention)]
        projections = [p for name in ("query", "key", "value") for p in (getattr(h, name) for h in heads)]
        d_head, d_model = projections[0].weight.shape
        has_bias = projections[0].bias is not None
        fused = cls(d_model, len(heads), d_head=d_head, bias=has_bias, attention=heads[0].attention)
        fused.to(projections[0].weight)
        with torch.no_grad():
            fused.qkv.weight.copy_(torch.cat([p.weight for p in projections]))
            if has_bias:
                fused.qkv.bias.copy_(torch.cat([p.bias for p in projections]))
        fused.output.load_state_dict(module.output.state_dict())
        return fused.train(module.training)

    def forward(
        self,
        x: Float[Tensor, "batch queries d_model"],
        context: Float[Tensor, "batch keys d_model"] | None = None,
        mask: Mask | Bool[Tensor, "..."] | None = None,
        bias: AlibiBias | Float[Tensor, "..."] | None = None,
        return_weights: bool = False,
        cache: KeyValueCache | None = None,
        only_first: int | None = None,
    ) -> (
        Float[Tensor, "batch asked d_model"]
        | tuple[Float[Tensor, "batch asked d_model"], Float[Tensor, "batch heads asked ..."]]
    ):
        if context is None:
            first = 0 if cache is None else cache.tokens
            q, k, v = self._project(x, 0, 3)
            if self.rotary is not None:
                # pyrefly: ignore[unexpected-keyword]
                q, k = self.rotary(q, k, first=first) if first else self.rotary(q, k)
            if cache is not None:
                k, v = cache.append(k, v)
                mask, bias = _from(first, mask, q, k), _from(first, bias, q, k)
        else:
            if self.rotary is not None or isinstance(bias, AlibiBias):
                raise ValueError(
                    "rotary positions and ALiBi act in self-attention only, but a context was given; "
                    "build the cross-attention without them"
                )
            (q,) = self._project(x, 0, 1)
            if cache is None:
                k, v = self._project(context, 1, 3)
            elif cache.keys is None or cache.values is None:
                k, v = cache.append(*self._project(context, 1, 3))
            else:
                k, v = cache.keys, cache.values
        if only_first is not None:
            q = q[:, :, :only_first]
            mask, bias = _of_first(only_first, mask), _of_first(only_first, bias)
        result = self.attention(q, k, v, mask, bias, return_weights=return_weights)
        y, weights = result if isinstance(result, tuple) else (result, None)
        y = self.output(self._merge(y))
        return y if weights is None else (y, weights)

    def _project(self, x: Tensor, first: int, last: int) -> tuple[Tensor, ...]:
        """Those of Q, K, V in first:last, each (batch heads tokens d_head), all views of one product."""
        batch, tokens, _ = x.shape
        if last - first == 3:
            projected = self.qkv(x)
        else:
            rows = slice(first * self.heads * self.d_head, last * self.heads * self.d_head)
            bias = self.qkv.bias
            projected = functional.linear(x, self.qkv.weight[rows], None if bias is None else bias[rows])
        split = projected.view(batch, tokens, last - first, self.heads, self.d_head)
        # apart before transposed: the backward pass then stacks the gradients in the layout of the product
        return tuple(part.transpose(1, 2) for part in split.unbind(2))

    @staticmethod
    def _merge(y: Float[Tensor, "batch heads queries d_head"]) -> Float[Tensor, "batch queries inner"]:
        return y.transpose(1, 2).flatten(2)


class SelfAttention2d(nn.Module):
    """Self-attention over a grid: every place attends to every other, whatever the distance.

    x, y: (batch channels height width). The grid is read row by row as a sequence of height * width tokens of
    d_model = channels, goes through a `MultiHeadAttention`, and becomes a grid again.
    The weights, if asked for: (batch heads height width height width), each query's a map of its own.
    Raises ValueError when heads does not divide channels.

    Source: the attention of Vaswani et al. 2017, section 3.2.2, on the places of an image as in Wang et al.
    2018, 'Non-local Neural Networks'. Deviation from the latter: no residual inside.
    """

    def __init__(
        self, channels: int, heads: int = 1, *, bias: bool = True, attention: Attention = explicit_attention
    ) -> None:
        super().__init__()
        self.attention = MultiHeadAttention(channels, heads, bias=bias, attention=attention)

    def forward(
        self, x: Float[Tensor, "batch channels height width"], return_weights: bool = False
    ) -> (
        Float[Tensor, "batch channels height width"]
        | tuple[
            Float[Tensor, "batch channels height width"],
            Float[Tensor, "batch heads height width height width"],
        ]
    ):
        grid = x.shape[2:]
        result = self.attention(x.flatten(2).transpose(1, 2), return_weights=return_weights)
        y, weights = result if isinstance(result, tuple) else (result, None)
        y = y.transpose(1, 2).unflatten(2, grid)
        return y if weights is None else (y, weights.unflatten(3, grid).unflatten(2, grid))


def _even_split(d_model: int, heads: int) -> int:
    if heads < 1 or d_model % heads:
        *rest, last = [str(n) for n in range(1, d_model + 1) if d_model % n == 0]
        choices = f"{', '.join(rest)} or {last}" if rest else last
        rule = "is not a number of heads" if heads < 1 else f"does not divide d_model={d_model}"
        raise ValueError(f"heads={heads} {rule}; choose {choices}")
    return d_model // heads


def _from(first: int, what: Mask | AlibiBias | Tensor | None, q: Tensor, k: Tensor) -> Any:
    """The rows of a mask or a bias for queries that begin at position `first`; tensors are the caller's."""
    if isinstance(what, Tensor) or what is None:
        return what
    queries, keys = slice(first, first + q.shape[2]), slice(0, k.shape[2])
    if isinstance(what, Mask):
        if what.keys is not None and what.keys.shape[1] != keys.stop:
            raise ValueError(
                f"the padding mask covers {what.keys.shape[1]} keys but the cache and x have {keys.stop}; "
                "give Mask(keys=...) all tokens so far"
            )
        return what.tile(queries, keys, q.device)
    return what.tile(queries, keys, q.device, q.dtype)


def _of_first(queries: int, what: Any) -> Any:
    """The rows of a mask or a bias for the first queries; what is no tensor makes as many as are asked."""
    if isinstance(what, Tensor) and what.ndim > 1:
        return what[..., :queries, :]
    return what


def _of_head(what: Mask | Tensor | None, head: int) -> Mask | Tensor | None:
    """The part of a mask or bias that belongs to one head; most have one for all."""
    if isinstance(what, Tensor) and what.ndim >= 3 and what.shape[-3] > 1:
        return what[..., head : head + 1, :, :]
    return what
