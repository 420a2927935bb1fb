# contract: self-attention
import torch
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, d_model: int, d_k: int):
        super().__init__()
        self.W_q = nn.Linear(d_model, d_k)
        self.W_k = nn.Linear(d_model, d_k)
        self.W_v = nn.Linear(d_model, d_k)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        Q, K, V = self.W_q(x), self.W_k(x), self.W_v(x)
        d_k = K.shape[-1]
        A = torch.softmax(Q @ K.transpose(1, 2) / d_k**0.5, dim=-1)  # (batch, seq, seq)
        return A @ V
