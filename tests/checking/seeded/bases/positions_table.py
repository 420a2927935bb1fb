# contract: sinusoidal-positions
import math

import torch
from torch import Tensor


def get_positional_encoding(max_len: int, d_model: int) -> Tensor:
    """The table (max_len, d_model) of Vaswani et al.: sines in the even columns, cosines in the odd ones."""
    position = torch.arange(max_len, dtype=torch.float64).unsqueeze(1)
    two_i = torch.arange(0, d_model, 2, dtype=torch.float64)
    div_term = torch.exp(two_i * (-math.log(10000.0) / d_model))
    pe = torch.zeros(max_len, d_model, dtype=torch.float64)
    pe[:, 0::2] = torch.sin(position * div_term)
    pe[:, 1::2] = torch.cos(position * div_term[: d_model // 2])
    return pe
