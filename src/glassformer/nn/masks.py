"""Masks: which key each query may attend to. True = may attend, everywhere.

A mask is described before it is materialised: padding is one boolean per key and causality is one flag, so
that an attention function working in tiles never has to hold queries x keys booleans.
"""

from dataclasses import dataclass
from typing import overload

import torch
from jaxtyping import Bool, Int
from torch import Tensor


def padding_mask(lengths: Int[Tensor, " batch"], tokens: int) -> Bool[Tensor, "batch tokens"]:
    """mask[b, t] = t < lengths[b]: the first `lengths[b]` tokens of row b are real, the rest is padding.

    A length of 0 gives a fully masked row, one of `tokens` or more a row without padding.
    """
    return torch.arange(tokens, device=lengths.device) < lengths[:, None]


def causal_mask(
    queries: int, keys: int | None = None, device: torch.device | str | None = None
) -> Bool[Tensor, "queries keys"]:
    """mask[i, j] = j <= i: query i attends to the keys up to and including its own position.

    `keys` defaults to `queries`. With unequal lengths the mask is aligned at the top left, as `is_causal` of
    torch.nn.functional.scaled_dot_product_attention is: query 0 sees key 0 alone. (Decoding with a cache of
    past keys wants the bottom right instead; slice the rows of a square mask for that.)

    Source: Vaswani et al. 2017, section 3.2.3.
    """
    return _causal_tile(slice(0, queries), slice(0, queries if keys is None else keys), device)


def _causal_tile(queries: slice, keys: slice, device: torch.device | str | None) -> Tensor:
    rows = torch.arange(queries.start, queries.stop, device=device)
    columns = torch.arange(keys.start, keys.stop, device=device)
    return columns <= rows[:, None]


@dataclass(frozen=True, eq=False)
class Mask:
    """A padding and / or causal mask that is not materialised unless asked for.

    mask[b, i, j] = keys[b, j] and (j <= i or not causal)

    keys: (batch keys), True = a real token; None when every token is real.
    causal: whether query i is kept from the keys after position i; top-left aligned (see `causal_mask`).

    Equality is identity: comparing tensors here would synchronise with the device.
    """

    keys: Bool[Tensor, "batch keys"] | None = None
    causal: bool = False

    @classmethod
    def from_padding(cls, padding: Bool[Tensor, "batch keys"] | None, causal: bool = False) -> "Mask | None":
        """The mask for such padding, or None when it would mask nothing: no mask is the fastest mask.

        Looks at the values, which waits for an accelerator; call it where the batch is made, once a batch.
        """
        if padding is not None and bool(padding.all()):
            padding = None
        return None if padding is None and not causal else cls(padding, causal)

    def dense(
        self, queries: int, keys: int, device: torch.device | str | None = None
    ) -> Bool[Tensor, "#batch 1 {queries} {keys}"]:
        """The whole mask, (batch|1, 1, queries, keys); a view wherever rows repeat, so not to be written to.

        `device` is needed only without padding, which otherwise decides.
        Raises ValueError when the padding covers another number of keys.
        """
        if self.keys is not None and self.keys.shape[1] != keys:
            raise ValueError(
                f"the padding mask covers {self.keys.shape[1]} keys but attention has {keys}; "
                "give Mask(keys=...) the mask of the sequence that keys and values are made from"
            )
        return self.tile(slice(0, queries), slice(0, keys), device)

    def tile(
        self, queries: slice, keys: slice, device: torch.device | str | None = None
    ) -> Bool[Tensor, "#batch 1 _queries _keys"]:
        """The block of `dense` at these queries and keys (slices with explicit start and stop, step 1)."""
        rows, columns = queries.stop - queries.start, keys.stop - keys.start
        if self.keys is None:
            if not self.causal:
                return torch.ones(1, 1, 1, 1, dtype=torch.bool, device=device).expand(1, 1, rows, columns)
            return _causal_tile(queries, keys, device)[None, None]
        padding = self.keys[:, None, None, keys]
        if not self.causal:
            return padding.expand(-1, -1, rows, -1)
        return padding & _causal_tile(queries, keys, self.keys.device)


@overload
def both(first: Mask | None, second: Mask | None) -> Mask | None: ...
@overload
def both(first: Bool[Tensor, "..."], second: Bool[Tensor, "..."] | None) -> Bool[Tensor, "..."]: ...
@overload
def both(first: Bool[Tensor, "..."] | None, second: Bool[Tensor, "..."]) -> Bool[Tensor, "..."]: ...
def both(
    first: Mask | Bool[Tensor, "..."] | None, second: Mask | Bool[Tensor, "..."] | None
) -> Mask | Bool[Tensor, "..."] | None:
    """both[...] = first[...] and second[...]: a key may be attended to where both masks allow it.

    None allows everything. Two tensors broadcast; two `Mask`s stay a `Mask`.
    Raises ValueError for a `Mask` and a tensor: the sizes to materialise the `Mask` at are the caller's.
    """
    if first is None:
        return second
    if second is None:
        return first
    if isinstance(first, Mask) and isinstance(second, Mask):
        padding = [mask.keys for mask in (first, second) if mask.keys is not None]
        keys = padding[0] & padding[1] if len(padding) == 2 else (padding[0] if padding else None)
        return Mask(keys, first.causal or second.causal)
    if isinstance(first, Mask) or isinstance(second, Mask):
        raise ValueError("cannot combine a Mask with a tensor; call .dense(queries, keys) on the Mask first")
    return first & second
