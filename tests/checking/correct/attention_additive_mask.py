# contract: attention
from torch import Tensor


def scaled_dot_product_attention(Q: Tensor, K: Tensor, V: Tensor, attn_mask: Tensor | None = None) -> Tensor:
    """attn_mask is a float tensor which is added to the scores: 0 to keep, -inf to hide."""
    logits = (Q * K.shape[-1] ** -0.5) @ K.mT
    if attn_mask is not None:
        logits = logits + attn_mask
    return logits.softmax(-1) @ V
