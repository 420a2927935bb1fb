# contract: cross-entropy
import torch.nn.functional as F


def lm_loss(logits, ids, pad_id=0):
    # tokens < n predict token n
    shift_logits = logits[:, :-1, :]
    shift_labels = ids[:, 1:]
    return F.cross_entropy(
        shift_logits.reshape(-1, shift_logits.size(-1)), shift_labels.reshape(-1), ignore_index=pad_id
    )
