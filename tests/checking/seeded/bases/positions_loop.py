# contract: sinusoidal-positions
import math

import torch


def positional_encoding(seq_len: int, d_model: int, n: float = 10000.0) -> torch.Tensor:
    """(seq_len, d_model), column 2i a sine and column 2i + 1 the cosine of the same angle"""
    P = torch.zeros((seq_len, d_model))
    for k in range(seq_len):
        for i in range(0, d_model, 2):
            theta = k / n ** (i / d_model)
            P[k, i] = math.sin(theta)
            if i + 1 < d_model:
                P[k, i + 1] = math.cos(theta)
    return P
