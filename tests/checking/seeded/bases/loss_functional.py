# contract: cross-entropy
import torch.nn.functional as F
from torch import Tensor


def language_model_loss(logits: Tensor, tokens: Tensor, pad_id: int = 0) -> Tensor:
    """Mean cross-entropy of the next token; padding among the targets does not count.

    logits (batch, length, vocabulary) at position t predict tokens (batch, length) at t + 1.
    """
    predictions = logits[:, :-1]
    targets = tokens[:, 1:]
    return F.cross_entropy(predictions.flatten(0, 1), targets.flatten(), ignore_index=pad_id)
