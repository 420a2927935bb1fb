# contract: multi-head-attention
import torch
import torch.nn as nn
import torch.nn.functional as F


class MultiheadSelfAttention(nn.Module):
    def __init__(self, embed_dim, num_heads, dropout=0.0, bias=True):
        super().__init__()
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.scaling = self.head_dim**-0.5
        self.dropout = dropout
        self.k_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.v_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.q_proj = nn.Linear(embed_dim, embed_dim, bias=bias)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=bias)

    def forward(self, x, key_padding_mask=None):
        L, N, E = x.shape
        H = self.num_heads
        q = (self.q_proj(x) * self.scaling).reshape(L, N * H, self.head_dim).transpose(0, 1)
        k = self.k_proj(x).reshape(L, N * H, self.head_dim).transpose(0, 1)
        v = self.v_proj(x).reshape(L, N * H, self.head_dim).transpose(0, 1)
        attn_weights = torch.bmm(q, k.transpose(1, 2))  # (N*H, L, L)
        if key_padding_mask is not None:
            # (N, L), True for padding
            attn_weights = attn_weights.view(N, H, L, L)
            attn_weights = attn_weights.masked_fill(key_padding_mask[:, None, None, :], float("-inf"))
            attn_weights = attn_weights.view(N * H, L, L)
        attn_weights = F.softmax(attn_weights, dim=-1)
        attn_weights = F.dropout(attn_weights, p=self.dropout, training=self.training)
        attn = torch.bmm(attn_weights, v)  # (N*H, L, head_dim)
        return self.out_proj(attn.transpose(0, 1).reshape(L, N, E))
