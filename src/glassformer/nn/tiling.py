"""softmax(Q Kᵀ / √d_k + bias) V a tile at a time: how `tiled_attention` works.

A tile is some examples and heads (a group), some queries (rows) and some keys (columns).

Keys that fit one tile need no trick: `_OneTile` takes the softmax of the tile and keeps the weights for
the backward pass, at most KEY_TILE of them a query. What it gains over `explicit_attention`: the scores and
their gradients of all groups pass through one piece of memory, which stays in the processor's cache; nothing
is kept in float32 under autocast; a group ends at its longest sequence; rows begin where vector instructions
like them to (`Tiles.padded`); and the highest score of a row is only looked for where it is needed
(`_shares`).

More keys go through the online softmax of Milakov & Gimelshein (2018), `_OnlineSoftmax`. For one query with
scores s_j it keeps the highest score so far m, the sum of powers l = Σ_j exp(s_j - m) and the sum
a = Σ_j exp(s_j - m) v_j; a tile that raises m to m' multiplies l and a by exp(m - m'); at the end y = a / l.
The backward pass computes every tile's powers anew from m (Dao et al. 2022, FlashAttention, section 3.1 and
appendix B.2), so that memory grows with queries + keys.

What that buys in a whole training step is measured by benchmarks/text_training.py.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from glassformer.nn.masks import Mask
from glassformer.nn.positions import AlibiBias
from glassformer.nn.tiles import Tiles, four_axes, product

QUERY_TILE = KEY_TILE = 576
"""512 tokens, as many models have them, and some to spare: a CLS token more is no second tile."""


def attend_in_tiles(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    mask: Tensor | Mask | None = None,
    bias: Tensor | AlibiBias | None = None,
    *,
    query_tile: int = QUERY_TILE,
    key_tile: int = KEY_TILE,
) -> Tensor:
    """`tiled_attention` without the weights, and with the sizes of a tile to choose. Shapes as there.

    A bias that is a tensor may be learned: its gradient is as large as itself.
    Raises RuntimeError when differentiated twice; `explicit_attention` can be.
    """
    if not len(q) * q.shape[-2] * k.shape[-2]:
        return v.new_zeros(*q.shape[:3], v.shape[-1])  # no score, no tile
    device = q.device.type
    if torch.is_autocast_enabled(device):
        # cast here, where autograd sees it: inside, nothing is cast and everything stays in this dtype
        dtype = torch.get_autocast_dtype(device)
        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
    with torch.autocast(device, enabled=False):
        way = _OneTile if k.shape[-2] <= key_tile else _OnlineSoftmax
        tensor_bias = four_axes(bias).to(q.dtype) if isinstance(bias, Tensor) else None
        structured_bias = None if isinstance(bias, Tensor) else bias
        tiles = Tiles(q, k, mask, structured_bias, query_tile, key_tile)
        return way.apply(q, k, v, tensor_bias, tiles)


class _OneTile(torch.autograd.Function):
    """Every query sees all its keys at once; P = softmax(S) is kept. dS = P ∘ (dP - rowsum(P ∘ dP))."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, tiles: Tiles) -> Tensor:
        output = _new_output(q, v)
        # copied whole, so that every group is a view; kept instead of the originals, at the same memory
        q, k, v = tiles.scaled(q, out=q.new_empty(q.shape)), tiles.padded(k), tiles.padded(v)
        memory, kept, keeps = tiles.memory(q), [], any(ctx.needs_input_grad)
        reach = max(map(abs, map(float, torch.aminmax(v)))) if v.numel() and not keeps else 0.0
        for group in tiles.groups():
            for rows, (columns,) in tiles.rows_and_columns(group):
                place = (q[group], k[group], bias, group, rows, columns, memory)
                powers = tiles.scores(*place).exp_()
                shares = _shares(powers)
                if shares is None:
                    weights = _safe_softmax(tiles.scores(*place))
                elif keeps or not _may_divide_last(shares, reach):
                    weights = powers * shares
                else:  # nobody asks for the weights: d_value products a query instead of one for every key
                    torch.mul(powers @ v[(*group, columns)], shares, out=output[(*group, rows)])
                    continue
                output[(*group, rows)] = weights @ v[(*group, columns)]
                if keeps:
                    kept.append(weights)
        ctx.tiles = tiles
        ctx.save_for_backward(q, k, v, bias, *kept)
        return output

    @staticmethod
    @once_differentiable  # whose annotation loses the name of the first parameter
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor | None, ...]:  # pyrefly: ignore[bad-override]
        tiles: Tiles = ctx.tiles
        q, k, v, bias, *kept = ctx.saved_tensors
        d_output = d_output.contiguous()
        d_q = torch.empty_like(q)
        d_k, d_v = (x.new_empty(*x.shape[:2], tiles.keys, x.shape[3]) for x in (k, v))
        d_bias = tiles.zeros(bias) if ctx.needs_input_grad[3] else None
        next_weights, memory = iter(kept), tiles.memory(q)
        with torch.autocast(q.device.type, enabled=False):
            for group in tiles.groups():
                k_group, v_group = k[group], v[group]
                d_k_group: Any = None
                d_v_group: Any = None
                for rows, (columns,) in tiles.rows_and_columns(group):
                    weights, d_out = next(next_weights), d_output[(*group, rows)]
                    # (dOᵀ P)ᵀ, as Pᵀ dO would copy all of P to transpose it
                    d_v_part = (d_out.transpose(-2, -1) @ weights).transpose(-2, -1)
                    d_v_group = tiles.add(d_v_group, columns, d_v_part, v_group)
                    d_weights = product(d_out, v_group[:, :, columns].transpose(-2, -1), memory)
                    # what autograd of softmax calls: one pass over the tile where the formula takes three
                    d_scores = torch._softmax_backward_data(
                        d_weights, weights, -1, weights.dtype, grad_input=d_weights
                    )
                    if d_bias is not None:
                        tiles.add_bias_gradient(d_bias, d_scores, group, rows, columns)
                    tiles.scaled(d_scores @ k_group[:, :, columns], out=d_q[(*group, rows)])
                    d_k_part = (q[(*group, rows)].transpose(-2, -1) @ d_scores).transpose(-2, -1)
                    d_k_group = tiles.add(d_k_group, columns, d_k_part, k_group)
                tiles.put(d_k_group, d_k[group])
                tiles.put(d_v_group, d_v[group])
        return d_q, d_k, d_v, None if d_bias is None else d_bias.to(q.dtype), None


def _shares(powers: Tensor) -> Tensor | None:
    """1 / rowsum(exp(S)): a softmax without the highest score, in two thirds of torch.softmax's time.

    None where a sum leaves the range in which that is as exact as the real thing: near overflow, near
    underflow, or where a row is masked as a whole.
    """
    totals = powers.sum(dim=-1, keepdim=True)
    lowest, highest = torch.aminmax(totals)
    numbers = torch.finfo(powers.dtype)
    # above: what a power lost to underflow is below the rounding of its row; below: 1 / total stays normal
    above, below = numbers.tiny / numbers.eps, min(numbers.max / 2, 1 / numbers.tiny)
    if not above < float(lowest) <= float(highest) < below:
        return None
    return totals.reciprocal_()


def _may_divide_last(shares: Tensor, reach: float) -> bool:
    """Whether exp(S) V, of values of up to `reach`, is in range before it is divided by the row sums.

    Above, where sum times reach overflows; below, where sums are so small that their products could be lost.
    """
    numbers = torch.finfo(shares.dtype)
    lowest, highest = torch.aminmax(shares)
    return float(highest) < 1 / numbers.eps and reach < float(lowest) * numbers.max / 2


def _safe_softmax(scores: Tensor) -> Tensor:
    """softmax(S) for any scores; a row that is masked as a whole becomes zeros."""
    masked = scores.amax(dim=-1, keepdim=True) == -math.inf
    return torch.softmax(scores, dim=-1).masked_fill_(masked, 0.0)


class _OnlineSoftmax(torch.autograd.Function):
    """Keeps m and l of every query. With P ∘ dP summed over a row as dO · O: dS = P ∘ (dP - dO · O)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, tiles: Tiles) -> Tensor:
        output = _new_output(q, v)
        highests = q.new_empty(*q.shape[:3], 1)
        totals = q.new_empty(*q.shape[:3], 1, dtype=tiles.wide)
        for group in tiles.groups():
            q_group, k_group, v_group = tiles.scaled(q[group]), k[group].contiguous(), v[group].contiguous()
            for rows, all_columns in tiles.rows_and_columns(group):
                highest: Any = None
                total: Any = None
                mean: Any = None
                for columns in all_columns:
                    scores = tiles.scores(q_group, k_group, bias, group, rows, columns)
                    # finite even where every key is masked, so that exp(-∞ - m) is 0
                    tile_highest = scores.amax(dim=-1, keepdim=True).clamp_(min=torch.finfo(q.dtype).min)
                    before = highest
                    highest = tile_highest if before is None else torch.maximum(before, tile_highest)
                    powers = scores.sub_(highest).exp_()
                    tile_total = powers.sum(dim=-1, keepdim=True, dtype=tiles.wide)
                    tile_mean = (powers @ v_group[:, :, columns]).to(tiles.wide)
                    if before is None:
                        total, mean = tile_total, tile_mean
                    else:
                        shrink = (before.to(tiles.wide) - highest.to(tiles.wide)).exp_()
                        total = total.mul_(shrink).add_(tile_total)
                        mean = mean.mul_(shrink).add_(tile_mean)
                total[total == 0] = 1  # a fully masked row: y = 0 / 1
                output[(*group, rows)] = mean.div_(total)
                highests[(*group, rows)], totals[(*group, rows)] = highest, total
        ctx.tiles = tiles
        ctx.save_for_backward(q, k, v, bias, output, highests, totals)
        return output

    @staticmethod
    @once_differentiable  # whose annotation loses the name of the first parameter
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor | None, ...]:  # pyrefly: ignore[bad-override]
        tiles: Tiles = ctx.tiles
        q, k, v, bias, output, highests, totals = ctx.saved_tensors
        d_q, d_k, d_v = torch.empty_like(q), torch.empty_like(k), torch.empty_like(v)
        d_bias = tiles.zeros(bias) if ctx.needs_input_grad[3] else None
        with torch.autocast(q.device.type, enabled=False):
            for group in tiles.groups():
                q_group, k_group, v_group = (
                    tiles.scaled(q[group]),
                    k[group].contiguous(),
                    v[group].contiguous(),
                )
                d_k_group: Any = None
                d_v_group: Any = None
                for rows, all_columns in tiles.rows_and_columns(group):
                    here = (*group, rows)
                    # P = powers / l; dividing dO instead is d_value divisions a query, not one for every key
                    d_out = d_output[here].to(tiles.wide) / totals[here]
                    row_sums = (d_out * output[here].to(tiles.wide)).sum(dim=-1, keepdim=True).to(q.dtype)
                    d_out, highest = d_out.to(q.dtype), highests[here]
                    d_q_rows: Any = None
                    for columns in all_columns:
                        scores = tiles.scores(q_group, k_group, bias, group, rows, columns)
                        powers = scores.sub_(highest).exp_()
                        d_scores = d_out @ v_group[:, :, columns].transpose(-2, -1)
                        d_scores.sub_(row_sums).mul_(powers)
                        if d_bias is not None:
                            tiles.add_bias_gradient(d_bias, d_scores, group, rows, columns)
                        d_q_part = d_scores @ k_group[:, :, columns]
                        d_q_rows = tiles.add(d_q_rows, slice(None), d_q_part, d_q_part)
                        d_k_part = (q_group[:, :, rows].transpose(-2, -1) @ d_scores).transpose(-2, -1)
                        d_k_group = tiles.add(d_k_group, columns, d_k_part, k_group)
                        d_v_part = (d_out.transpose(-2, -1) @ powers).transpose(-2, -1)
                        d_v_group = tiles.add(d_v_group, columns, d_v_part, v_group)
                    d_q[here] = tiles.scaled(d_q_rows)
                d_k[group], d_v[group] = d_k_group, d_v_group
        return d_q, d_k, d_v, None if d_bias is None else d_bias.to(q.dtype), None


def _new_output(q: Tensor, v: Tensor) -> Tensor:
    """(batch heads queries d_value), laid out so that merging the heads afterwards needs no copy."""
    batch, heads, queries, _ = q.shape
    return v.new_empty(batch, queries, heads, v.shape[-1]).transpose(1, 2)
