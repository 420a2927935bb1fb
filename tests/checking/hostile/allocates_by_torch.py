# hostile: takes more memory than there is, as a tensor
# ends: MemoryLimit
import torch


def attention(query, key, value):
    query = query + torch.ones(10**11).sum()
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
