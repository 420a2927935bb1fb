# contract: attention
from math import sqrt

import torch


def masked_attention(q, k, v, mask=None):
    """
    q: [B, h, T_q, d]
    k: [B, h, T_k, d]
    v: [B, h, T_k, d]
    mask: boolean, broadcastable to [B, h, T_q, T_k]. Positions where mask is True are NOT attended to.

    returns: [B, h, T_q, d], and the attention matrix [B, h, T_q, T_k]
    """
    scale = 1.0 / sqrt(q.shape[-1])
    attn = torch.einsum("bhqd,bhkd->bhqk", q, k) * scale
    if mask is not None:
        attn = attn.masked_fill(mask, float("-inf"))
    attn = attn.softmax(dim=-1)
    out = torch.einsum("bhqk,bhkd->bhqd", attn, v)
    return out, attn
