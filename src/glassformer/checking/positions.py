"""The checker's own encodings of positions, every step replaceable, and the known mistakes.

    PE(pos, 2i) = sin(pos / 10000^(2i/d))      PE(pos, 2i+1) = cos(pos / 10000^(2i/d))

Source: Vaswani et al. 2017, section 3.5. Learned positions take row pos of a table instead.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from glassformer.checking.parts import Mistake, mistake

Columns = Callable[[Tensor, int], Tensor]
"""Of the column numbers (d,) and d."""


@dataclass(frozen=True)
class Sinusoid:
    """pair: which pair of columns a column belongs to. sine: whether it is a sine. exponent: of the base."""

    pair: Columns = lambda column, d: column // 2
    sine: Columns = lambda column, d: column % 2 == 0
    exponent: Callable[[Tensor, Tensor, int], Tensor] = lambda column, pair, d: 2 * pair / d
    base: float = 10000.0
    start: int = 0
    added: bool = True

    def table(self, length: int, d: int) -> Tensor:
        """(length, d)."""
        positions = torch.arange(self.start, self.start + length, dtype=torch.float64)
        column = torch.arange(d, dtype=torch.float64)
        exponent = self.exponent(column, self.pair(column, d), d)
        angles = positions[:, None] / self.base**exponent
        return self.added * torch.where(self.sine(column, d), angles.sin(), angles.cos())


@dataclass(frozen=True)
class Learned:
    """Rows start to start + length of a table."""

    start: int = 0
    added: bool = True

    def table(self, rows: Tensor, length: int) -> Tensor:
        """(length, d); IndexError where the table has too few rows."""
        if self.start + length > len(rows):
            raise IndexError
        return self.added * rows[self.start : self.start + length]


def _half(d: int) -> int:
    return (d + 1) // 2


SINUSOID: tuple[Mistake, ...] = (
    mistake("sinusoid-exponent-doubled", exponent=lambda column, pair, d: 4 * pair / d),
    mistake("sinusoid-exponent-unpaired", exponent=lambda column, pair, d: column / d),
    mistake("sinusoid-exponent-unpaired", exponent=lambda column, pair, d: 2 * column / d),
    mistake("sinusoid-exponent-halved", exponent=lambda column, pair, d: pair / d),
    mistake(
        "sines-concatenated",
        pair=lambda column, d: column % _half(d),
        sine=lambda column, d: column < _half(d),
    ),
    mistake("sines-and-cosines-swapped", sine=lambda column, d: column % 2 == 1),
    mistake("sinusoid-other-base", base=1000.0),
    mistake("sinusoid-other-base", base=100000.0),
    mistake("positions-start-at-1", start=1),
    mistake("positions-forgotten", added=False),
)
LEARNED: tuple[Mistake, ...] = (
    mistake("positions-start-at-1", start=1),
    mistake("positions-forgotten", added=False),
)
CONVENTIONS = frozenset({"sines-concatenated", "sines-and-cosines-swapped"})
"""They train as well; only checkpoints tell."""
