# contract: patch-embedding
import torch.nn as nn


class PatchEmbed(nn.Module):
    """Images [B, C, H, W] to tokens [B, (H / patch) * (W / patch), embed_dim], row by row."""

    def __init__(self, patch_size=4, in_chans=3, embed_dim=64):
        super().__init__()
        self.embed_dim = embed_dim
        self.proj = nn.Conv2d(in_chans, embed_dim, kernel_size=patch_size, stride=patch_size)

    def forward(self, x):
        x = self.proj(x)
        return x.flatten(2).transpose(1, 2)
