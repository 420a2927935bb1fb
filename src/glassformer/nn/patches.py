"""Images as tokens: cut into patches, put together again, embedded."""

import torch
from jaxtyping import Float, Shaped
from torch import Tensor, nn


def patchify(
    images: Shaped[Tensor, "batch channels height width"], patch: int | tuple[int, int]
) -> Shaped[Tensor, "batch patches features"]:
    """Cuts images into patches that do not overlap: x_p of Dosovitskiy et al. 2021, section 3.1.

    patch: side of a patch, or (height, width), in pixels. Patches are numbered row by row; a patch's features
    are its pixels channel by channel, each row by row, as torch.nn.functional.unfold orders them. (The
    authors' code puts the channels last: it trains as well, but checkpoints must agree.)
    Raises ValueError where the patch does not divide the image.
    """
    batch, channels, height, width = images.shape
    patch_height, patch_width = patch_sides(patch)
    rows, columns = grid_size((height, width), patch)
    cut = images.reshape(batch, channels, rows, patch_height, columns, patch_width)
    return cut.permute(0, 2, 4, 1, 3, 5).flatten(3).flatten(1, 2)


def unpatchify(
    patches: Shaped[Tensor, "batch patches features"], size: tuple[int, int], patch: int | tuple[int, int]
) -> Shaped[Tensor, "batch channels height width"]:
    """The images whose `patchify` this is. size: (height, width) of the images, in pixels.

    Raises ValueError where the patch does not divide the size, or the patches do not fill it.
    """
    patch_height, patch_width = patch_sides(patch)
    rows, columns = grid_size(size, patch)
    batch, count, features = patches.shape
    channels, rest = divmod(features, patch_height * patch_width)
    if count != rows * columns or rest or not channels:
        raise ValueError(
            f"{count} patches of {features} features do not fill an image of {size[0]} x {size[1]} pixels; "
            f"it takes {rows * columns} patches of {patch_height * patch_width} features a channel"
        )
    cut = patches.reshape(batch, rows, columns, channels, patch_height, patch_width)
    return cut.permute(0, 3, 1, 4, 2, 5).reshape(batch, channels, *size)


class PatchEmbedding(nn.Module):
    """y[b, n] = x_p[b, n] W + b: a patch's pixels, mapped to a token (Dosovitskiy et al. 2021, equation 1).

    images: (batch channels height width); y: (batch patches d_model), the patches row by row.
    patch: side of a patch, or (height, width), in pixels.
    The same function as a convolution whose stride is its kernel's size; here it is a matrix product.
    Raises ValueError where the patch does not divide the image.
    """

    def __init__(self, channels: int, patch: int | tuple[int, int], d_model: int) -> None:
        super().__init__()
        self.patch = patch_sides(patch)
        self.projection = nn.Linear(channels * self.patch[0] * self.patch[1], d_model)

    def forward(
        self, images: Float[Tensor, "batch channels height width"]
    ) -> Float[Tensor, "batch patches d_model"]:
        y: torch.Tensor = self.projection(patchify(images, self.patch))
        return y


def patch_sides(patch: int | tuple[int, int]) -> tuple[int, int]:
    """(height, width) of a patch. Raises ValueError for a side below 1."""
    sides = (patch, patch) if isinstance(patch, int) else patch
    if min(sides) < 1:
        raise ValueError(f"patch={patch} is not a size in pixels; choose 1 or more")
    return sides


def grid_size(size: tuple[int, int], patch: int | tuple[int, int]) -> tuple[int, int]:
    """(rows, columns) of patches in an image of (height, width). Raises ValueError where they do not fit."""
    sides = patch_sides(patch)
    for name, length, side in zip(("height", "width"), size, sides, strict=True):
        if length < side or length % side:
            below, above = length // side * side, (length // side + 1) * side
            nearest = f"{below} or {above}" if below else f"{above}"
            raise ValueError(
                f"a patch of {side} pixels does not divide the image's {name} of {length}; nearest that do: "
                f"{nearest}"
            )
    return size[0] // sides[0], size[1] // sides[1]
