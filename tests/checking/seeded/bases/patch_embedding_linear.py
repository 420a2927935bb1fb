# contract: patch-embedding
import torch.nn.functional as F
from torch import Tensor, nn


class PatchEmbedding(nn.Module):
    """Flattens every patch, pixel rows of the first channel first, and maps it to `dim` features."""

    def __init__(self, channels: int, patch_size: int, dim: int) -> None:
        super().__init__()
        self.patch_size = patch_size
        self.linear = nn.Linear(channels * patch_size**2, dim)

    def forward(self, images: Tensor) -> Tensor:
        columns = F.unfold(images, kernel_size=self.patch_size, stride=self.patch_size)
        patches = columns.transpose(1, 2)
        return self.linear(patches)
