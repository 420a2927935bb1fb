"""Which tiles `tiled_attention` cuts the scores into, and the masked scores of one."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from glassformer.nn.masks import Mask
from glassformer.nn.positions import AlibiBias

CACHES = Path("/sys/devices/system/cpu/cpu0/cache")
"""Where Linux describes them."""
CACHE_SHARE = 8
"""Scores of a group take an eighth of the cache; the weights and what is read beside them want room too."""
SCORES_PER_CORE = (2**18, 2**22)
"""At least and at most: fewer leave the cores waiting for the next call."""
SCORES_ON_ACCELERATOR = 2**26
MULTIPLE, MULTIPLE_FROM = 16, 128
"""From so many keys on, vector instructions gain more by full rows of scores than the padding costs."""
VECTOR = 32
"""So many scores in bf16 does one vector instruction of 512 bits add."""


class Tiles:
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
        self.mask = four_axes(mask) if isinstance(mask, Tensor) else mask
        self.structured_bias = structured_bias
        self.batch, self.heads, self.queries, self.d_head = q.shape
        self.keys = k.shape[-2]
        one_tile = self.keys <= key_tile
        self.multiple = MULTIPLE if one_tile and self.keys >= MULTIPLE_FROM else 1
        self.width = self.keys + -self.keys % self.multiple
        self.query_tile = max(1, min(query_tile, self.queries))
        self.key_tile = max(1, self.width) if one_tile else key_tile
        self.only_tile = one_tile and self.queries <= query_tile
        self.ends, self.unpadded = [self.keys] * self.batch, [self.keys] * self.batch
        real = self.mask.keys if isinstance(self.mask, Mask) else None
        if real is not None:
            # for all groups at once; where they are of like length, only the last few keys are masked
            numbers = torch.arange(1, self.keys + 1, device=real.device)
            self.ends = (real * numbers).amax(dim=1).tolist()
            self.unpadded = real.cumprod(dim=1).sum(dim=1).tolist()
        elif self.width > self.keys:
            real = torch.ones(self.batch, self.keys, dtype=torch.bool, device=q.device)
        self.padding = None
        if real is not None:
            real = functional.pad(real, (0, self.width - self.keys))
            self.padding = _minus_infinity(real[:, None, None], q.dtype)
        self.wide = torch.promote_types(q.dtype, torch.float32)
        self.device = q.device
        self.scores_of_a_group = scores_of_a_group(q)

    def groups(self) -> Iterator[tuple[slice, slice]]:
        """Examples and heads that share a call: one tile of each fills a share of the cache."""
        size = max(1, self.scores_of_a_group // (self.query_tile * self.key_tile))
        heads = min(size, self.heads)
        examples = size // heads
        for b in range(0, self.batch, examples):
            for h in range(0, self.heads, heads):
                yield slice(b, min(b + examples, self.batch)), slice(h, min(h + heads, self.heads))

    def padded(self, x: Tensor) -> Tensor:
        """All keys or values, contiguous, with zeros after the last up to `width`; `scores` masks these."""
        if self.width == self.keys:
            return x.contiguous()
        padded = x.new_empty(*x.shape[:2], self.width, x.shape[-1])
        padded[:, :, : self.keys] = x
        padded[:, :, self.keys :] = 0.0
        return padded

    def memory(self, like: Tensor) -> Tensor:
        """Room for the scores of the first group, which is the largest."""
        examples, heads = next(self.groups())
        sequences = (examples.stop - examples.start) * (heads.stop - heads.start)
        return like.new_empty(sequences * self.query_tile * self.key_tile)

    def rows_and_columns(self, group: tuple[slice, slice]) -> Iterator[tuple[slice, list[slice]]]:
        """The queries of a tile, with the keys of every tile that one of them may attend to."""
        last = max(1, *self.ends[group[0]])
        for row in range(0, self.queries, self.query_tile):
            rows = slice(row, min(row + self.query_tile, self.queries))
            end = min(last, rows.stop) if isinstance(self.mask, Mask) and self.mask.causal else last
            end += -end % self.multiple
            yield rows, [slice(j, min(j + self.key_tile, end)) for j in range(0, end, self.key_tile)]

    def scaled(self, q: Tensor, out: Tensor | None = None) -> Tensor:
        return torch.mul(q, 1.0 / math.sqrt(self.d_head), out=out)

    def scores(
        self,
        q_group: Tensor,
        k_group: Tensor,
        bias: Tensor | None,
        group: tuple[slice, slice],
        rows: slice,
        columns: slice,
        memory: Tensor | None = None,
    ) -> Tensor:
        """S of one tile, -∞ where masked; in `memory`, if there is one, over what it held."""
        scores = product(q_group[:, :, rows], k_group[:, :, columns].transpose(-2, -1), memory)
        real = slice(columns.start, min(columns.stop, self.keys))
        of_real = scores[..., : real.stop - real.start]
        if bias is not None:
            of_real += _part(bias, group, rows, real)
        if self.structured_bias is not None:
            of_real += self.structured_bias.tile(rows, real, scores.device, scores.dtype)[:, group[1]]
        # adding -∞ is six times as fast as masked_fill_ with a mask that broadcasts
        if isinstance(self.mask, Tensor):
            of_real += _minus_infinity(_part(self.mask, group, rows, real), scores.dtype)
        elif self.mask is not None and self.mask.causal and columns.stop - 1 > rows.start:
            scores += _minus_infinity(Mask(causal=True).tile(rows, columns, self.device), scores.dtype)
        first = max(columns.start, min(self.unpadded[group[0]]))
        if self.padding is not None and first < columns.stop:
            # as many columns as whole vectors hold: a rest would be added score by score
            first = max(columns.start, first - (first - columns.stop) % VECTOR)
            scores[..., first - columns.start :] += self.padding[group[0], :, :, first : columns.stop]
        return scores

    def add(self, total: Tensor | None, place: slice, part: Tensor, whole: Tensor) -> Tensor:
        """Adds in float32 at least; the part of the only tile is the sum."""
        if total is None:
            if self.only_tile or part.shape == whole.shape:
                return part
            total = self.zeros(whole)
        elif total.dtype != self.wide:
            total = total.to(self.wide)
        total[:, :, place] += part.to(self.wide)  # a sum of two dtypes is many times slower than the cast
        return total

    def put(self, total: Tensor, where: Tensor) -> None:
        """Writes a sum over tiles to its keys; after the last that any query may attend to come zeros."""
        count = min(total.shape[2], self.keys)
        where[:, :, :count] = total[:, :, :count]
        where[:, :, count:] = 0.0

    def zeros(self, like: Tensor) -> Tensor:
        return torch.zeros_like(like, dtype=self.wide)

    def add_bias_gradient(
        self, d_bias: Tensor, d_scores: Tensor, group: tuple[slice, slice], rows: slice, columns: slice
    ) -> None:
        real = slice(columns.start, min(columns.stop, self.keys))
        place = _part(d_bias, group, rows, real)
        place += d_scores[..., : real.stop - real.start].to(self.wide).sum_to_size(place.shape)


def scores_of_a_group(like: Tensor) -> int:
    """How many scores a group has at most where `like` is."""
    if like.device.type != "cpu":
        return SCORES_ON_ACCELERATOR
    least, most = (scores * torch.get_num_threads() for scores in SCORES_PER_CORE)
    return min(max(least, last_cache_bytes() // CACHE_SHARE // like.element_size()), most)


@cache
def last_cache_bytes() -> int:
    """The size of the processor's last cache; 32 MiB where the system does not tell."""
    sizes = []
    for path in CACHES.glob("index*/size"):
        with contextlib.suppress(OSError, ValueError):
            sizes.append(int(path.read_text().strip().removesuffix("K")) * 1024)
    return max(sizes, default=32 * 2**20)


def product(a: Tensor, b: Tensor, memory: Tensor | None = None) -> Tensor:
    """a @ b of four axes each, in `memory` if there is one: what is used again is still in the cache."""
    if memory is None:
        return a @ b
    shape = (*a.shape[:-1], b.shape[-1])
    return torch.matmul(a, b, out=memory[: math.prod(shape)].view(shape))


def _minus_infinity(may_attend: Tensor, dtype: torch.dtype) -> Tensor:
    """-∞ where attention is forbidden, else 0."""
    return torch.zeros_like(may_attend, dtype=dtype).masked_fill_(~may_attend, -math.inf)


def four_axes(x: Tensor) -> Tensor:
    return x[(None,) * (4 - x.ndim)]


def _part(x: Tensor, group: tuple[slice, slice], rows: slice, columns: slice) -> Tensor:
    """A tile of a tensor that broadcasts: an axis of size one is left whole."""
    wanted = (*group, rows, columns)
    return x[tuple(part if size > 1 else slice(None) for part, size in zip(wanted, x.shape, strict=True))]
