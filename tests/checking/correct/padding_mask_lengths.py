# contract: padding-mask
import torch
from torch import Tensor


def key_padding_mask(lengths: Tensor, max_len: int | None = None) -> Tensor:
    """(batch, max_len), True at padded positions, as nn.MultiheadAttention wants it."""
    max_len = int(lengths.max()) if max_len is None else max_len
    return torch.arange(max_len, device=lengths.device).unsqueeze(0) >= lengths.unsqueeze(1)
