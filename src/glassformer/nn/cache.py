"""Keys and values of the tokens so far, so that a decoder computes each of them once."""

import torch
from jaxtyping import Float, Int
from torch import Tensor


class KeyValueCache:
    """What one attention has projected so far: K and V, each (batch heads tokens d_head); nothing at first.

    Self-attention appends the tokens it is given and attends to all. Cross-attention keeps the context of the
    first call. The results equal those without a cache; a step costs one query instead of all.
    """

    def __init__(self) -> None:
        self.keys: Tensor | None = None
        self.values: Tensor | None = None

    @property
    def tokens(self) -> int:
        """How many tokens it holds."""
        return 0 if self.keys is None else self.keys.shape[2]

    def append(
        self, k: Float[Tensor, "batch heads tokens d_head"], v: Float[Tensor, "batch heads tokens d_value"]
    ) -> tuple[Tensor, Tensor]:
        """Adds the next tokens; gives all keys and all values."""
        if self.keys is not None and self.values is not None:
            k, v = torch.cat([self.keys, k], dim=2), torch.cat([self.values, v], dim=2)
        self.keys, self.values = k, v
        return k, v

    def take(self, rows: Int[Tensor, " rows"]) -> None:
        """Keeps these rows of the batch, in this order; a row may be named more than once."""
        if self.keys is not None and self.values is not None:
            self.keys, self.values = self.keys[rows], self.values[rows]
