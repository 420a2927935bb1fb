# contract: multi-head-attention
# target: MultiHeadAttention
import torch
from torch import nn


def project(params, name, x):
    return x @ params[name + "_weight"].T + params[name + "_bias"]


def attention(params, heads, x, allowed):
    q, k, v = (project(params, name, x).unflatten(-1, (heads, -1)).transpose(1, 2) for name in "qkv")
    scores = q @ k.mT / q.shape[-1] ** 0.5
    scores = torch.where(allowed, scores, torch.tensor(-torch.inf).to(scores))
    return project(params, "o", (scores.softmax(-1) @ v).transpose(1, 2).flatten(2))


class MultiHeadAttention(nn.Module):
    """A module only to hold the dictionary of parameters; valid_lens: (batch,)."""

    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.params = nn.ParameterDict()
        for name in "qkvo":
            self.params[name + "_weight"] = nn.Parameter(torch.randn(d_model, d_model))
            self.params[name + "_bias"] = nn.Parameter(torch.zeros(d_model))

    def forward(self, x, valid_lens=None):
        places = torch.arange(x.shape[1], device=x.device)
        lengths = torch.full((len(x),), x.shape[1]) if valid_lens is None else valid_lens
        allowed = (places < lengths[:, None])[:, None, None]
        return attention(dict(self.params), self.heads, x, allowed)
