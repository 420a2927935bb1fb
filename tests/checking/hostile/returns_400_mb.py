# hostile: an answer that is too large to be sent
# ends: Answer
import torch


def attention(query, key, value):
    return torch.zeros(50_000_000, dtype=torch.float64)
