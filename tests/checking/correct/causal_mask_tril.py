# contract: causal-mask
import torch


def causal_mask(size: int) -> torch.Tensor:
    """True where token i may look at token j, that is j <= i."""
    return torch.ones(size, size, dtype=torch.bool).tril()
