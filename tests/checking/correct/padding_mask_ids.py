# contract: padding-mask
import torch


def make_pad_mask(src, pad_idx=0):
    """(batch, src_len) token ids -> (batch, 1, 1, src_len), 1 for tokens and 0 for padding"""
    return (src != pad_idx).unsqueeze(1).unsqueeze(2).to(torch.long)
