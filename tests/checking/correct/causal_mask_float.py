# contract: causal-mask
import torch


def generate_square_subsequent_mask(sz):
    "Mask to be added to the scores: -inf above the diagonal, 0 elsewhere."
    return torch.triu(torch.full((sz, sz), float("-inf")), diagonal=1)
