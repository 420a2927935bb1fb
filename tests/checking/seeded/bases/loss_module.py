# contract: cross-entropy
import torch.nn as nn


class MaskedCrossEntropy(nn.Module):
    """Next-token loss of logits (batch, time, vocab) for ids (batch, time), averaged over the non-padding"""

    def __init__(self, padding_idx=0):
        super().__init__()
        self.padding_idx = padding_idx
        self.criterion = nn.CrossEntropyLoss(reduction="none")

    def forward(self, logits, ids):
        logits, ids = logits[:, :-1, :], ids[:, 1:]
        loss = self.criterion(logits.transpose(1, 2), ids)
        mask = (ids != self.padding_idx).to(loss.dtype)
        return (loss * mask).sum() / mask.sum()
