# contract: multi-head-attention
import torch
from torch import nn


class Attention(nn.Module):
    def __init__(self, cfg: dict):
        super().__init__()
        d = cfg["emb_dim"]
        self.h = cfg["n_heads"]
        self.W = nn.Linear(d, 3 * d, bias=cfg.get("qkv_bias", False))
        self.out_proj = nn.Linear(d, d)

    def forward(self, x):
        q, k, v = self.W(x).unflatten(-1, (3, self.h, -1)).permute(2, 0, 3, 1, 4)
        return self.out_proj(
            (torch.softmax(q @ k.mT / k.shape[-1] ** 0.5, -1) @ v).transpose(1, 2).flatten(2)
        )
