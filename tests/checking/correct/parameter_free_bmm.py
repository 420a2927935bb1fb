# contract: parameter-free-self-attention
import torch
import torch.nn.functional as F


def basic_self_attention(x):
    # x has shape (b, t, k)
    raw_weights = torch.bmm(x, x.transpose(1, 2))
    weights = F.softmax(raw_weights, dim=2)
    y = torch.bmm(weights, x)
    return y
