"""What the checker's own models have around their blocks: positions, patches, CLS token, pooling, shifting.

Vaswani et al. 2017, section 3 (embeddings, sinusoids, encoder-decoder); Dosovitskiy et al. 2021, equations 1
to 4 (patches, CLS token, head).
"""

import torch
from torch import Tensor


def sinusoids(length: int, d_model: int, start: int = 0, exponent: str = "", halves: bool = False) -> Tensor:
    """(length, d_model): sin and cos of pos / 10000^(2i/d), interleaved, or one half each.

    exponent: "" the right one, "doubled" 4i/d, "unpaired" that of its own column.
    """
    column = torch.arange(d_model, dtype=torch.float64)
    half = (d_model + 1) // 2
    pair = column % half if halves else column.div(2, rounding_mode="floor")
    power = {"": 2 * pair, "doubled": 4 * pair, "unpaired": column}[exponent] / d_model
    angle = torch.arange(start, start + length, dtype=torch.float64)[:, None] / 10000.0**power
    is_sine = column < half if halves else column % 2 == 0
    return torch.where(is_sine, angle.sin(), angle.cos())


def patches(images: Tensor, patch: int, order: str, how: str = "rows") -> Tensor:
    """(batch, patches, values of a patch). order: of its values, letters c (channel), h and w (place).

    how: "rows" or "columns" of patches; "view": by a plain reshape; "strided": pixels far apart.
    """
    batch, channels, height, width = images.shape
    rows, columns = height // patch, width // patch
    if how == "view":
        return images.reshape(batch, rows * columns, -1)
    if how == "strided":
        cut = images.reshape(batch, channels, patch, rows, patch, columns).permute(0, 1, 3, 2, 5, 4)
    else:
        cut = images.reshape(batch, channels, rows, patch, columns, patch)
    place = {"c": 1, "h": 3, "w": 5}
    ahead = (4, 2) if how == "columns" else (2, 4)
    return cut.permute(0, *ahead, *(place[each] for each in order)).reshape(batch, rows * columns, -1)


def shifted(ids: Tensor, start: int, by: int = 1) -> Tensor:
    """The target moved to the right behind `by` start tokens."""
    return torch.cat((torch.full_like(ids[:, :by], start), ids), 1)[:, : ids.shape[1]]


def pooled(x: Tensor, how: str, real: Tensor) -> Tensor:
    """(batch, tokens, d) to (batch, d). how: "first", "second", "last", "largest", or a mean.

    real: True = no padding.
    """
    if how in ("first", "second", "last"):
        return x[:, {"first": 0, "second": 1, "last": -1}[how]]
    if how == "largest":
        return x.amax(1)
    if how == "mean":
        return x.mean(1)
    total = (x * real[..., None]).sum(1)
    return total / (x.shape[1] if how == "mean by length" else real.sum(1, keepdim=True))
