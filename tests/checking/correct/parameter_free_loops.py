# contract: parameter-free-self-attention
import torch


def self_attention(x: torch.Tensor) -> torch.Tensor:
    """y_i = sum_j softmax_j(x_i . x_j) x_j, written out; x is (batch, tokens, features)."""
    batch, tokens, _ = x.shape
    y = torch.zeros_like(x)
    for b in range(batch):
        for i in range(tokens):
            scores = torch.stack([torch.dot(x[b, i], x[b, j]) for j in range(tokens)])
            weights = torch.softmax(scores, dim=0)
            for j in range(tokens):
                y[b, i] += weights[j] * x[b, j]
    return y
