# contract: sinusoidal-positions
import numpy as np
import torch


def positional_encoding(length: int, depth: int) -> torch.Tensor:
    """Table of shape (length, depth): sines in the even columns, cosines in the odd ones."""
    positions = np.arange(length)[:, np.newaxis]
    columns = np.arange(depth)[np.newaxis, :]
    angle_rads = positions / np.power(10000, 2 * (columns // 2) / depth)
    angle_rads[:, 0::2] = np.sin(angle_rads[:, 0::2])
    angle_rads[:, 1::2] = np.cos(angle_rads[:, 1::2])
    return torch.tensor(angle_rads, dtype=torch.float32)
