# contract: patchify
from einops import rearrange


def to_patches(img, patch_size):
    p = patch_size
    return rearrange(img, "b c (h p1) (w p2) -> b (h w) (c p1 p2)", p1=p, p2=p)
