# contract: multi-head-attention
import torch
import torch.nn.functional as F
from torch import nn


class MultiheadAttention(nn.Module):
    """Batch first outside, length first inside.

    Args:
        query, key, value: (batch, length, embed_dim)
        key_mask: (batch, keys), where True = may attend and False = padding
    """

    def __init__(self, embed_dim, num_heads):
        super().__init__()
        self.embed_dim = embed_dim
        self.num_heads = num_heads
        self.head_dim = embed_dim // num_heads
        self.scaling = self.head_dim**-0.5
        self.in_proj_q = nn.Linear(embed_dim, embed_dim, bias=True)
        self.in_proj_k = nn.Linear(embed_dim, embed_dim, bias=True)
        self.in_proj_v = nn.Linear(embed_dim, embed_dim, bias=True)
        self.out_proj = nn.Linear(embed_dim, embed_dim, bias=True)

    def forward(self, query, key, value, key_mask=None):
        bsz, tgt_len, _ = query.shape
        src_len = key.size(1)
        query, key, value = (t.transpose(0, 1).contiguous() for t in (query, key, value))
        q = self.in_proj_q(query)
        k = self.in_proj_k(key)
        v = self.in_proj_v(value)
        q = q * self.scaling
        q = q.view(tgt_len, bsz * self.num_heads, self.head_dim).transpose(0, 1)
        k = k.view(src_len, bsz * self.num_heads, self.head_dim).transpose(0, 1)
        v = v.view(src_len, bsz * self.num_heads, self.head_dim).transpose(0, 1)

        attn = torch.bmm(q, k.transpose(1, 2))  # (bsz * num_heads, tgt_len, src_len)
        if key_mask is not None:
            allowed = key_mask.repeat_interleave(self.num_heads, dim=0)
            attn = attn.masked_fill(~allowed.unsqueeze(1), float("-inf"))
        attn = F.softmax(attn, dim=-1)
        out = torch.bmm(attn, v)
        out = out.transpose(0, 1).reshape(tgt_len, bsz, self.embed_dim)
        return self.out_proj(out).transpose(0, 1)
