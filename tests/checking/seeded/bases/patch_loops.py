# contract: patchify
import torch


def patchify(images: torch.Tensor, size: int) -> torch.Tensor:
    """Cuts images (n, c, h, w) into square patches, left to right and top to bottom, and flattens each."""
    n, _, h, w = images.shape
    patches = []
    for i in range(h // size):
        for j in range(w // size):
            patch = images[:, :, i * size : (i + 1) * size, j * size : (j + 1) * size]
            patches.append(patch.reshape(n, -1))
    return torch.stack(patches, dim=1)
