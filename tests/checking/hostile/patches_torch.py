# hostile: replaces the parts that a reference would be built of
# ends: result
import torch
from torch import nn
from torch.nn import functional


def wrong(*given, **named):
    return given[0] * 0


nn.Linear.forward = wrong
torch.softmax = torch.matmul = functional.softmax = functional.scaled_dot_product_attention = wrong
torch.Tensor.softmax = torch.Tensor.__matmul__ = wrong


def attention(query, key, value):
    scores = query @ key.transpose(-2, -1) / query.shape[-1] ** 0.5
    return scores.softmax(-1) @ value
