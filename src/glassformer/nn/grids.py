"""Where a patch stands in an image: positions on a grid, added to the embedding or turned into Q and K.

Tokens are patches row by row, after `prefix` tokens (a CLS token) that stand nowhere on the grid. Each module
belongs to one grid; `resized` gives its like for another, `shared` one that learns with it.
"""

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from glassformer.nn.positions import fixed_table, rotate, rotations, sinusoids


class GridPositions(nn.Module, ABC):
    """What all of them own: a grid of rows x columns patches, and `prefix` tokens before it.

    Raises ValueError for a grid without patches and for a negative prefix, and, when called, for a number of
    tokens other than prefix + rows * columns.
    """

    def __init__(self, rows: int, columns: int, prefix: int) -> None:
        super().__init__()
        if min(rows, columns) < 1 or prefix < 0:
            raise ValueError(
                f"a grid of {rows} x {columns} patches after {prefix} tokens cannot be; choose 1 row and "
                f"1 column or more, and a prefix of 0 or more"
            )
        self.rows, self.columns, self.prefix = rows, columns, prefix

    @abstractmethod
    def resized(self, rows: int, columns: int) -> "GridPositions":
        """Such positions for another grid; what was learned comes along, interpolated."""

    def shared(self, rows: int, columns: int) -> "GridPositions":
        """As `resized`, but with these very parameters: what one grid learns, the other knows."""
        return self.resized(rows, columns)

    def _check(self, tokens: int) -> None:
        fitting = self.prefix + self.rows * self.columns
        if tokens != fitting:
            raise ValueError(
                f"tokens={tokens} does not fit positions for {self.rows} x {self.columns} patches after "
                f"{self.prefix} tokens; give {fitting} tokens, or take resized(rows, columns)"
            )


class LearnedGridPositions(GridPositions):
    """y[b, t] = x[b, t] + P[t], with P of shape (prefix + rows * columns, d_model) learned.

    x, y: (batch tokens d_model). P starts at N(0, std^2).
    Raises ValueError as `GridPositions` says.

    Source: Dosovitskiy et al. 2021 (ViT), section 3.1, equation 1; std as in their code. P knows nothing of
    rows and columns until it has learned: appendix D.4 finds a table for each axis no better.
    """

    def __init__(self, d_model: int, rows: int, columns: int, *, prefix: int = 0, std: float = 0.02) -> None:
        super().__init__(rows, columns, prefix)
        self.embedding = nn.Embedding(prefix + rows * columns, d_model)
        nn.init.normal_(self.embedding.weight, std=std)

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        self._check(x.shape[1])
        return x + self.embedding.weight

    def interpolated(self, rows: int, columns: int) -> Float[Tensor, "tokens d_model"]:
        """P bicubically over another grid, a patch's centre its place; prefix rows as they are.

        Source: Dosovitskiy et al. 2021, section 3.2, who leave the kind open; bicubic as transformers does.
        """
        table = self.embedding.weight
        grid = table[self.prefix :].T.reshape(1, -1, self.rows, self.columns)
        grid = functional.interpolate(grid, size=(rows, columns), mode="bicubic", align_corners=False)
        return torch.cat((table[: self.prefix], grid[0].flatten(1).T))

    def resized(self, rows: int, columns: int) -> "LearnedGridPositions":
        """Positions of their own for another grid, that begin as P `interpolated`."""
        table = self.interpolated(rows, columns).detach()
        other = LearnedGridPositions(table.shape[1], rows, columns, prefix=self.prefix)
        other.embedding = nn.Embedding.from_pretrained(table, freeze=False)
        return other.train(self.training)

    def shared(self, rows: int, columns: int) -> "InterpolatedGridPositions":
        """P itself, interpolated anew at each call, so that P learns on the other grid."""
        return InterpolatedGridPositions(self, rows, columns)


class InterpolatedGridPositions(GridPositions):
    """y[b, t] = x[b, t] + P'[t], with P' the positions `learned` on one grid, interpolated over another.

    x, y: (batch tokens d_model). No parameters but those of `learned`, which gradients reach.
    Raises ValueError as `GridPositions` says.

    Source: as `LearnedGridPositions.interpolated`.
    """

    def __init__(self, learned: LearnedGridPositions, rows: int, columns: int) -> None:
        super().__init__(rows, columns, learned.prefix)
        self.learned = learned

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        self._check(x.shape[1])
        return x + self.learned.interpolated(self.rows, self.columns)

    def resized(self, rows: int, columns: int) -> LearnedGridPositions:
        """Positions of their own, from `learned`: never from what is interpolated already."""
        return self.learned.resized(rows, columns)

    def shared(self, rows: int, columns: int) -> "InterpolatedGridPositions":
        """`learned` itself on another grid."""
        return self.learned.shared(rows, columns)


def _grid_sinusoids(rows: int, columns: int, d_model: int, prefix: int) -> Float[Tensor, "tokens {d_model}"]:
    row, column = sinusoids(rows, d_model // 2), sinusoids(columns, d_model // 2)
    return functional.pad(_on_grid(row, column), (0, 0, prefix, 0))


class SinusoidalGridPositions(GridPositions):
    """y[b, t] = x[b, t] + [p(row of t); p(column of t)], p: the `sinusoids` of d_model / 2 features.

    x, y: (batch tokens d_model). Fixed: no parameters. Prefix tokens stay as they are: p is zeros there.
    Raises ValueError where d_model is not a multiple of 4, and as `GridPositions` says.

    Sources: Vaswani et al. 2017, section 3.5, along each axis, as Chen, Xie & He 2021 (MoCo v3) and Beyer et
    al. 2022 ('Better plain ViT baselines for ImageNet-1k') have it. Deviation: they put all sines of an axis
    before all its cosines; here they take turns, as in `sinusoids`.
    """

    def __init__(self, d_model: int, rows: int, columns: int, *, prefix: int = 0) -> None:
        super().__init__(rows, columns, prefix)
        _require_fours("d_model", d_model, "a sine and a cosine for each axis")
        self.d_model = d_model

    def forward(self, x: Float[Tensor, "batch tokens d_model"]) -> Float[Tensor, "batch tokens d_model"]:
        self._check(x.shape[1])
        return x + fixed_table(_grid_sinusoids, (self.rows, self.columns, self.d_model, self.prefix), x)

    def resized(self, rows: int, columns: int) -> "SinusoidalGridPositions":
        """The same formula on another grid: a step stays one patch."""
        return SinusoidalGridPositions(self.d_model, rows, columns, prefix=self.prefix)


def _grid_rotations(rows: int, columns: int, d_head: int, base: float, prefix: int) -> Tensor:
    """Cosines and sines, (2, tokens, d_head / 2): half of the pairs by the row, half by the column."""
    row, column = rotations(rows, d_head // 2, base), rotations(columns, d_head // 2, base)
    cos, sin = (_on_grid(r, c) for r, c in zip(row, column, strict=True))
    stays = torch.ones(prefix, d_head // 2, dtype=cos.dtype)
    return torch.stack((torch.cat((stays, cos)), torch.cat((torch.zeros_like(stays), sin))))


class RotaryGridPositions(GridPositions):
    """Rotates each pair of components of Q and K, half of the pairs by the row, half by the column.

    w = row / base^(4i / d_head) for pair i,  w = column / base^(4i / d_head) for pair d_head/4 + i,
    i = 0 ... d_head/4 - 1, so that q_m . k_n depends on the places only through the differences of rows and
    of columns. Pairs are (q_i, q_(i + d_head/2)), as in `RotaryPositions`.

    q, k: (batch heads tokens d_head), both of one image: for self-attention only. No parameters. Values are
    not rotated, prefix tokens neither. A far smaller base than for text: an image is few patches wide.
    Raises ValueError where d_head is not a multiple of 4, and as `GridPositions` says.

    Source: Su et al. 2021 (RoFormer), section 3.2.2, along each axis: the axial form of Heo et al. 2024
    ('Rotary Position Embedding for Vision Transformer'), with its base. Deviation: there, the axes take
    turns, pair by pair, columns first; here, all of the rows' pairs come first, as in DINOv3's code.
    """

    def __init__(self, d_head: int, rows: int, columns: int, *, prefix: int = 0, base: float = 100.0) -> None:
        super().__init__(rows, columns, prefix)
        _require_fours("d_head", d_head, "a pair to rotate for each axis")
        self.d_head = d_head
        self.base = float(base)

    def forward(
        self, q: Float[Tensor, "batch heads tokens d_head"], k: Float[Tensor, "batch heads tokens d_head"]
    ) -> tuple[Float[Tensor, "batch heads tokens d_head"], Float[Tensor, "batch heads tokens d_head"]]:
        self._check(q.shape[2])
        sizes = (self.rows, self.columns, self.d_head, self.base, self.prefix)
        cos, sin = fixed_table(_grid_rotations, sizes, q)
        return rotate(q, cos, sin), rotate(k, cos, sin)

    def resized(self, rows: int, columns: int) -> "RotaryGridPositions":
        """The same angles on another grid: a step stays one patch."""
        return RotaryGridPositions(self.d_head, rows, columns, prefix=self.prefix, base=self.base)


def _on_grid(row: Tensor, column: Tensor) -> Float[Tensor, "patches features"]:
    """[row[i]; column[j]] for each patch (i, j), row by row."""
    rows, columns = len(row), len(column)
    return torch.cat((row.repeat_interleave(columns, dim=0), column.repeat(rows, 1)), dim=-1)


def _require_fours(name: str, size: int, what: str) -> None:
    if size < 1 or size % 4:
        nearest = f"{size // 4 * 4} or {size // 4 * 4 + 4}" if size > 4 else "4"
        raise ValueError(f"{name}={size} does not hold {what}, four features; choose {nearest}")
