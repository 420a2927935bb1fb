"""Each augmentation against Pillow or a plain loop, and each image with draws of its own."""

import io
from collections.abc import Callable

import numpy as np
import pytest
import torch
from PIL import Image, ImageEnhance, ImageOps

from glassformer.data import augment
from glassformer.data.augment import Augmentation
from glassformer.data.mixing import _beta, cutmix, mixup

BATCH, HEIGHT, WIDTH = 7, 11, 13


def generator(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def images(channels: int = 3, batch: int = BATCH) -> torch.Tensor:
    return torch.from_numpy(
        np.random.default_rng(channels).integers(0, 256, (batch, channels, HEIGHT, WIDTH)).astype(np.float32)
    ).div(255)


def as_pil(image: torch.Tensor) -> Image.Image:
    pixels = (image * 255).round().to(torch.uint8).numpy()
    return Image.fromarray(pixels[0] if len(pixels) == 1 else np.moveaxis(pixels, 0, -1))


def from_pil(image: Image.Image) -> torch.Tensor:
    pixels = np.asarray(image).astype(np.float32) / 255
    return torch.from_numpy(pixels[None] if pixels.ndim == 2 else np.moveaxis(pixels, -1, 0).copy())


RANDOM: dict[str, Callable[[torch.Tensor, torch.Generator], torch.Tensor]] = {
    "crop": lambda x, g: augment.random_crop(x, 4, g),
    "flip": augment.random_flip,
    "colour": lambda x, g: augment.colour_jitter(x, 0.5, g),
    "rand_augment": lambda x, g: augment.rand_augment(x, 2, 20, g),
    "erase": lambda x, g: augment.random_erase(x, 0.9, g),
}


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", list(RANDOM))
def test_same_seed_same_images_in_range_and_the_input_is_left_alone(name: str, channels: int) -> None:
    x = images(channels)
    before = x.clone()
    first, again, other = (RANDOM[name](x, generator(seed)) for seed in (1, 1, 2))
    assert torch.equal(x, before)
    assert torch.equal(first, again)
    assert not torch.equal(first, other)
    assert first.shape == x.shape
    assert first.min() >= 0
    assert first.max() <= 1


@pytest.mark.parametrize("name", list(RANDOM))
def test_each_image_has_draws_of_its_own(name: str) -> None:
    same = images(3, 1).expand(64, -1, -1, -1).clone()
    changed = RANDOM[name](same, generator())
    distinct = {image.numpy().tobytes() for image in changed}
    assert len(distinct) == 2 if name == "flip" else len(distinct) > 20


def test_a_crop_is_a_window_of_the_padded_image_and_all_places_come() -> None:
    x, padding = images(3, 1).expand(600, -1, -1, -1).clone(), 2
    padded = np.pad(x[0].numpy(), ((0, 0), (padding, padding), (padding, padding)))
    windows = {
        padded[:, row : row + HEIGHT, column : column + WIDTH].tobytes()
        for row in range(2 * padding + 1)
        for column in range(2 * padding + 1)
    }
    assert {image.numpy().tobytes() for image in augment.random_crop(x, padding, generator())} == windows


def test_a_flip_mirrors_left_and_right_in_half_of_the_cases() -> None:
    x = images(1, 1).expand(400, -1, -1, -1).clone()
    flipped = [
        torch.equal(image, torch.from_numpy(np.flip(x[0].numpy(), 2).copy()))
        for image in augment.random_flip(x, generator())
    ]
    assert 160 < sum(flipped) < 240


@pytest.mark.parametrize("factor", [0.0, 0.3, 1.0, 1.7])
@pytest.mark.parametrize(
    ("ours", "pillow", "levels"),
    [
        (augment.brightness, ImageEnhance.Brightness, 1),
        (augment.contrast, ImageEnhance.Contrast, 2),  # Pillow rounds the mean to a whole level
        (augment.saturation, ImageEnhance.Color, 2),
        (augment.sharpness, ImageEnhance.Sharpness, 2),
    ],
)
def test_blends_are_pillows(ours: Callable, pillow: Callable, levels: int, factor: float) -> None:
    x = images()
    result = ours(x, torch.full((BATCH,), factor))
    for image, changed in zip(x, result, strict=True):
        expected = from_pil(pillow(as_pil(image)).enhance(factor))
        torch.testing.assert_close(changed, expected, atol=(levels + 0.1) / 255, rtol=0)


def test_posterize_solarize_and_autocontrast_are_pillows() -> None:
    x = images()
    for bits in (1, 3, 4, 8):
        expected = torch.stack([from_pil(ImageOps.posterize(as_pil(image), bits)) for image in x])
        torch.testing.assert_close(augment.posterize(x, torch.full((BATCH,), float(bits))), expected)
    for threshold in (0, 100, 255):
        expected = torch.stack([from_pil(ImageOps.solarize(as_pil(image), threshold)) for image in x])
        torch.testing.assert_close(augment.solarize(x, torch.full((BATCH,), threshold / 255)), expected)
    expected = torch.stack([from_pil(ImageOps.autocontrast(as_pil(image))) for image in x])
    torch.testing.assert_close(augment.autocontrast(x), expected, atol=1.1 / 255, rtol=0)


def test_grey_stays_grey_and_flat_stays_flat() -> None:
    grey = images(1)
    assert torch.equal(augment.saturation(grey, torch.full((BATCH,), 0.3)), grey)
    flat = torch.full((2, 3, 5, 4), 0.4)
    assert torch.equal(augment.autocontrast(flat), flat)


def test_affine_is_pillows_in_the_inside() -> None:
    smooth = torch.linspace(0, 1, 24)[None, :] * torch.linspace(1, 0.2, 20)[:, None]
    x = smooth[None, None].clone()
    angle, shift = 0.3, 0.2
    turned = augment._rotate(x, torch.tensor([angle / (torch.pi / 6)]))
    # Pillow turns counter-clockwise by degrees about the centre
    expected = (
        from_pil(Image.fromarray(x[0, 0].numpy()).rotate(np.degrees(angle), Image.Resampling.BILINEAR)) * 255
    )
    torch.testing.assert_close(turned[0][:, 5:-5, 5:-5], expected[:, 5:-5, 5:-5], atol=2e-3, rtol=0)
    moved = augment.affine(x, torch.tensor([[[1.0, 0, shift], [0, 1, 0]]]))
    pixels = shift * 24 / 2
    expected = (
        from_pil(
            Image.fromarray(x[0, 0].numpy()).transform(
                (24, 20), Image.Transform.AFFINE, (1, 0, pixels, 0, 1, 0), Image.Resampling.BILINEAR
            )
        )
        * 255
    )
    torch.testing.assert_close(moved[0][:, 2:-2, 4:-4], expected[:, 2:-2, 4:-4], atol=2e-3, rtol=0)


def test_full_strength_operations_all_change_an_image() -> None:
    x = images() * 0.8
    for number, operation in enumerate(augment.OPERATIONS):
        changed = not torch.allclose(operation(x, torch.full((BATCH,), 0.9)), x)
        assert changed == (number > 0), number


def test_erasing_leaves_a_rectangle_of_the_right_area() -> None:
    x = torch.full((500, 1, 20, 30), 2.0)  # out of range, so that noise is told from it
    erased = augment.random_erase(x, 0.5, generator())[:, 0] < 1.5
    share = erased.float().mean(dim=(1, 2))
    hit = share > 0
    assert 200 < hit.sum() < 300
    assert share[hit].min() >= 0.012  # 0.02, with its sides rounded
    assert share[hit].max() <= 0.36
    for mask in erased[hit]:
        rows, columns = mask.any(1).sum(), mask.any(0).sum()
        assert mask.sum() == rows * columns


@pytest.mark.parametrize("mix", [mixup, cutmix])
def test_mixing_is_a_convex_combination_of_neighbours(mix: Callable) -> None:
    x = torch.arange(5.0).div(10)[:, None, None, None].expand(5, 3, 9, 7).contiguous()
    targets = torch.eye(5)
    for seed in range(20):
        mixed, shares = mix(x, targets, 0.7, generator(seed))
        torch.testing.assert_close(shares.sum(1), torch.ones(5))
        # the classes stand in the order of the brightness, so targets tell what the mean must be
        expected = shares @ torch.arange(5.0).div(10)
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), expected)
        if mix is cutmix:
            assert set(mixed[2].unique().tolist()) <= set(x[1:3].unique().tolist())


def test_the_share_is_beta() -> None:
    from scipy.stats import kstest

    for alpha in (0.3, 1.0, 4.0):
        draw = generator(5)
        drawn = [_beta(alpha, draw) for _ in range(2000)]
        assert kstest(drawn, "beta", (alpha, alpha)).pvalue > 1e-3


def test_asked_for_nothing_nothing_happens() -> None:
    x = images()
    result, targets = Augmentation()(x, torch.zeros(BATCH, dtype=torch.int64), 3, generator())
    assert result is x
    assert targets is None


def test_asked_for_both_a_batch_gets_either() -> None:
    x, labels = images(3, 4), torch.arange(4)
    both = Augmentation(mixup=1.0, cutmix=1.0)
    kinds = set()
    for seed in range(20):
        mixed, targets = both(x, labels, 4, generator(seed))
        assert targets is not None
        pasted = torch.isin(mixed, x).all()  # CutMix makes no new values
        kinds.add(bool(pasted))
    assert kinds == {True, False}


def test_pillow_reads_what_these_tests_write() -> None:
    buffer = io.BytesIO()
    as_pil(images()[0]).save(buffer, "PNG")
    torch.testing.assert_close(from_pil(Image.open(buffer)), images()[0])


def test_operations_of_no_strength_change_nothing() -> None:
    """Autocontrast has no strength; black and white are where a threshold or a scale would show first."""
    pixels = images()
    pixels[0], pixels[1] = 0.0, 1.0
    for operation in augment.OPERATIONS[:-1]:
        torch.testing.assert_close(operation(pixels, torch.zeros(BATCH)), pixels, rtol=0, atol=1e-5)
