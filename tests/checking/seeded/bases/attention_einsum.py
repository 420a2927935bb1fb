# contract: attention
import torch
import torch.nn.functional as F


def scaled_dot_product_attention(query, key, value, key_mask=None, causal=False):
    """Attention over (batch, length, size).

    key_mask: (batch, keys), True = may attend. causal: query i sees keys 0 to i.
    """
    scale = query.shape[-1] ** -0.5
    logits = torch.einsum("bqd,bkd->bqk", query, key)
    logits = logits * scale
    allowed = torch.ones_like(logits, dtype=torch.bool)
    if causal:
        allowed = allowed.tril()
    if key_mask is not None:
        allowed = allowed & key_mask[:, None, :]
    logits = torch.where(allowed, logits, -torch.inf)
    probs = F.softmax(logits, dim=2)
    return torch.einsum("bqk,bkd->bqd", probs, value)
