"""softmax(Q Kᵀ / √d_k + bias) V a tile at a time: how `tiled_attention` works.

A tile is some examples and heads (a group), some queries (rows) and some keys (columns).

Keys that fit one tile need no trick: `_OneTile` takes the softmax of the tile, in place, and keeps the
weights for the backward pass, at most KEY_TILE of them a query. What it gains over `explicit_attention`: a
tile stays in the processor's cache from one operation to the next, nothing is kept in float32 under autocast,
and a group ends at its longest sequence.

More keys go through the online softmax of Milakov & Gimelshein (2018), `_OnlineSoftmax`. For one query with
scores s_j it keeps the highest score so far m, the sum of powers l = Σ_j exp(s_j - m) and the sum
a = Σ_j exp(s_j - m) v_j; a tile that raises m to m' multiplies l and a by exp(m - m'); at the end y = a / l.
The backward pass computes every tile's powers anew from m (Dao et al. 2022, FlashAttention, section 3.1 and
appendix B.2), so that memory grows with queries + keys.

Measured 2026-11-21, Zen 5, torch 2.13, bf16, one thread of a busy machine, CPU time of forward and backward
at batch 64, 4 heads of 32, 256 tokens, no mask: explicit 52 ms, fused 133 ms, one tile 50 ms, and 54 and
70 ms with half and a quarter of SCORES_PER_CORE. Recomputing the tile instead of keeping it took 60 ms. A
whole training step on IMDB's lengths (4 layers, d_model 128), padding and autocast included: tiled 97
reviews/s, explicit 82.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from glassformer.nn.masks import Mask
from glassformer.nn.positions import AlibiBias

QUERY_TILE = 512
KEY_TILE = 512
SCORES_PER_CORE = 2**19
SCORES_ON_ACCELERATOR = 2**26


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
    device = q.device.type
    if torch.is_autocast_enabled(device):
        # cast here, where autograd sees it: inside, nothing is cast and everything stays in this dtype
        dtype = torch.get_autocast_dtype(device)
        q, k, v = q.to(dtype), k.to(dtype), v.to(dtype)
    with torch.autocast(device, enabled=False):
        way = _OneTile if k.shape[-2] <= key_tile else _OnlineSoftmax
        tensor_bias = _four_axes(bias).to(q.dtype) if isinstance(bias, Tensor) else None
        tiles = _Tiles(q, k, mask, bias if tensor_bias is None else None, query_tile, key_tile)
        return way.apply(q, k, v, tensor_bias, tiles)


class _OneTile(torch.autograd.Function):
    """Every query sees all its keys at once; P = softmax(S) is kept. dS = P ∘ (dP - rowsum(P ∘ dP))."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, tiles: _Tiles) -> Tensor:
        output = _new_output(q, v)
        kept = []
        for group in tiles.groups():
            q_group, k_group, v_group = tiles.scaled(q[group]), k[group].contiguous(), v[group].contiguous()
            for rows, (columns,) in tiles.rows_and_columns(group):
                scores, may_attend = tiles.scores(q_group, k_group, bias, group, rows, columns)
                weights = torch.softmax(scores, dim=-1, out=scores)
                if may_attend is not None and not (alive := may_attend.any(dim=-1, keepdim=True)).all():
                    weights.masked_fill_(~alive, 0.0)
                output[(*group, rows)] = weights @ v_group[:, :, columns]
                kept.append(weights)
            # the copies instead of q, k and v: as much memory, and the backward pass need not copy again
            kept.extend((q_group, k_group, v_group))
        ctx.tiles, ctx.shapes = tiles, (q.shape, k.shape, v.shape)
        ctx.save_for_backward(bias, *kept)
        return output

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor | None, ...]:
        tiles: _Tiles = ctx.tiles
        bias, *kept = ctx.saved_tensors
        dtype = d_output.dtype
        d_q, d_k, d_v = (d_output.new_empty(shape) for shape in ctx.shapes)
        d_bias = tiles.zeros(bias) if ctx.needs_input_grad[3] else None
        with torch.autocast(d_output.device.type, enabled=False):
            # last group first, so that its tensors are found at the end of the list
            for group in reversed(list(tiles.groups())):
                v_group, k_group, q_group = kept.pop(), kept.pop(), kept.pop()
                d_out_group = d_output[group].contiguous()
                d_k_group = d_v_group = None
                for rows, (columns,) in reversed(list(tiles.rows_and_columns(group))):
                    weights, d_out = kept.pop(), d_out_group[:, :, rows]
                    d_weights = d_out @ v_group[:, :, columns].transpose(-2, -1)
                    # what autograd of softmax calls: one pass over the tile where the formula takes three
                    d_scores = torch._softmax_backward_data(d_weights, weights, -1, dtype)
                    if d_bias is not None:
                        tiles.add_bias_gradient(d_bias, d_scores, group, rows, columns)
                    d_q[(*group, rows)] = tiles.scaled(d_scores @ k_group[:, :, columns])
                    d_k_part = d_scores.transpose(-2, -1) @ q_group[:, :, rows]
                    d_k_group = tiles.add(d_k_group, columns, d_k_part, k_group)
                    d_v_group = tiles.add(d_v_group, columns, weights.transpose(-2, -1) @ d_out, v_group)
                d_k[group], d_v[group] = d_k_group, d_v_group
        return d_q, d_k, d_v, None if d_bias is None else d_bias.to(dtype), None


class _OnlineSoftmax(torch.autograd.Function):
    """Keeps m and l of every query. With P ∘ dP summed over a row as dO · O: dS = P ∘ (dP - dO · O)."""

    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor, bias: Tensor | None, tiles: _Tiles) -> Tensor:
        output = _new_output(q, v)
        highests = q.new_empty(*q.shape[:3], 1)
        totals = q.new_empty(*q.shape[:3], 1, dtype=tiles.wide)
        for group in tiles.groups():
            q_group, k_group, v_group = tiles.scaled(q[group]), k[group].contiguous(), v[group].contiguous()
            for rows, all_columns in tiles.rows_and_columns(group):
                highest = total = mean = None
                for columns in all_columns:
                    scores, _ = tiles.scores(q_group, k_group, bias, group, rows, columns)
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
    @once_differentiable
    def backward(ctx: Any, d_output: Tensor) -> tuple[Tensor | None, ...]:
        tiles: _Tiles = ctx.tiles
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
                d_k_group = d_v_group = None
                for rows, all_columns in tiles.rows_and_columns(group):
                    here = (*group, rows)
                    # P = powers / l; dividing dO instead is d_value divisions a query, not one for every key
                    d_out = d_output[here].to(tiles.wide) / totals[here]
                    row_sums = (d_out * output[here].to(tiles.wide)).sum(dim=-1, keepdim=True).to(q.dtype)
                    d_out, highest = d_out.to(q.dtype), highests[here]
                    d_q_rows = None
                    for columns in all_columns:
                        scores, _ = tiles.scores(q_group, k_group, bias, group, rows, columns)
                        powers = scores.sub_(highest).exp_()
                        d_scores = d_out @ v_group[:, :, columns].transpose(-2, -1)
                        d_scores.sub_(row_sums).mul_(powers)
                        if d_bias is not None:
                            tiles.add_bias_gradient(d_bias, d_scores, group, rows, columns)
                        d_q_part = d_scores @ k_group[:, :, columns]
                        d_q_rows = tiles.add(d_q_rows, slice(None), d_q_part, d_q_part)
                        d_k_part = d_scores.transpose(-2, -1) @ q_group[:, :, rows]
                        d_k_group = tiles.add(d_k_group, columns, d_k_part, k_group)
                        d_v_part = powers.transpose(-2, -1) @ d_out
                        d_v_group = tiles.add(d_v_group, columns, d_v_part, v_group)
                    d_q[here] = tiles.scaled(d_q_rows)
                d_k[group], d_v[group] = d_k_group, d_v_group
        return d_q, d_k, d_v, None if d_bias is None else d_bias.to(q.dtype), None


class _Tiles:
    """Which tiles there are, and what happens inside one."""

    def __init__(
        self,
        q: Tensor,
        k: Tensor,
        mask: Tensor | Mask | None,
        structured_bias: AlibiBias | None,
        query_tile: int,
        key_tile: int,
    ) -> None:
        self.mask = _four_axes(mask) if isinstance(mask, Tensor) else mask
        self.structured_bias = structured_bias
        self.batch, self.heads, self.queries, self.d_head = q.shape
        self.keys = k.shape[-2]
        self.query_tile, self.key_tile = (
            max(1, min(query_tile, self.queries)),
            max(1, min(key_tile, self.keys)),
        )
        self.wide = torch.promote_types(q.dtype, torch.float32)
        self.device = q.device
        on_cpu = q.device.type == "cpu"
        self.budget = SCORES_PER_CORE * torch.get_num_threads() if on_cpu else SCORES_ON_ACCELERATOR

    def groups(self) -> Iterator[tuple[slice, slice]]:
        """Examples and heads that fill the cache with one tile of each."""
        size = max(1, self.budget // (self.query_tile * self.key_tile))
        heads = min(size, self.heads)
        examples = size // heads
        for b in range(0, self.batch, examples):
            for h in range(0, self.heads, heads):
                yield slice(b, min(b + examples, self.batch)), slice(h, min(h + heads, self.heads))

    def rows_and_columns(self, group: tuple[slice, slice]) -> Iterator[tuple[slice, list[slice]]]:
        """The queries of a tile, with the keys of every tile that one of them may attend to."""
        last = self.keys
        if isinstance(self.mask, Mask) and self.mask.keys is not None:
            real = self.mask.keys[group[0]].any(dim=0).nonzero()
            last = int(real[-1]) + 1 if len(real) else 1
        for row in range(0, self.queries, self.query_tile):
            rows = slice(row, min(row + self.query_tile, self.queries))
            end = min(last, rows.stop) if isinstance(self.mask, Mask) and self.mask.causal else last
            yield rows, [slice(j, min(j + self.key_tile, end)) for j in range(0, end, self.key_tile)]

    def scaled(self, q: Tensor) -> Tensor:
        return q * (1.0 / math.sqrt(self.d_head))

    def scores(
        self,
        q_group: Tensor,
        k_group: Tensor,
        bias: Tensor | None,
        group: tuple[slice, slice],
        rows: slice,
        columns: slice,
    ) -> tuple[Tensor, Tensor | None]:
        """S of one tile, -∞ where masked, and the mask if it masks anything."""
        scores = q_group[:, :, rows] @ k_group[:, :, columns].transpose(-2, -1)
        if bias is not None:
            scores += _part(bias, group, rows, columns)
        if self.structured_bias is not None:
            scores += self.structured_bias.tile(rows, columns, scores.device, scores.dtype)[:, group[1]]
        may_attend = self._may_attend(group, rows, columns)
        if may_attend is not None:
            # adding -∞ is six times as fast as masked_fill_ with a mask that broadcasts
            scores += scores.new_zeros(may_attend.shape).masked_fill_(~may_attend, -math.inf)
        return scores, may_attend

    def _may_attend(self, group: tuple[slice, slice], rows: slice, columns: slice) -> Tensor | None:
        if self.mask is None:
            return None
        if isinstance(self.mask, Tensor):
            return _part(self.mask, group, rows, columns)
        # the part of the Mask that masks anything here, if any
        keys = None if self.mask.keys is None else self.mask.keys[group[0]]
        if keys is not None and keys[:, columns].all():
            keys = None
        here = Mask(keys, causal=self.mask.causal and columns.stop - 1 > rows.start)
        if keys is not None and not here.causal:
            return keys[:, None, None, columns]  # one row that broadcasts
        return here.tile(rows, columns, self.device) if here.causal else None

    def add(self, total: Tensor | None, place: slice, part: Tensor, whole: Tensor) -> Tensor:
        """Adds in float32 at least; the part of the only tile is the whole."""
        if total is None:
            if part.shape == whole.shape:
                return part
            total = self.zeros(whole)
        elif total.dtype != self.wide:
            total = total.to(self.wide)
        total[:, :, place] += part.to(self.wide)  # a sum of two dtypes is many times slower than the cast
        return total

    def zeros(self, like: Tensor) -> Tensor:
        return torch.zeros_like(like, dtype=self.wide)

    def add_bias_gradient(
        self, d_bias: Tensor, d_scores: Tensor, group: tuple[slice, slice], rows: slice, columns: slice
    ) -> None:
        place = _part(d_bias, group, rows, columns)
        place += d_scores.to(self.wide).sum_to_size(place.shape)


def _new_output(q: Tensor, v: Tensor) -> Tensor:
    """(batch heads queries d_value), laid out so that merging the heads afterwards needs no copy."""
    batch, heads, queries, _ = q.shape
    return v.new_empty(batch, queries, heads, v.shape[-1]).transpose(1, 2)


def _four_axes(x: Tensor) -> Tensor:
    return x[(None,) * (4 - x.ndim)]


def _part(x: Tensor, group: tuple[slice, slice], rows: slice, columns: slice) -> Tensor:
    """A tile of a tensor that broadcasts: an axis of size one is left whole."""
    wanted = (*group, rows, columns)
    return x[tuple(part if size > 1 else slice(None) for part, size in zip(wanted, x.shape, strict=True))]
