# contract: patchify
from torch import Tensor


def patchify(images: Tensor, patch_size: int) -> Tensor:
    """(batch, channels, height, width) to (batch, patches, channels * patch_size**2), patches row by row."""
    b, c, h, w = images.shape
    p = patch_size
    if h % p or w % p:
        raise ValueError(f"{h} × {w} pixels cannot be cut into patches of {p} × {p}")
    x = images.reshape(b, c, h // p, p, w // p, p)
    x = x.permute(0, 2, 4, 1, 3, 5)
    return x.reshape(b, (h // p) * (w // p), c * p * p)
