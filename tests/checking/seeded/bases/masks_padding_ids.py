# contract: padding-mask
from torch import Tensor


def make_src_mask(src: Tensor, pad_idx: int = 0) -> Tensor:
    """Token ids (batch, length) to (batch, 1, 1, length), True at real tokens, the keys one may look at."""
    mask = src != pad_idx
    return mask.unsqueeze(1).unsqueeze(2)
