# contract: multi-head-attention
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn import Parameter


class MultiheadAttention(nn.Module):
    def __init__(self, embed_dim: int, num_heads: int):
        super().__init__()
        self.embed_dim, self.num_heads = embed_dim, num_heads
        self.in_proj_weight = Parameter(torch.empty(3 * embed_dim, embed_dim))
        self.in_proj_bias = Parameter(torch.empty(3 * embed_dim))
        self.out_proj_weight = Parameter(torch.empty(embed_dim, embed_dim))
        self.out_proj_bias = Parameter(torch.empty(embed_dim))
        for weight in (self.in_proj_weight, self.out_proj_weight):
            nn.init.xavier_uniform_(weight)
        for bias in (self.in_proj_bias, self.out_proj_bias):
            nn.init.zeros_(bias)

    def forward(self, query: Tensor, key: Tensor, value: Tensor, key_padding_mask: Tensor | None = None):
        """key_padding_mask: (batch, keys), True where the key is padding."""
        w_q, w_k, w_v = self.in_proj_weight.chunk(3)
        b_q, b_k, b_v = self.in_proj_bias.chunk(3)
        q, k, v = F.linear(query, w_q, b_q), F.linear(key, w_k, b_k), F.linear(value, w_v, b_v)
        q, k, v = (t.reshape(*t.shape[:2], self.num_heads, -1).transpose(1, 2) for t in (q, k, v))
        attn = q @ k.transpose(-1, -2) / (self.embed_dim // self.num_heads) ** 0.5
        if key_padding_mask is not None:
            attn = attn.masked_fill(key_padding_mask[:, None, None], float("-inf"))
        attn = attn.softmax(-1)
        out = (attn @ v).transpose(1, 2).reshape(query.shape)
        return F.linear(out, self.out_proj_weight, self.out_proj_bias), attn
