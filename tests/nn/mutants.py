"""Seeded mistakes: our parts with one thing wrong each, and the comparison that must notice it.

Most are rows of the list of known mistakes in public code, with the row's subject in the name. A mutant is a
subclass, or a function of the same signature; what it does not get wrong it does as ours does.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn
from torch.nn import functional

from glassformer.nn.attention import explicit_attention
from glassformer.nn.blocks import EncoderBlock, PostNormBlock, PreNormBlock
from glassformer.nn.embeddings import TokenEmbedding
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.grids import (
    GridPositions,
    LearnedGridPositions,
    RotaryGridPositions,
)
from glassformer.nn.masks import causal_mask
from glassformer.nn.multihead import MultiHeadAttention, MultiHeadSelfAttention, SelfAttention2d
from glassformer.nn.patches import PatchEmbedding, grid_size, patch_sides, patchify, unpatchify
from glassformer.nn.pooling import ClsPool, LastPool, MaxPool, MeanPool
from glassformer.nn.positions import AlibiBias, LearnedPositions, RotaryPositions, SinusoidalPositions
from glassformer.nn.stochastic_depth import StochasticDepth
from tests.nn import comparisons as c
from tests.nn import test_blocks as blocks
from tests.nn import test_grids as grids


@dataclass(frozen=True)
class Mutant:
    """compare(right) must pass, compare(wrong) must raise an AssertionError."""

    name: str
    compare: Callable[[object], None]
    right: object
    wrong: object


# Attention functions ---------------------------------------------------------------------------------------


def dense(mask: object, q: Tensor, k: Tensor) -> Tensor | None:
    return mask if mask is None or isinstance(mask, Tensor) else mask.dense(q.shape[2], k.shape[2])


def attend(q, k, v, mask=None, bias=None, *, return_weights=False, **mistake):
    """Attention with room for mistakes; without any it is attention (which `test_mutants` asserts)."""
    scale = mistake.get("scale", lambda q: q.shape[-1] ** -0.5)
    scores = q @ k.mT * scale(q)
    if bias is not None:
        scores = scores + (
            bias if isinstance(bias, Tensor) else bias.dense(q.shape[2], k.shape[2], dtype=q.dtype)
        )
    allowed = mistake.get("change_mask", lambda allowed, mask, q: allowed)(dense(mask, q, k), mask, q)
    if allowed is not None:
        scores = mistake.get("apply_mask", lambda s, a: s.masked_fill(~a, -math.inf))(scores, allowed)
    weights = mistake.get("normalise", lambda scores: scores.softmax(-1))(scores)
    if mistake.get("nan_to_zero", True):
        weights = weights.nan_to_num(0.0)
    if allowed is not None:
        weights = mistake.get("afterwards", lambda w, a: w)(weights, allowed)
    y = weights @ v
    return (y, weights) if return_weights else y


def ignore_padding(allowed, mask, q):
    if mask is None or not mask.causal:
        return None
    return causal_mask(q.shape[2], allowed.shape[-1])[None, None]


def forget_causality(allowed, mask, q):
    if mask is None or mask.keys is None:
        return None
    return mask.keys[:, None, None].expand_as(allowed)


def change_causality(change: Callable[[Tensor], Tensor]):
    def changed(allowed, mask, q):
        if mask is None or not mask.causal:
            return allowed
        causal = change(causal_mask(q.shape[2], allowed.shape[-1]))[None, None]
        return causal if mask.keys is None else causal & mask.keys[:, None, None]

    return changed


def pad_the_queries(allowed, mask, q):
    if mask is None or mask.keys is None:
        return allowed
    return forget_causality(allowed, mask, q).mT & change_causality(lambda m: m)(
        torch.ones_like(allowed), mask, q
    )


def or_the_masks(allowed, mask, q):
    if mask is None or mask.keys is None or not mask.causal:
        return allowed
    return mask.keys[:, None, None] | causal_mask(q.shape[2], allowed.shape[-1])


def fold_wrongly(allowed, mask, q):
    if allowed is None or allowed.shape[0] == 1:
        return allowed
    batch, heads = q.shape[:2]
    return allowed.repeat(heads, 1, 1, 1).view(batch, heads, *allowed.shape[2:])


# kind of mask that shows the mistake, what is done instead
WRONG_ATTENTION: dict[str, tuple[str, dict]] = {
    "no scale": ("none", {"scale": lambda q: 1.0}),
    "scale by sqrt(d_model)": ("none", {"scale": lambda q: (q.shape[1] * q.shape[-1]) ** -0.5}),
    "scale by d_k": ("none", {"scale": lambda q: 1 / q.shape[-1]}),
    "scale by sqrt(heads)": ("none", {"scale": lambda q: q.shape[1] ** -0.5}),
    "multiplied by sqrt(d_k)": ("none", {"scale": lambda q: q.shape[-1] ** 0.5}),
    "scale after the softmax": (
        "none",
        {"scale": lambda q: 1.0, "normalise": lambda s: s.softmax(-1) / math.sqrt(c.D_HEAD)},
    ),
    "softmax over the queries": ("none", {"normalise": lambda s: s.softmax(-2)}),
    "softmax over the heads": ("none", {"normalise": lambda s: s.softmax(1)}),
    "softmax over the batch": ("none", {"normalise": lambda s: s.softmax(0)}),
    "softmax twice": ("none", {"normalise": lambda s: s.softmax(-1).softmax(-1)}),
    "log-softmax": ("none", {"normalise": lambda s: s.log_softmax(-1)}),
    "mask inverted": ("padding", {"change_mask": lambda a, m, q: None if a is None else ~a}),
    "padding ignored": ("padding", {"change_mask": ignore_padding}),
    "padding ignored beside causality": ("both", {"change_mask": ignore_padding}),
    "padding on the queries": ("padding", {"change_mask": pad_the_queries}),
    "causality forgotten": ("causal", {"change_mask": forget_causality}),
    "causality forgotten beside padding": ("both", {"change_mask": forget_causality}),
    "causality lets one future token in": (
        "causal",
        {"change_mask": change_causality(lambda m: torch.ones_like(m).tril(1))},
    ),
    "causality excludes the token itself": (
        "causal",
        {"change_mask": change_causality(lambda m: m.tril(-1))},
    ),
    "causality transposed": ("causal", {"change_mask": change_causality(lambda m: m.mT)}),
    "masks OR-ed": ("both", {"change_mask": or_the_masks}),
    "mask folded wrongly into the heads": ("padding", {"change_mask": fold_wrongly}),
    "mask after the softmax": ("padding", {"apply_mask": lambda s, a: s, "afterwards": lambda w, a: w * a}),
    "scores times mask": ("padding", {"apply_mask": lambda s, a: s * a}),
    "filled with 1e-9": ("padding", {"apply_mask": lambda s, a: s.masked_fill(~a, 1e-9)}),
    "0/1 mask added": ("padding", {"apply_mask": lambda s, a: s + a}),
}

# the output is right, what else is asked for is not
WRONG_GRADIENTS: dict[str, dict] = {
    "no gradient through the weights": {"normalise": lambda s: s.softmax(-1).detach()},
    "half the gradient through the weights": {
        "normalise": lambda s: 0.5 * (s.softmax(-1) + s.softmax(-1).detach())
    },
}

WRONG_ON_EMPTY_ROWS: dict[str, dict] = {
    "filled with -1e9: uniform on an empty row": {"apply_mask": lambda s, a: s.masked_fill(~a, -1e9)},
    "filled with -inf: NaN on an empty row": {"nan_to_zero": False},
    "-inf added and patched afterwards: NaN gradients": {
        "apply_mask": lambda s, a: s + torch.zeros_like(s).masked_fill(~a, -math.inf)
    },
}


def with_attention(attention) -> Callable[[int, int], nn.Module]:
    return lambda d_model, heads: MultiHeadAttention(d_model, heads, attention=attention)


def empty_rows(attention) -> None:
    module = c.randomised(MultiHeadAttention(39, 3, attention=attention).double())
    module.output = nn.Identity()
    c.assert_fully_masked_rows_give_zeros(lambda x, m: module(x, mask=m, return_weights=True), 39)


# Attention modules -----------------------------------------------------------------------------------------


class Projected(MultiHeadAttention):
    """Base of mistakes between the projection and the heads."""

    def change(self, projected: list[Tensor]) -> list[Tensor]:
        raise NotImplementedError

    def _project(self, x, first, last):
        projected = list(super()._project(x, first, last))
        return tuple(self.change(projected)) if len(projected) == 3 else tuple(projected)


class QKSwapped(Projected):
    def change(self, projected):
        q, k, v = projected
        return [k, q, v]


class KVSwapped(Projected):
    def change(self, projected):
        q, k, v = projected
        return [q, v, k]


class VByTheProjectionOfK(Projected):
    def change(self, projected):
        q, k, _ = projected
        return [q, k, k]


class KByTheProjectionOfQ(Projected):
    def change(self, projected):
        q, _, v = projected
        return [q, q, v]


class SplitWithoutTranspose(Projected):
    def change(self, projected):
        return [x.transpose(1, 2).reshape(x.shape) for x in projected]


class InterleavedSplit(Projected):
    def change(self, projected):
        batch, heads, tokens, d_head = projected[0].shape
        return [
            x.transpose(1, 2).reshape(batch, tokens, d_head, heads).permute(0, 3, 1, 2) for x in projected
        ]


class BatchAndTokensSwapped(Projected):
    def change(self, projected):
        return [x.transpose(0, 2) for x in projected]

    def _merge(self, y):
        return super()._merge(y.transpose(0, 2))


class OneBigHead(Projected):
    def change(self, projected):
        return [x.transpose(1, 2).flatten(2)[:, None] for x in projected]

    def forward(self, *arguments, return_weights=False, **keywords):
        result = super().forward(*arguments, return_weights=return_weights, **keywords)
        return (result[0], result[1].expand(-1, self.heads, -1, -1)) if return_weights else result


class MergedWithoutTranspose(MultiHeadAttention):
    def _merge(self, y):
        return y.reshape(y.shape[0], y.shape[2], -1)


class HeadsAveraged(MultiHeadAttention):
    def _merge(self, y):
        return y.mean(dim=1).repeat(1, 1, self.heads)


class NoOutputProjection(MultiHeadAttention):
    def forward(self, *arguments, **keywords):
        output, self.output = self.output, nn.Identity()
        try:
            return super().forward(*arguments, **keywords)
        finally:
            self.output = output


class OutputTransposed(MultiHeadAttention):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.output.register_forward_hook(
            lambda linear, inputs, _: functional.linear(inputs[0], linear.weight.mT, linear.bias)
        )


class NoOutputBias(MultiHeadAttention):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.output.register_forward_hook(lambda linear, _, y: y - linear.bias)


class FrozenOutputBias(MultiHeadAttention):
    """The output is right, the gradient of one parameter is not."""

    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.output.register_forward_hook(lambda linear, _, y: y - linear.bias + linear.bias.detach())


class WeightsAveraged(MultiHeadAttention):
    """The output is right, the weights that are asked for are not."""

    def forward(self, *arguments, return_weights=False, **keywords):
        result = super().forward(*arguments, return_weights=return_weights, **keywords)
        if not return_weights:
            return result
        return result[0], result[1].mean(dim=1, keepdim=True).expand_as(result[1])


class NoProjectionBias(MultiHeadAttention):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.qkv.register_forward_hook(lambda linear, _, y: y - linear.bias)


class ContextIgnored(MultiHeadAttention):
    def forward(self, x, context=None, **keywords):
        return super().forward(x, None if context is None else x[:, : context.shape[1]], **keywords)


class ValuesFromTheQueries(MultiHeadAttention):
    def forward(self, x, context=None, **keywords):
        self.queries_from = x
        return super().forward(x, context, **keywords)

    def _project(self, x, first, last):
        projected = super()._project(x, first, last)
        if (first, last) != (1, 3):
            return projected
        tokens = x.shape[1]
        return projected[0], super()._project(self.queries_from, 1, 3)[1][:, :, :tokens]


class RotaryOnQAlone(RotaryPositions):
    def forward(self, q, k):
        return super().forward(q, k)[0], k


WRONG_MODULES = (
    QKSwapped,
    KVSwapped,
    VByTheProjectionOfK,
    KByTheProjectionOfQ,
    SplitWithoutTranspose,
    InterleavedSplit,
    BatchAndTokensSwapped,
    OneBigHead,
    MergedWithoutTranspose,
    HeadsAveraged,
    NoOutputProjection,
    OutputTransposed,
    NoOutputBias,
    NoProjectionBias,
    FrozenOutputBias,
    WeightsAveraged,
)


class OneHeadForAll(MultiHeadSelfAttention):
    """A ModuleList of one and the same head."""

    def __init__(self, d_model, heads):
        super().__init__(d_model, heads)
        self.heads[1].forward = self.heads[0].forward


class HeadsReversed(MultiHeadSelfAttention):
    def __init__(self, d_model, heads):
        super().__init__(d_model, heads)
        d_head = d_model // heads
        self.output.register_forward_pre_hook(
            lambda _, inputs: torch.cat(inputs[0].split(d_head, dim=-1)[::-1], dim=-1)
        )


# Blocks ----------------------------------------------------------------------------------------------------


class WrongBlock(EncoderBlock):
    def wire(self, x: Tensor, attend: Callable[[Tensor], Tensor]) -> Tensor:
        raise NotImplementedError

    def forward(self, x, mask=None, bias=None, return_weights=False):
        return self.wire(x, lambda normed: self.attention(normed, mask=mask, bias=bias))


class PreResidualAfterNorm(WrongBlock):
    def wire(self, x, attend):
        x = self.attention_norm(x)
        h = self.feed_forward_norm(x + attend(x))
        return h + self.feed_forward(h)


class PreNoFirstResidual(WrongBlock):
    def wire(self, x, attend):
        h = attend(self.attention_norm(x))
        return h + self.feed_forward(self.feed_forward_norm(h))


class PreNoSecondResidual(WrongBlock):
    def wire(self, x, attend):
        h = x + attend(self.attention_norm(x))
        return self.feed_forward(self.feed_forward_norm(h))


class PreSecondResidualFromInput(WrongBlock):
    def wire(self, x, attend):
        h = x + attend(self.attention_norm(x))
        return x + self.feed_forward(self.feed_forward_norm(h))


class PreSharedNorm(WrongBlock):
    def wire(self, x, attend):
        h = x + attend(self.attention_norm(x))
        return h + self.feed_forward(self.attention_norm(h))


class PreNormsSwapped(WrongBlock):
    def wire(self, x, attend):
        h = x + attend(self.feed_forward_norm(x))
        return h + self.feed_forward(self.attention_norm(h))


class PreParallel(WrongBlock):
    def wire(self, x, attend):
        return x + attend(self.attention_norm(x)) + self.feed_forward(self.feed_forward_norm(x))


class PostSharedNorm(WrongBlock):
    def wire(self, x, attend):
        h = self.attention_norm(x + attend(x))
        return self.attention_norm(h + self.feed_forward(h))


class PostResidualAfterNorm(WrongBlock):
    def wire(self, x, attend):
        h = x + self.attention_norm(attend(x))
        return h + self.feed_forward_norm(self.feed_forward(h))


class PostNoResiduals(WrongBlock):
    def wire(self, x, attend):
        h = self.attention_norm(attend(x))
        return self.feed_forward_norm(self.feed_forward(h))


class PostSecondResidualFromInput(WrongBlock):
    def wire(self, x, attend):
        h = self.attention_norm(x + attend(x))
        return self.feed_forward_norm(x + self.feed_forward(h))


class PreDetachedResidual(WrongBlock):
    """The output is right, the gradient is not."""

    def wire(self, x, attend):
        h = x.detach() + attend(self.attention_norm(x))
        return h + self.feed_forward(self.feed_forward_norm(h))


class PreDropoutUnasked(PreNormBlock):
    def __init__(self, *arguments, **keywords):
        super().__init__(*arguments, **keywords)
        self.dropout = nn.Dropout(0.5)


class FirstTokensAttendToThemselves(PreNormBlock):
    """Cut before the attention: the keys and values of the other tokens are lost."""

    def forward(self, x, mask=None, bias=None, return_weights=False, only_first=None):
        return super().forward(x[:, :only_first], mask, bias, return_weights)


class LastTokensForTheFirst(PreNormBlock):
    def forward(self, x, mask=None, bias=None, return_weights=False, only_first=None):
        result = super().forward(x, mask, bias, return_weights)
        if only_first is None:
            return result
        if return_weights:
            return result[0][:, -only_first:], result[1][:, :, -only_first:]
        return result[:, -only_first:]


class QueriesUnheard(PreNormBlock):
    def forward(self, x, mask=None, bias=None, return_weights=False, only_first=None):
        return super().forward(x, mask, bias, return_weights)


class LastRowsOfTheMask(MultiHeadAttention):
    def forward(self, x, mask=None, bias=None, return_weights=False, only_first=None):
        if only_first is not None and mask is not None:
            mask = mask.flip(-2)
        return super().forward(x, None, mask, bias, return_weights, only_first=only_first)


class NormBy(nn.LayerNorm):
    def __init__(self, d_model: int, formula: Callable[[Tensor], Tensor]):
        super().__init__(d_model)
        self.formula = formula

    def forward(self, x):
        return self.formula(x) * self.weight + self.bias


def standardised(x: Tensor, dim: int = -1, unbiased: bool = False, eps: float = 1e-5, outside: float = 0.0):
    variance = x.var(dim, keepdim=True, unbiased=unbiased)
    return (x - x.mean(dim, keepdim=True)) / ((variance + eps).sqrt() + outside)


WRONG_NORMS = {
    "norm over the tokens": partial(standardised, dim=1),
    "norm over the batch": partial(standardised, dim=0),
    "unbiased variance": partial(standardised, unbiased=True),
    "another eps": partial(standardised, eps=1e-6),
    "eps outside the root": partial(standardised, eps=0.0, outside=1e-5),
    "norm without the mean": lambda x: x / (x.pow(2).mean(-1, keepdim=True) + 1e-5).sqrt(),
}


def block(
    kind: type[EncoderBlock], change: Callable[[EncoderBlock, int], None] = lambda block, d_model: None
):
    def build(d_model, heads, d_ff, activation):
        built = kind(MultiHeadAttention(d_model, heads), FeedForward(d_model, d_ff, activation), d_model)
        change(built, d_model)
        return built

    return build


def with_norm(formula):
    def change(built, d_model):
        built.attention_norm = NormBy(d_model, formula)

    return block(PreNormBlock, change)


def with_activation(activation):
    def change(built, d_model):
        built.feed_forward.activation = activation

    return block(PreNormBlock, change)


tanh_gelu = partial(functional.gelu, approximate="tanh")
pre_block = partial(c.assert_block_equals_native, norm_first=True)
post_block = partial(c.assert_block_equals_native, norm_first=False)


class ActivationAtTheEnd(FeedForward):
    def forward(self, x):
        return self.activation(self.contract(self.expand(x)))


class NoActivation(FeedForward):
    def forward(self, x):
        return self.contract(self.expand(x))


class ResidualInside(FeedForward):
    def forward(self, x):
        return x + super().forward(x)


# Positions, embeddings, pooling ----------------------------------------------------------------------------


class Sinusoids(nn.Module):
    """Sinusoids with room for a mistake; without any they are right (which `test_mutants` asserts)."""

    def __init__(self, d_model, start=0, exponent=1.0, base=10000.0, layout="interleaved", scale=1.0, axis=1):
        super().__init__()
        t = (torch.arange(start, start + 999) * scale).double()
        frequency = base ** (-exponent * torch.arange(0, d_model, 2).double() / d_model)
        sin, cos = (t[:, None] * frequency).sin(), (t[:, None] * frequency).cos()
        pairs = (cos, sin) if layout == "swapped" else (sin, cos)
        table = torch.cat(pairs, -1) if layout == "concatenated" else torch.stack(pairs, -1).flatten(1)
        self.table, self.axis = table[:, :d_model], axis

    def forward(self, x):
        rows = self.table[: x.shape[self.axis]]
        return x + (rows if self.axis == 1 else rows[:, None])


class SinusoidsMultiplied(SinusoidalPositions):
    def forward(self, x):
        return x * super().forward(torch.zeros_like(x))


class SinusoidsInFloat32(SinusoidalPositions):
    def forward(self, x):
        return x + super().forward(torch.zeros_like(x, dtype=torch.float32))


class Rotary(nn.Module):
    def __init__(self, d_head, start=0, base=10000.0, sign=1.0, interleaved=False):
        super().__init__()
        self.d_head, self.start, self.base, self.sign, self.interleaved = (
            d_head,
            start,
            base,
            sign,
            interleaved,
        )

    def forward(self, q, k):
        t = torch.arange(self.start, self.start + q.shape[2]).double()
        w = self.sign * t[:, None] * self.base ** (-torch.arange(0, self.d_head, 2).double() / self.d_head)
        return self.rotate(q, w), self.rotate(k, w)

    def rotate(self, x, w):
        a, b = (x[..., 0::2], x[..., 1::2]) if self.interleaved else x.chunk(2, -1)
        turned = a * w.cos() - b * w.sin(), b * w.cos() + a * w.sin()
        return torch.stack(turned, -1).flatten(-2) if self.interleaved else torch.cat(turned, -1)


@dataclass(frozen=True)
class Alibi:
    heads: int
    distance: Callable[[Tensor], Tensor] = torch.abs
    sign: float = -1.0
    slopes: Callable[[int], list[float]] = c.slopes_by_hand

    def dense(self, queries, keys, device=None, dtype=torch.float64):
        return self.tile(slice(0, queries), slice(0, keys), device, dtype)

    def tile(self, queries, keys, device=None, dtype=torch.float64):
        i, j = (torch.arange(s.start, s.stop, dtype=dtype) for s in (queries, keys))
        slopes = torch.tensor(self.slopes(self.heads), dtype=dtype)
        return (self.sign * self.distance(i[:, None] - j) * slopes[:, None, None])[None]


class AlibiTileFromZero(AlibiBias):
    def tile(self, queries, keys, device=None, dtype=None):
        rows, columns = queries.stop - queries.start, keys.stop - keys.start
        return super().tile(slice(0, rows), slice(0, columns), device, dtype)


class LearnedFromOne(LearnedPositions):
    def forward(self, x):
        return x + self.embedding.weight[1 : x.shape[1] + 1]


class LearnedOneForAll(LearnedPositions):
    def forward(self, x):
        return x + self.embedding.weight[0]


def embedding(kind: type[TokenEmbedding], always: bool | None = None):
    return lambda vocab, d_model, scale: kind(vocab, d_model, scale=scale if always is None else always)


class EmbeddingScaledByD(TokenEmbedding):
    def forward(self, ids):
        return self.embedding(ids) * self.embedding.embedding_dim


class MeanCountsPadding(MeanPool):
    def forward(self, x, mask=None):
        return x.mean(1) if mask is None else (x * mask[..., None]).mean(1)


class MeanOfPadding(MeanPool):
    def forward(self, x, mask=None):
        return x.mean(1) if mask is None else x.mean(1) * mask.any(1, keepdim=True)


class MeanIsSum(MeanPool):
    def forward(self, x, mask=None):
        return x.sum(1) if mask is None else (x * mask[..., None]).sum(1)


class MeanDetachesTheFirst(MeanPool):
    """The output is right, the gradient is not."""

    def forward(self, x, mask=None):
        return super().forward(torch.cat((x[:, :1].detach(), x[:, 1:]), 1), mask)


class MeanEmptyIsNan(MeanPool):
    def forward(self, x, mask=None):
        return x.mean(1) if mask is None else (x * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)


class MaxOfZeros(MaxPool):
    def forward(self, x, mask=None):
        return x.amax(1) if mask is None else (x * mask[..., None]).amax(1)


class MaxOfPadding(MaxPool):
    def forward(self, x, mask=None):
        return x.amax(1) if mask is None else x.amax(1) * mask.any(1, keepdim=True)


class ClsFromTheEnd(ClsPool):
    def forward(self, x, mask=None):
        return super().forward(x.flip(1), mask)


class ClsKeepsEmptyRows(ClsPool):
    def forward(self, x, mask=None):
        return x[:, 0]


class LastOfPadding(LastPool):
    def forward(self, x, mask=None):
        return x[:, -1] if mask is None else x[:, -1] * mask.any(1, keepdim=True)


class LastCountsRealTokens(LastPool):
    def forward(self, x, mask=None):
        if mask is None:
            return x[:, -1]
        last = (mask.sum(1) - 1).clamp(min=0)
        return x[torch.arange(len(x)), last] * mask.any(1, keepdim=True)


class LastKeepsEmptyRows(LastPool):
    def forward(self, x, mask=None):
        return super().forward(x, None if mask is None else mask | ~mask.any(1, keepdim=True))


# Images ----------------------------------------------------------------------------------------------------


def patches_in_order(order: tuple[int, ...]) -> Callable:
    """patchify with the six axes (batch, channel, row, inner row, column, inner column) in another order."""

    def cut(images, patch):
        (rows, columns), (height, width) = grid_size(images.shape[2:], patch), patch_sides(patch)
        axes = images.reshape(*images.shape[:2], rows, height, columns, width)
        return axes.permute(order).reshape(len(images), rows * columns, -1)

    return cut


WRONG_PATCHES = {
    "patches column by column": patches_in_order((0, 4, 2, 1, 3, 5)),
    "patches with the channels last": patches_in_order((0, 2, 4, 3, 5, 1)),
    "patches with their pixels transposed": patches_in_order((0, 2, 4, 1, 5, 3)),
    "patches cut by reshape alone": lambda images, patch: images.reshape(
        len(images), -1, images.shape[1] * patch_sides(patch)[0] * patch_sides(patch)[1]
    ),
}


class EmbeddingOfOtherPatches(PatchEmbedding):
    def forward(self, images):
        return self.projection(patches_in_order((0, 2, 4, 3, 5, 1))(images, self.patch))


class EmbeddingWithoutBias(PatchEmbedding):
    def forward(self, images):
        return super().forward(images) - self.projection.bias


class GridReshaped(SelfAttention2d):
    def forward(self, x, return_weights=False):
        y = self.attention(x.reshape(len(x), -1, x.shape[1]), return_weights=return_weights)
        return (y[0].reshape(x.shape), y[1]) if return_weights else y.reshape(x.shape)


class GridReadByColumns(SelfAttention2d):
    def forward(self, x, return_weights=False):
        result = super().forward(x.mT, return_weights)  # the output back as it was, the weights forgotten
        return (result[0].mT, result[1]) if return_weights else result.mT


class RowsOnly(SelfAttention2d):
    def forward(self, x, return_weights=False):
        if return_weights:
            return super().forward(x, return_weights)
        return torch.stack([self.attention(row.mT).mT for row in x.unbind(2)], dim=2)


# Grids and stochastic depth --------------------------------------------------------------------------------


class GridSinusoids(GridPositions):
    """Sinusoids on a grid with room for a mistake; without any they are right."""

    def __init__(self, d_model, rows, columns, *, prefix=0, axes=(0, 1), by_columns=False, whole=False, **at):
        super().__init__(rows, columns, prefix)
        i, j = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        places = torch.stack((i.T, j.T) if by_columns else (i, j)).flatten(1).double()
        pairs = torch.arange(0, d_model // 2, 2).double() / (d_model if whole else d_model // 2)
        angle = (places[list(axes), :, None] + at.get("start", 0)) * 10000.0**-pairs
        table = torch.cat(tuple(torch.stack((angle.sin(), angle.cos()), -1).flatten(2)), dim=-1)
        self.table = torch.cat((torch.zeros(prefix, d_model) + at.get("prefix_value", 0.0), table))

    def forward(self, x):
        return x + self.table

    def resized(self, rows, columns):
        raise NotImplementedError


class GridRotary(GridPositions):
    """Rotary positions on a grid with room for a mistake; without any they are right."""

    def __init__(self, d_head, rows, columns, *, prefix=0, axes=(0, 1), base=100.0, sign=1.0, **mistake):
        super().__init__(rows, columns, prefix)
        i, j = torch.meshgrid(torch.arange(rows), torch.arange(columns), indexing="ij")
        places = torch.stack((i, j)).flatten(1).double()[list(axes)]
        frequencies = base ** -(torch.arange(0, d_head, 4).double() / d_head)
        angle = sign * torch.cat(tuple(places[:, :, None] * frequencies), dim=-1)
        self.angle = torch.cat((torch.full((prefix, d_head // 2), mistake.get("prefix_angle", 0.0)), angle))
        self.interleaved = mistake.get("interleaved", False)

    def forward(self, q, k):
        rotary = Rotary(q.shape[-1], interleaved=self.interleaved)
        return rotary.rotate(q, self.angle), rotary.rotate(k, self.angle)

    def resized(self, rows, columns):
        raise NotImplementedError


class GridRotaryOnQAlone(RotaryGridPositions):
    def forward(self, q, k):
        return super().forward(q, k)[0], k


class GridRotaryAlongTheSequence(RotaryGridPositions):
    """Counts the patches through, as if the image were a line."""

    def forward(self, q, k):
        return RotaryPositions(self.d_head, base=self.base)(q, k)


class LearnedWithThePrefixLast(LearnedGridPositions):
    def forward(self, x):
        return x + self.embedding.weight.roll(-self.prefix, 0)


class LearnedForPatchesAlone(LearnedGridPositions):
    def forward(self, x):
        return torch.cat((x[:, : self.prefix], (x + self.embedding.weight)[:, self.prefix :]), 1)


class Resized(LearnedGridPositions):
    """Base of mistakes in the interpolation."""

    def between(self, grid: Tensor, rows: int, columns: int) -> Tensor:
        raise NotImplementedError

    def resized(self, rows, columns):
        other, table = super().resized(rows, columns), self.embedding.weight.detach()
        grid = self.between(table[self.prefix :].unflatten(0, (self.rows, self.columns)), rows, columns)
        other.embedding.weight.data = torch.cat((table[: self.prefix], grid.flatten(0, 1)))
        return other


def interpolated(grid: Tensor, rows: int, columns: int, **how) -> Tensor:
    return functional.interpolate(grid.permute(2, 0, 1)[None], (rows, columns), **how)[0].permute(1, 2, 0)


class ResizedBicubic(Resized):
    """Right."""

    def between(self, grid, rows, columns):
        return interpolated(grid, rows, columns, mode="bicubic")


class ResizedBilinear(Resized):
    def between(self, grid, rows, columns):
        return interpolated(grid, rows, columns, mode="bilinear")


class ResizedWithAlignedCorners(Resized):
    def between(self, grid, rows, columns):
        return interpolated(grid, rows, columns, mode="bicubic", align_corners=True)


class ResizedWithRowsForColumns(Resized):
    def between(self, grid, rows, columns):
        return interpolated(grid.reshape(self.columns, self.rows, -1), rows, columns, mode="bicubic")


class ResizedAntialiased(Resized):
    def between(self, grid, rows, columns):
        return interpolated(grid, rows, columns, mode="bicubic", antialias=True)


class SharedByACopy(LearnedGridPositions):
    def shared(self, rows, columns):
        return self.resized(rows, columns)


class SharedWithHalfTheGradient(LearnedGridPositions):
    def interpolated(self, rows, columns):
        table = super().interpolated(rows, columns)
        return (table + table.detach()) / 2


class SharedFromItsFirstTable(LearnedGridPositions):
    def shared(self, rows, columns):
        positions, table = super().shared(rows, columns), self.interpolated(rows, columns)
        positions.forward = lambda x: x + table
        return positions


class Skipping(StochasticDepth):
    """Stochastic depth with room for a mistake; without any it is right."""

    def keep(self, *sizes: int) -> Tensor:
        return torch.empty(*sizes, dtype=torch.float64).bernoulli_(1 - self.rate)

    def forward(self, x):
        return self.mistaken(x) if self.training else x

    def mistaken(self, x: Tensor) -> Tensor:
        return x * self.keep(len(x), 1, 1) / (1 - self.rate)


class SkippingWithoutRescaling(Skipping):
    def mistaken(self, x):
        return x * self.keep(len(x), 1, 1)


class SkippingScaledByRate(Skipping):
    def mistaken(self, x):
        return x * self.keep(len(x), 1, 1) / self.rate


class SkippingTheKept(Skipping):
    def mistaken(self, x):
        return x * (1 - self.keep(len(x), 1, 1)) / (1 - self.rate)


class SkippingTheWholeBatch(Skipping):
    def mistaken(self, x):
        return x * self.keep(1, 1, 1) / (1 - self.rate)


class SkippingTokens(Skipping):
    def mistaken(self, x):
        return x * self.keep(len(x), x.shape[1], 1) / (1 - self.rate)


class SkippingOnceForAll(Skipping):
    def mistaken(self, x):
        self.drawn = self.drawn if hasattr(self, "drawn") else self.keep(len(x), 1, 1)
        return x * self.drawn / (1 - self.rate)


class SkippingInEvaluation(Skipping):
    def forward(self, x):
        return self.mistaken(x)


class PreSkipsTheResidual(PreNormBlock):
    def forward(self, x, mask=None, bias=None, return_weights=False):
        h = self.stochastic_depth(x + self.attention(self.attention_norm(x)))
        return self.stochastic_depth(h + self.feed_forward(self.feed_forward_norm(h)))


class PreSkipsFeedForwardAlone(PreNormBlock):
    def forward(self, x, mask=None, bias=None, return_weights=False):
        h = x + self.attention(self.attention_norm(x))
        return h + self.stochastic_depth(self.feed_forward(self.feed_forward_norm(h)))


class PreSkipsBothTogether(PreNormBlock):
    def forward(self, x, mask=None, bias=None, return_weights=False):
        scale = self.stochastic_depth(torch.ones(len(x), 1, 1, dtype=x.dtype))
        h = x + scale * self.attention(self.attention_norm(x))
        return h + scale * self.feed_forward(self.feed_forward_norm(h))


class PreNeverSkips(PreNormBlock):
    def __init__(self, *arguments, stochastic_depth=0.0, **keywords):
        super().__init__(*arguments, **keywords)


WRONG_SKIPS = (
    nn.Dropout,
    SkippingWithoutRescaling,
    SkippingScaledByRate,
    SkippingTheKept,
    SkippingTheWholeBatch,
    SkippingTokens,
    SkippingOnceForAll,
    SkippingInEvaluation,
)
WRONG_RESIZES = (
    ResizedBilinear,
    ResizedWithAlignedCorners,
    ResizedWithRowsForColumns,
    ResizedAntialiased,
)


# Properties ------------------------------------------------------------------------------------------------


def property_of(assertion: Callable) -> Callable[[object], None]:
    def compare(attention) -> None:
        module = c.randomised(MultiHeadAttention(39, 3, attention=attention).double())
        assertion(lambda x, mask: module(x, mask=mask), 39)

    return compare


def with_sinusoids(q, k, v, mask=None, bias=None, *, return_weights=False):
    q, k = q + torch.arange(q.shape[2])[:, None], k + torch.arange(k.shape[2])[:, None]
    return attend(q, k, v, mask, bias, return_weights=return_weights)


# The list --------------------------------------------------------------------------------------------------


def _mutants() -> list[Mutant]:
    found: list[Mutant] = []

    def add(name: str, compare: Callable, right: object, wrong: object) -> None:
        found.append(Mutant(name, compare, right, wrong))

    for name, (kind, mistake) in WRONG_ATTENTION.items():
        right, wrong = with_attention(attend), with_attention(partial(attend, **mistake))
        add(name, partial(c.assert_equals_native_attention, kind=kind), right, wrong)
    for name, mistake in WRONG_GRADIENTS.items():
        right, wrong = with_attention(attend), with_attention(partial(attend, **mistake))
        add(name, c.assert_equals_native_attention, right, wrong)
    for name, mistake in WRONG_ON_EMPTY_ROWS.items():
        add(name, empty_rows, explicit_attention, partial(attend, **mistake))
    for wrong in WRONG_MODULES:
        add(wrong.__name__, c.assert_equals_native_attention, MultiHeadAttention, wrong)
    cross = partial(c.assert_equals_native_attention, cross=True, queries=11, keys=7)
    add(ContextIgnored.__name__, cross, MultiHeadAttention, ContextIgnored)
    add(ValuesFromTheQueries.__name__, cross, MultiHeadAttention, ValuesFromTheQueries)
    for name, wrong in WRONG_PATCHES.items():
        add(name, partial(c.assert_patchify_equals_unfold, patch=(3, 2)), patchify, wrong)
    restore = partial(c.assert_unpatchify_equals_fold, patch=(3, 2))
    add("image put together mirrored", restore, unpatchify, lambda *given: unpatchify(*given).flip(3))
    for wrong in (EmbeddingOfOtherPatches, EmbeddingWithoutBias):
        add(wrong.__name__, c.assert_patch_embedding_equals_convolution, PatchEmbedding, wrong)
    for wrong in (GridReshaped, GridReadByColumns, RowsOnly):
        add(wrong.__name__, c.assert_2d_equals_native_attention, SelfAttention2d, wrong)
    for wrong in (OneHeadForAll, HeadsReversed):
        add(wrong.__name__, c.assert_heads_equal_native_attention, MultiHeadSelfAttention, wrong)

    def wide(attention=attend, **keywords):
        return lambda d_model, heads, d_head: MultiHeadAttention(
            d_model, heads, d_head=d_head, attention=attention, **keywords
        )

    compare = partial(c.assert_equals_scaled_dot_product, d_model=13, heads=3, d_head=13)
    by_narrow = partial(attend, scale=lambda q: (q.shape[-1] / 3) ** -0.5)
    add("wide heads scaled as narrow ones", compare, wide(), wide(by_narrow))
    compare = partial(c.assert_equals_scaled_dot_product, d_model=21, heads=3, d_head=7, bias=AlibiBias(3))
    add("bias ignored", compare, wide(), wide(lambda q, k, v, mask, bias, **kw: attend(q, k, v, mask, **kw)))
    before_scale = lambda q, k, v, mask, bias, **kw: attend(  # noqa: E731
        q, k, v, mask, bias.dense(7, 7, dtype=q.dtype) * q.shape[-1] ** -0.5, **kw
    )
    add("bias before the scale", compare, wide(), wide(before_scale))
    compare = partial(
        c.assert_equals_scaled_dot_product, d_model=30, heads=3, d_head=10, rotate=c.rotated_by_transformers
    )
    right = wide(rotary=RotaryPositions(10))
    add("rotary forgotten", compare, right, wide())
    add("rotary on q alone", compare, right, wide(rotary=RotaryOnQAlone(10)))

    pre_wrong = (
        PostNormBlock,
        PreResidualAfterNorm,
        PreNoFirstResidual,
        PreNoSecondResidual,
        PreSecondResidualFromInput,
        PreSharedNorm,
        PreNormsSwapped,
        PreParallel,
        PreDropoutUnasked,
        PreDetachedResidual,
    )
    for wrong in pre_wrong:
        add(f"{wrong.__name__} for pre-norm", pre_block, block(PreNormBlock), block(wrong))
    post_wrong = (
        PreNormBlock,
        PostSharedNorm,
        PostResidualAfterNorm,
        PostNoResiduals,
        PostSecondResidualFromInput,
    )
    for wrong in post_wrong:
        add(f"{wrong.__name__} for post-norm", post_block, block(PostNormBlock), block(wrong))
    dense = c.mask_of_kind("both", c.BATCH, c.TOKENS).dense(c.TOKENS, c.TOKENS)
    first = partial(c.assert_first_queries_as_among_all, mask=dense)

    def asked(wrong=PreNormBlock, attention=MultiHeadAttention):
        return lambda: wrong(attention(39, 3), FeedForward(39, c.D_FF), 39)

    for wrong in (LastTokensForTheFirst, QueriesUnheard):
        add(wrong.__name__, first, asked(), asked(wrong))
    first_unmasked = c.assert_first_queries_as_among_all
    add("FirstTokensAttendToThemselves", first_unmasked, asked(), asked(FirstTokensAttendToThemselves))
    add("LastRowsOfTheMask", first, asked(), asked(attention=LastRowsOfTheMask))
    for name, formula in WRONG_NORMS.items():
        add(name, pre_block, with_norm(standardised), with_norm(formula))
    for name, activation in {"tanh-gelu for gelu": tanh_gelu, "relu for gelu": functional.relu}.items():
        add(name, pre_block, with_activation(functional.gelu), with_activation(activation))
    for wrong in (ActivationAtTheEnd, NoActivation, ResidualInside):
        add(wrong.__name__, c.assert_feed_forward_equals_sequential, FeedForward, wrong)

    sinusoid_mistakes = {
        "positions start at 1": {"start": 1},
        "sinusoid exponent doubled": {"exponent": 2.0},
        "sinusoid base 1000": {"base": 1000.0},
        "sines and cosines concatenated": {"layout": "concatenated"},
        "sines and cosines swapped": {"layout": "swapped"},
        "positions scaled": {"scale": 0.5},
        "positions along the batch": {"axis": 0},
    }
    for name, mistake in sinusoid_mistakes.items():
        add(name, c.assert_equals_sinusoids, Sinusoids, partial(Sinusoids, **mistake))
    for wrong in (SinusoidsMultiplied, SinusoidsInFloat32):
        add(wrong.__name__, c.assert_equals_sinusoids, SinusoidalPositions, wrong)
    rotary_mistakes = {
        "rotary sign flipped": {"sign": -1.0},
        "rotary positions start at 1": {"start": 1},
        "rotary pairs interleaved": {"interleaved": True},
        "rotary base 1000": {"base": 1000.0},
    }
    for name, mistake in rotary_mistakes.items():
        add(name, c.assert_rotary_equals_transformers, Rotary, partial(Rotary, **mistake))
    alibi_mistakes = {
        "alibi signed, not absolute": {"distance": lambda d: d},
        "alibi the wrong way round": {"sign": 1.0},
        "alibi squared": {"distance": torch.square},
        "alibi slopes from h = 0": {"slopes": lambda n: [2 ** (-8 * h / n) for h in range(n)]},
        "alibi slopes as for a power of two": {
            "slopes": lambda n: [2 ** (-8 * h / n) for h in range(1, n + 1)]
        },
        "alibi slopes reversed": {"slopes": lambda n: c.slopes_by_hand(n)[::-1]},
        "alibi one slope": {"slopes": lambda n: [0.25] * n},
    }
    for name, mistake in alibi_mistakes.items():
        add(name, c.assert_alibi_equals_numpy, Alibi, partial(Alibi, **mistake))
    add("alibi tile counted from zero", c.assert_alibi_equals_numpy, AlibiBias, AlibiTileFromZero)
    for wrong in (LearnedFromOne, LearnedOneForAll):
        add(wrong.__name__, c.assert_learned_positions_add_rows, LearnedPositions, wrong)

    grid_sinusoid_mistakes = {
        "rows and columns swapped": {"axes": (1, 0)},
        "rows for both axes": {"axes": (0, 0)},
        "patches counted by columns": {"by_columns": True},
        "frequencies of the whole width": {"whole": True},
        "rows and columns from 1": {"start": 1},
        "prefix with a position": {"prefix_value": 1.0},
    }
    for name, mistake in grid_sinusoid_mistakes.items():
        wrong = partial(GridSinusoids, **mistake)
        add(f"grid sinusoids: {name}", grids.assert_equals_grid_sinusoids, GridSinusoids, wrong)
    grid_rotary_mistakes = {
        "rows and columns swapped": {"axes": (1, 0)},
        "base as for text": {"base": 10000.0},
        "sign flipped": {"sign": -1.0},
        "prefix turned": {"prefix_angle": 1.0},
        "pairs interleaved": {"interleaved": True},
    }
    for name, mistake in grid_rotary_mistakes.items():
        wrong = partial(GridRotary, **mistake)
        add(f"grid rotary: {name}", grids.assert_grid_rotary_equals_dinov3, GridRotary, wrong)
    offsets = grids.assert_scores_depend_on_the_offset
    add("grid rotary: rows for both axes, property", offsets, GridRotary, partial(GridRotary, axes=(0, 0)))
    for wrong in (GridRotaryOnQAlone, GridRotaryAlongTheSequence):
        add(f"{wrong.__name__}: property", offsets, RotaryGridPositions, wrong)
        add(wrong.__name__, grids.assert_grid_rotary_equals_dinov3, RotaryGridPositions, wrong)
    for wrong in (LearnedWithThePrefixLast, LearnedForPatchesAlone):
        add(wrong.__name__, grids.assert_learned_grid_adds_rows, LearnedGridPositions, wrong)
    for wrong in WRONG_RESIZES:
        add(wrong.__name__, grids.assert_resized_equals_numpy, ResizedBicubic, wrong)
    for wrong in (SharedByACopy, SharedWithHalfTheGradient, SharedFromItsFirstTable):
        add(wrong.__name__, grids.assert_shared_learns_in_the_first_place, LearnedGridPositions, wrong)

    for wrong in WRONG_SKIPS:
        add(f"{wrong.__name__} for stochastic depth", blocks.assert_stochastic_depth, Skipping, wrong)
    skips = partial(blocks.assert_block_skips_branches, norm="pre")
    for wrong in (PreSkipsTheResidual, PreSkipsFeedForwardAlone, PreSkipsBothTogether, PreNeverSkips):
        add(wrong.__name__, skips, PreNormBlock, wrong)
    add("PostNormBlock skips for pre-norm", skips, PreNormBlock, PostNormBlock)

    scaled = partial(c.assert_embedding_is_lookup, scale=True)
    right = embedding(TokenEmbedding)
    add("embedding not scaled", scaled, right, embedding(TokenEmbedding, always=False))
    add("embedding scaled by d_model", scaled, right, embedding(EmbeddingScaledByD))
    add(
        "embedding scaled unasked",
        c.assert_embedding_is_lookup,
        right,
        embedding(TokenEmbedding, always=True),
    )

    pool_mistakes = {
        "mean": (
            MeanPool,
            (MeanCountsPadding, MeanOfPadding, MeanIsSum, MeanEmptyIsNan, MeanDetachesTheFirst),
        ),
        "max": (MaxPool, (MaxOfZeros, MaxOfPadding)),
        "cls": (ClsPool, (ClsFromTheEnd, ClsKeepsEmptyRows)),
        "last": (LastPool, (LastOfPadding, LastCountsRealTokens, LastKeepsEmptyRows)),
    }
    for pool, (right, mistakes) in pool_mistakes.items():
        for wrong in mistakes:
            add(wrong.__name__, partial(c.assert_equals_pooling, pool=pool), right, wrong)

    equivariant = property_of(c.assert_permutation_equivariant)
    add("not permutation equivariant", equivariant, attend, with_sinusoids)
    causal = property_of(c.assert_causal)
    for name in (
        "causality forgotten",
        "causality lets one future token in",
        "causality excludes the token itself",
    ):
        add(f"{name}: property", causal, attend, partial(attend, **WRONG_ATTENTION[name][1]))
    truncated = property_of(c.assert_masked_equals_truncated)
    for name in ("padding ignored", "mask after the softmax", "scores times mask", "mask inverted"):
        add(f"{name}: property", truncated, attend, partial(attend, **WRONG_ATTENTION[name][1]))
    return found


MUTANTS = _mutants()
