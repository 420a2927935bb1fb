# contract: causal-mask
import torch


def generate_square_subsequent_mask(sz):
    """To be added to the scores (query, key): -inf for later keys, 0.0 for the others."""
    mask = torch.zeros(sz, sz)
    for i in range(sz):
        mask[i, i + 1 :] = float("-inf")
    return mask
