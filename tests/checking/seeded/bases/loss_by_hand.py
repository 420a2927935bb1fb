# contract: cross-entropy
import torch


def sequence_loss(logits, labels, pad_idx=0):
    # logits[:, t] predicts labels[:, t + 1]; the mean is over the labels that are not padding
    log_probs = torch.log_softmax(logits[:, :-1], dim=-1)
    target = labels[:, 1:]
    nll = -log_probs.gather(2, target.unsqueeze(2)).squeeze(2)
    keep = target != pad_idx
    return nll[keep].mean()
