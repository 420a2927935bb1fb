# contract: cross-entropy
import torch
from torch import Tensor


def sequence_cross_entropy(logits: Tensor, tokens: Tensor, padding_idx: int = 0) -> Tensor:
    """Mean negative log-likelihood of each next token; targets that are padding do not count.

    logits: (batch, length, vocabulary); the prediction at position t is for the token at t + 1.
    """
    targets = tokens[:, 1:]
    log_p = torch.log_softmax(logits[:, :-1], dim=-1)
    nll = -log_p.gather(-1, targets.unsqueeze(-1)).squeeze(-1)
    real = (targets != padding_idx).to(nll.dtype)
    return (nll * real).sum() / real.sum()
