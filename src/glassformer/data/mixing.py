"""Pairs of images become one, and so do their labels: mixup and CutMix.

Images are Float (batch channels height width), targets Float (batch classes), rows of shares that sum to one.
An image's partner is the one before it in the batch; batches are shuffled. One lambda a batch. The generator
is on the CPU, wherever the images are.
"""

import math

import torch
from jaxtyping import Float
from torch import Generator, Tensor

Images = Float[Tensor, "batch channels height width"]
Targets = Float[Tensor, "batch classes"]


def mixup(images: Images, targets: Targets, alpha: float, generator: Generator) -> tuple[Images, Targets]:
    """lambda x + (1 - lambda) x' for images and targets alike, lambda ~ Beta(alpha, alpha).

    Source: Zhang et al. 2018, 'mixup: Beyond Empirical Risk Minimization', section 2; one lambda a batch as
    in their code.
    """
    share = _beta(alpha, generator)
    return torch.lerp(images.roll(1, 0), images, share), torch.lerp(targets.roll(1, 0), targets, share)


def cutmix(images: Images, targets: Targets, alpha: float, generator: Generator) -> tuple[Images, Targets]:
    """A rectangle of the partner pasted in; targets mixed by the share of the pixels that each image has.

    The rectangle has about 1 - lambda of the area, lambda ~ Beta(alpha, alpha), and the image's aspect; its
    centre is uniform, and what reaches beyond the border is cut off.
    Source: Yun et al. 2019, 'CutMix', section 3.1; one lambda and one rectangle a batch as in their code.
    """
    height, width = images.shape[2:]
    side = math.sqrt(1 - _beta(alpha, generator))
    centre = torch.rand(2, generator=generator).tolist()
    (top, bottom), (left, right) = (
        (max(0, round(middle - half)), min(length, round(middle + half)))
        for length, middle, half in (
            (height, centre[0] * height, side * height / 2),
            (width, centre[1] * width, side * width / 2),
        )
    )
    mixed = images.clone()
    mixed[:, :, top:bottom, left:right] = images.roll(1, 0)[:, :, top:bottom, left:right]
    share = 1 - (bottom - top) * (right - left) / (height * width)
    return mixed, torch.lerp(targets.roll(1, 0), targets, share)


def _beta(alpha: float, generator: Generator) -> float:
    """One draw of Beta(alpha, alpha): the share of one of two Gamma(alpha) draws in their sum."""
    shape = torch.full((2,), alpha, dtype=torch.float64)
    first, second = torch._standard_gamma(shape, generator=generator).tolist()
    return first / (first + second)
