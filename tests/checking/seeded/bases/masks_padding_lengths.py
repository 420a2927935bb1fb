# contract: padding-mask
import torch


def padding_mask(lengths, max_len):
    """(batch, max_len) for nn.MultiheadAttention's key_padding_mask: True at padding."""
    positions = torch.arange(max_len, device=lengths.device)
    return positions[None, :] >= lengths[:, None]
