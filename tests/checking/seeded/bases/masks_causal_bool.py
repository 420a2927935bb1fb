# contract: causal-mask
import torch
from torch import Tensor


def causal_mask(size: int) -> Tensor:
    """(size, size), True where query i may attend to key j, that is for j <= i."""
    return torch.tril(torch.ones(size, size, dtype=torch.bool))
