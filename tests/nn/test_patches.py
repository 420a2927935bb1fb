import pytest
import torch

from glassformer.nn.patches import PatchEmbedding, patchify, unpatchify
from tests.nn.comparisons import (
    HEIGHT,
    PATCHES,
    WIDTH,
    assert_patch_embedding_equals_convolution,
    assert_patchify_equals_unfold,
    assert_same,
    assert_unpatchify_equals_fold,
    random,
)

every_patch = pytest.mark.parametrize("patch", PATCHES, ids=str)


@every_patch
@pytest.mark.parametrize("channels", [1, 3])
def test_patchify_equals_unfold(patch, channels):
    assert_patchify_equals_unfold(patchify, patch, channels)


@every_patch
@pytest.mark.parametrize("channels", [1, 3])
def test_unpatchify_equals_fold(patch, channels):
    assert_unpatchify_equals_fold(unpatchify, patch, channels)


@every_patch
def test_unpatchify_restores_the_image(patch):
    images = random(2, 3, HEIGHT, WIDTH)
    assert torch.equal(unpatchify(patchify(images, patch), (HEIGHT, WIDTH), patch), images)


def test_a_patch_holds_what_it_covers():
    images = torch.arange(2 * 4 * 6).reshape(1, 2, 4, 6)
    third = patchify(images, (2, 3))[0, 2].reshape(2, 2, 3)  # the first of the second row of patches
    assert torch.equal(third, images[0, :, 2:4, 0:3])


@pytest.mark.parametrize("patch", [(3, 2), (2, 4), (6, 8)])
def test_embedding_equals_a_convolution(patch):
    assert_patch_embedding_equals_convolution(PatchEmbedding, patch)


def test_a_square_patch_is_one_number():
    torch.manual_seed(0)
    one = PatchEmbedding(3, 2, 5)
    torch.manual_seed(0)
    images = torch.randn(1, 3, 4, 6, generator=torch.Generator().manual_seed(1))
    assert_same(one(images), PatchEmbedding(3, (2, 2), 5)(images), "output")


@pytest.mark.parametrize(
    ("patch", "message"),
    [
        (4, "a patch of 4 pixels does not divide the image's height of 6; nearest that do: 4 or 8"),
        ((3, 5), "a patch of 5 pixels does not divide the image's width of 8; nearest that do: 5 or 10"),
        (7, "a patch of 7 pixels does not divide the image's height of 6; nearest that do: 7"),
        (0, "patch=0 is not a size in pixels; choose 1 or more"),
        ((2, -2), r"patch=\(2, -2\) is not a size"),
    ],
)
def test_a_patch_that_does_not_divide(patch, message):
    with pytest.raises(ValueError, match=message):
        patchify(torch.zeros(1, 3, HEIGHT, WIDTH), patch)


@pytest.mark.parametrize("sizes", [(1, 11, 12), (1, 12, 13), (1, 12, 0)])
def test_patches_that_do_not_fill_the_image(sizes):
    with pytest.raises(ValueError, match="it takes 12 patches of 4 features a channel"):
        unpatchify(torch.zeros(sizes), (HEIGHT, WIDTH), 2)
