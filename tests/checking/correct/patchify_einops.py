# contract: patchify
from einops import rearrange


def patchify(images, patch_h, patch_w):
    return rearrange(images, "b c (h p1) (w p2) -> b (h w) (c p1 p2)", p1=patch_h, p2=patch_w)
