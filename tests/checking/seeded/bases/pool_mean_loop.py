# contract: mean-pooling
import torch


def average_pool(states, key_padding_mask):
    # states (batch, seq, dim); key_padding_mask (batch, seq) is True where there is only padding
    pooled = []
    for sequence, padding in zip(states, key_padding_mask, strict=True):
        pooled.append(sequence[~padding].mean(dim=0))
    return torch.stack(pooled)
