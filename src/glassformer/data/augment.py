"""Augmentation of whole batches of images, on any device.

Images are Float (batch channels height width) in [0, 1], 1 or 3 channels; results are new tensors of the same
shape. Every random number comes from `generator`, on the CPU, and then goes where the images are: what is
drawn does not depend on the device, and an accelerator is never waited for. Each image has draws of its own
where the text does not say otherwise.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from jaxtyping import Bool, Float, Int64
from torch import Generator, Tensor
from torch.nn import functional

from glassformer.data.mixing import cutmix, mixup

Images = Float[Tensor, "batch channels height width"]

ERASED_AREA, ERASED_ASPECT = (0.02, 1 / 3), (0.3, 1 / 0.3)
GREY_OF_COLOUR = (0.299, 0.587, 0.114)
"""Weights of red, green and blue in the luminance (ITU-R BT.601), as Pillow has them."""


@dataclass(frozen=True)
class Augmentation:
    """What is done to the images of a training batch, in the order of the fields.

    crop: pixels of padding; flip: or not; colour: strength of the jitter; rand_augment: operations an
    image, of `magnitude` 0 to 30; erase: its probability; mixup, cutmix: alpha, 0 for none. Asked for both,
    a batch gets one of the two, by a coin.
    """

    crop: int = 0
    flip: bool = False
    colour: float = 0.0
    rand_augment: int = 0
    magnitude: int = 9
    erase: float = 0.0
    mixup: float = 0.0
    cutmix: float = 0.0

    def __call__(
        self, images: Images, labels: Int64[Tensor, " batch"], classes: int, generator: Generator
    ) -> tuple[Images, Float[Tensor, "batch classes"] | None]:
        """The images, and shares of the classes where images were mixed."""
        if self.crop:
            images = random_crop(images, self.crop, generator)
        if self.flip:
            images = random_flip(images, generator)
        if self.colour:
            images = colour_jitter(images, self.colour, generator)
        if self.rand_augment:
            images = rand_augment(images, self.rand_augment, self.magnitude, generator)
        if self.erase:
            images = random_erase(images, self.erase, generator)
        if not (self.mixup or self.cutmix):
            return images, None
        targets = functional.one_hot(labels, classes).to(images.dtype)
        coin = float(torch.rand(1, generator=generator)) < 0.5
        if self.mixup and (coin or not self.cutmix):
            return mixup(images, targets, self.mixup, generator)
        return cutmix(images, targets, self.cutmix, generator)


def random_crop(images: Images, padding: int, generator: Generator) -> Images:
    """Pads by `padding` pixels of black on every side and cuts the size out again at a random place.

    Source: He et al. 2016, 'Deep Residual Learning', section 4.2, who pad CIFAR-10 by 4.
    """
    height, width = images.shape[2:]
    places = functional.pad(images, (padding,) * 4).unfold(2, height, 1).unfold(3, width, 1)
    shape = (2, len(images))
    row, column = _at(images, torch.randint(2 * padding + 1, shape, generator=generator))
    return places[torch.arange(len(images), device=images.device), :, row, column]


def shrunk(images: Images, size: tuple[int, int]) -> Images:
    """To (height, width), bilinearly with antialiasing. Nothing is drawn."""
    return functional.interpolate(images, size=size, mode="bilinear", antialias=True)


def random_flip(images: Images, generator: Generator) -> Images:
    """Mirrors an image, left and right, with probability 1/2."""
    return torch.where(_of_image(_uniform(len(images), images, generator)) < 0.5, images.flip(3), images)


def colour_jitter(images: Images, strength: float, generator: Generator) -> Images:
    """Brightness, contrast, saturation, each times a factor uniform in [1 - strength, 1 + strength].

    Source: Howard 2013, 'Some Improvements on Deep Convolutional Neural Network Based Image Classification'.
    """
    for change in (brightness, contrast, saturation):
        factor = 1 + strength * (2 * _uniform(len(images), images, generator) - 1)
        images = change(images, factor)
    return images


def brightness(images: Images, factor: Float[Tensor, " batch"]) -> Images:
    """A blend of black, at factor 0, and the image, at 1; beyond 1, brighter."""
    return (images * _of_image(factor)).clamp(0, 1)


def contrast(images: Images, factor: Float[Tensor, " batch"]) -> Images:
    """A blend of the image's mean luminance and the image."""
    mean = _luminance(images).mean(dim=(2, 3), keepdim=True)
    return torch.lerp(mean.expand_as(images), images, _of_image(factor)).clamp(0, 1)


def saturation(images: Images, factor: Float[Tensor, " batch"]) -> Images:
    """A blend of the image in grey and the image; grey images stay as they are."""
    if images.shape[1] == 1:
        return images
    return torch.lerp(_luminance(images).expand_as(images), images, _of_image(factor)).clamp(0, 1)


def sharpness(images: Images, factor: Float[Tensor, " batch"]) -> Images:
    """A blend of the image, smoothed by a 3x3 kernel but at its border, and the image."""
    kernel = _at(images, torch.tensor([[1, 1, 1], [1, 5, 1], [1, 1, 1]], dtype=images.dtype)[None, None] / 13)
    channels = images.shape[1]
    smooth = images.clone()
    if min(images.shape[2:]) >= 3:
        inside = functional.conv2d(images, kernel.expand(channels, 1, 3, 3), groups=channels)
        smooth[:, :, 1:-1, 1:-1] = inside
    return torch.lerp(smooth, images, _of_image(factor)).clamp(0, 1)


def posterize(images: Images, bits: Float[Tensor, " batch"]) -> Images:
    """Keeps the upper `bits`, rounded, of the eight bits of a pixel."""
    step = 2.0 ** (8 - _of_image(bits.round()))
    return (images * 255).round().div(step).floor().mul(step) / 255


def solarize(images: Images, threshold: Float[Tensor, " batch"]) -> Images:
    """Inverts the pixels that are `threshold` or brighter."""
    return torch.where(images >= _of_image(threshold), 1 - images, images)


def autocontrast(images: Images) -> Images:
    """Stretches each channel to reach from 0 to 1; a channel of one value stays as it is."""
    low, high = images.amin(dim=(2, 3), keepdim=True), images.amax(dim=(2, 3), keepdim=True)
    return torch.where(high > low, (images - low) / (high - low).clamp(min=1e-12), images)


def affine(images: Images, matrix: Float[Tensor, "batch 2 3"]) -> Images:
    """Takes the pixel at x from the place matrix x, bilinear, black from outside.

    Places are in units of half the image's width and height, from its centre.
    """
    grid = functional.affine_grid(matrix, list(images.shape), align_corners=False)
    return functional.grid_sample(images, grid, padding_mode="zeros", align_corners=False)


def rand_augment(images: Images, count: int, magnitude: int, generator: Generator) -> Images:
    """`count` operations one after the other, each drawn for each image out of OPERATIONS.

    magnitude: 0 to 30, how strong all of them are; those with a direction take either.
    Source: Cubuk et al. 2020, 'RandAugment'. Deviations: no equalise, which has no batched form, and the
    geometric ones are bilinear.
    """
    strength = magnitude / 30
    for _ in range(count):
        drawn = torch.randint(len(OPERATIONS), (len(images),), generator=generator)
        sign = torch.where(_uniform(len(images), images, generator) < 0.5, -1.0, 1.0).to(images.dtype)
        changed = images.clone()
        for number, operation in enumerate(OPERATIONS):
            rows = (drawn == number).nonzero()[:, 0]
            if len(rows):
                rows = _at(images, rows)
                changed[rows] = operation(images[rows], strength * sign[rows])
        images = changed
    return images


def _rotate(images: Images, signed: Tensor) -> Images:
    angle = signed * (torch.pi / 6)
    aspect = images.shape[2] / images.shape[3]  # the units of x and y differ by it
    cos, sin, zero = angle.cos(), angle.sin(), torch.zeros_like(angle)
    rows = (torch.stack((cos, -sin * aspect, zero), 1), torch.stack((sin / aspect, cos, zero), 1))
    return affine(images, torch.stack(rows, 1))


def _moved(x_of_y: float, y_of_x: float, x: float, y: float) -> Callable[[Images, Tensor], Images]:
    """A shear or a shift, by so much at full strength."""

    def operation(images: Images, signed: Tensor) -> Images:
        stay = torch.tensor([[1, 0, 0], [0, 1, 0]], dtype=images.dtype)
        move = torch.tensor([[0, x_of_y, x], [y_of_x, 0, y]], dtype=images.dtype)
        return affine(images, _at(images, stay) + signed[:, None, None] * _at(images, move))

    return operation


OPERATIONS: tuple[Callable[[Images, Tensor], Images], ...] = (
    lambda images, signed: images,
    _rotate,  # by 30 degrees at full strength
    _moved(0.3, 0, 0, 0),
    _moved(0, 0.3, 0, 0),
    _moved(0, 0, 0.9, 0),  # 0.45 of the width
    _moved(0, 0, 0, 0.9),
    lambda images, signed: brightness(images, 1 + 0.9 * signed),
    lambda images, signed: contrast(images, 1 + 0.9 * signed),
    lambda images, signed: saturation(images, 1 + 0.9 * signed),
    lambda images, signed: sharpness(images, 1 + 0.9 * signed),
    lambda images, signed: posterize(images, 8 - 4 * signed.abs()),
    lambda images, signed: solarize(images, 1 + 1 / 255 - signed.abs()),
    lambda images, signed: autocontrast(images),
)
"""Each takes images and signed strengths, (batch,) in [-1, 1]."""


def random_erase(images: Images, probability: float, generator: Generator) -> Images:
    """Fills a rectangle of an image, with that probability, with noise uniform in [0, 1].

    Its area is a share of the image's uniform in ERASED_AREA, its height over its width log-uniform in
    ERASED_ASPECT, its place uniform; sides longer than the image's are cut to them.
    Source: Zhong et al. 2020, 'Random Erasing Data Augmentation', who draw again where we cut.
    """
    hit = (torch.rand(len(images), generator=generator) < probability).nonzero()[:, 0]
    count, (channels, height, width) = len(hit), images.shape[1:]
    low, high = ERASED_AREA
    area = (low + (high - low) * torch.rand(count, generator=generator)) * height * width
    narrow, wide = (math.log(aspect) for aspect in ERASED_ASPECT)
    aspect = (narrow + (wide - narrow) * torch.rand(count, generator=generator)).exp()
    sides = ((area * aspect).sqrt().round().clamp(1, height), (area / aspect).sqrt().round().clamp(1, width))
    of_rows, of_columns = (
        _between((torch.rand(count, generator=generator) * (length - side + 1)).floor(), side, length)
        for length, side in zip((height, width), sides, strict=True)
    )
    inside = _at(images, (of_rows[:, :, None] & of_columns[:, None, :])[:, None])
    noise = torch.rand(count, channels, height, width, generator=generator, dtype=images.dtype)
    rows = _at(images, hit)
    erased = images.clone()
    erased[rows] = torch.where(inside, _at(images, noise), images[rows])
    return erased


def _between(first: Tensor, side: Tensor, length: int) -> Bool[Tensor, "batch {length}"]:
    """Which of 0 ... length - 1 lie in [first, first + side), for each image."""
    place = torch.arange(length)
    return (place >= first[:, None]) & (place < (first + side)[:, None])


def _luminance(images: Images) -> Float[Tensor, "batch 1 height width"]:
    if images.shape[1] == 1:
        return images
    shares = torch.tensor(GREY_OF_COLOUR, dtype=images.dtype).view(1, 3, 1, 1)
    return (images * _at(images, shares)).sum(1, keepdim=True)


def _of_image(values: Float[Tensor, " batch"]) -> Float[Tensor, "batch 1 1 1"]:
    return values[:, None, None, None]


def _uniform(count: int, like: Tensor, generator: Generator) -> Float[Tensor, " {count}"]:
    return _at(like, torch.rand(count, generator=generator, dtype=like.dtype))


def _at(images: Images, values: Tensor) -> Tensor:
    """`values`, on the CPU so far, where the images are; the CPU does not wait until they have arrived."""
    return values.to(images.device, non_blocking=True)
