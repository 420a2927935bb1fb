# contract: layer-norm
import torch
import torch.nn as nn


class LayerNormalization(nn.Module):
    """What torch.nn.LayerNorm(features) computes: y = a * (x - mean) / sqrt(variance + 1e-5) + b."""

    def __init__(self, features):
        super().__init__()
        self.features = features
        self.a = nn.Parameter(torch.ones(features))
        self.b = nn.Parameter(torch.zeros(features))

    def forward(self, x):
        n = self.features
        mean = x.sum(dim=-1, keepdim=True) / n
        second = (x - mean).square().sum(dim=-1, keepdim=True)
        std = torch.sqrt(second / n + 1e-5)
        return self.a * (x - mean) / std + self.b
