# contract: patchify
import torch


def patchify(imgs, patch_size):
    """
    imgs: (N, 3, H, W)
    x: (N, L, patch_size**2 *3)
    """
    p = patch_size
    assert imgs.shape[2] % p == 0
    assert imgs.shape[3] % p == 0

    h, w = imgs.shape[2] // p, imgs.shape[3] // p
    c = imgs.shape[1]
    x = imgs.reshape(imgs.shape[0], c, h, p, w, p)
    x = torch.einsum("nchpwq->nhwpqc", x)
    return x.reshape(imgs.shape[0], h * w, p**2 * c)
