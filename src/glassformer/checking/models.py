"""What the checker's own models have around their blocks, beside positions and patches: shifting, pooling.

Vaswani et al. 2017, section 3.1 (the shifted target); Dosovitskiy et al. 2021, equation 4 (the CLS token).
"""

import torch
from torch import Tensor


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
    if how == "mean by batch":
        return total / real.sum()
    return total / (x.shape[1] if how == "mean by length" else real.sum(1, keepdim=True))
