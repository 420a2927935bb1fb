# contract: mean-pooling
from torch import Tensor


def masked_mean(hidden: Tensor, mask: Tensor) -> Tensor:
    """Mean over the tokens with mask 1: hidden (batch, length, dim), mask (batch, length) -> (batch, dim)."""
    weights = mask.unsqueeze(-1).to(hidden.dtype)
    total = (hidden * weights).sum(dim=1)
    count = weights.sum(dim=1)
    return total / count.clamp(min=1e-9)
