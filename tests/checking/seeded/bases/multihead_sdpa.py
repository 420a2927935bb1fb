# contract: multi-head-attention
import torch
import torch.nn.functional as F
from torch import nn


class MultiHeadAttention(nn.Module):
    """Projections around PyTorch's attention; mask: (batch, queries, keys), True = may attend."""

    def __init__(self, embed_dim, num_heads, bias=True):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.wq = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.wk = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.wv = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.wo = nn.Linear(embed_dim, embed_dim, bias=bias)

    def split_heads(self, x):
        batch, length, _ = x.shape
        return x.view(batch, length, self.num_heads, self.head_dim).transpose(1, 2)

    def merge_heads(self, x):
        batch, heads, length, size = x.shape
        return x.transpose(1, 2).reshape(batch, length, heads * size)

    def forward(self, query, key, value, mask=None, causal=False):
        q = self.split_heads(self.wq(query))
        k = self.split_heads(self.wk(key))
        v = self.split_heads(self.wv(value))
        allowed = torch.ones(query.size(1), key.size(1), dtype=torch.bool, device=query.device)
        if causal:
            allowed = allowed.tril()
        if mask is not None:
            allowed = allowed & mask.unsqueeze(1)
        out = F.scaled_dot_product_attention(q, k, v, attn_mask=allowed)
        return self.wo(self.merge_heads(out))
