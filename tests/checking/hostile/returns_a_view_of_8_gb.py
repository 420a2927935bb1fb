# hostile: an answer that is small here and large once it is copied
# ends: MemoryLimit
import torch


def attention(query, key, value):
    return torch.zeros(1, dtype=query.dtype).expand(10**9)
