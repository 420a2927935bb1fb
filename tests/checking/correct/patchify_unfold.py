# contract: patchify
import torch.nn.functional as F
from torch import Tensor


def image_to_patches(image: Tensor, size: int) -> Tensor:
    """(batch, channels, height, width) -> (batch, patches, channels * size * size), row by row."""
    return F.unfold(image, kernel_size=size, stride=size).transpose(1, 2)
