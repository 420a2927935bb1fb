"""Two simple rivals for image classification, and the floor under both.

`pixels_lr`  logistic regression on the pixels: what can be had without any idea of what an image is.
`small_cnn`  a convolutional network of three layers, trained on the processor in minutes.
`majority`   no image is read: the class frequencies of the training labels.

Images are uint8 arrays (n, channels, height, width), which may be memory-mapped. `small_cnn` draws random
numbers: the seed it is handed changes its figures. It leaves torch's own generators as they were.
"""

import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float32, Int64, UInt8
from numpy.typing import ArrayLike, NDArray

from glassformer.baselines.text import (
    TEXT_BASELINES,
    Baseline,
    FittedBaseline,
    Probabilities,
    check_labels,
    present_classes,
)
from glassformer.progress import with_progress

if TYPE_CHECKING:
    from torch import nn

Pixels = UInt8[np.ndarray, "n channels height width"]
Scaled = Float32[np.ndarray, "n channels height width"]

_AT_ONCE = 1_000


@dataclass(frozen=True)
class _Scaling:
    """x' = (x - mean_c) / deviation_c for channel c, over all training images and places."""

    mean: Float32[np.ndarray, "channels 1 1"]
    deviation: Float32[np.ndarray, "channels 1 1"]

    def __call__(self, images: Pixels) -> Scaled:
        scaled = images.astype(np.float32)
        scaled -= self.mean
        scaled /= self.deviation
        return scaled


@dataclass(frozen=True)
class _Fitted:
    """What a rival has learned; `of_scaled` gives (n, present) probabilities of the classes it has seen."""

    of_scaled: Callable[[Scaled], NDArray[Any]]
    scaling: _Scaling
    shape: tuple[int, ...]
    present: Int64[np.ndarray, " present"]
    classes: int

    def predict_proba(self, inputs: Pixels, /) -> Probabilities:
        _check_images(inputs)
        if inputs.shape[1:] != self.shape:
            raise ValueError(
                f"images of {_by(inputs.shape[1:])} were given to a baseline fitted on {_by(self.shape)}; "
                "bring all splits to one size"
            )
        # A class without a training example has no score: its probability is 0.
        probabilities = np.zeros((len(inputs), self.classes))
        for first in range(0, len(inputs), _AT_ONCE):
            rows = slice(first, first + _AT_ONCE)
            found = self.of_scaled(self.scaling(inputs[rows])).astype(np.float64)
            probabilities[rows, self.present] = found / found.sum(axis=1, keepdims=True)
        return probabilities


def _fit_pixels_lr(
    images: Pixels,
    labels: NDArray[np.int64],
    classes: int,
    seed: int,
    *,
    inverse_penalty: float,
    steps: int,
) -> FittedBaseline:
    """softmax(W x + b), x the pixels of an image scaled as in `_Scaling`, all in one row.

    Minimises ||W||^2 / 2 + C sum_i -log p(y_i | x_i) with C = `inverse_penalty` by at most `steps` steps of
    L-BFGS. On real images that is short of the minimum, on purpose: it is as accurate and bounded in time.
    Holds the training images in memory as fp32, four bytes a pixel and channel.
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.linear_model import LogisticRegression

    present = present_classes(labels)
    scaling = _fit_scaling(images)
    model = LogisticRegression(C=inverse_penalty, max_iter=steps, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        model.fit(scaling(images).reshape(len(images), -1), labels)

    def of_scaled(scaled: Scaled) -> NDArray[Any]:
        return model.predict_proba(scaled.reshape(len(scaled), -1))

    return _Fitted(of_scaled, scaling, images.shape[1:], present, classes)


def _fit_small_cnn(
    images: Pixels,
    labels: NDArray[np.int64],
    classes: int,
    seed: int,
    *,
    widths: tuple[int, ...],
    epochs: int,
    least_steps: int,
    batch: int,
    learning_rate: float,
    weight_decay: float,
) -> FittedBaseline:
    """The network of `_network`, trained by AdamW and one cycle of the learning rate, in fp32, without a GPU.

    `epochs` times all images, and at least `least_steps` batches, so that a small set is learned too. Images
    of several channels are mirrored left to right half of the time; those of one channel are not, since
    there the sides tend to mean something (digits, letters).

    Source: Loshchilov & Hutter 2019, 'Decoupled Weight Decay Regularization', algorithm 2 (AdamW); Smith &
    Topin 2018, 'Super-Convergence', section 4 (one cycle). The figures are the same again for the same seed,
    number of threads and version of torch.
    """
    import torch
    from torch.nn.functional import cross_entropy

    present = present_classes(labels)
    scaling = _fit_scaling(images)
    targets = torch.from_numpy(np.searchsorted(present, labels))
    batch = min(batch, len(images))
    steps = max(epochs * (len(images) // batch), least_steps)
    with torch.random.fork_rng(devices=[]):
        # torch.manual_seed would seed the accelerators' generators as well, which are not put back
        torch.default_generator.manual_seed(seed)
        network = _network(images.shape[1], len(present), widths)
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, learning_rate, total_steps=steps)
        draws = _draws(len(images), batch, steps)
        for rows in with_progress(draws, lambda rows: 1, steps, "fitting small_cnn"):
            drawn = torch.from_numpy(scaling(images[rows]))
            if images.shape[1] > 1:
                mirrored = torch.rand(len(drawn)) < 0.5
                drawn[mirrored] = drawn[mirrored].flip(3)
            loss = cross_entropy(network(_channels_last(drawn)), targets[rows])
            loss.backward()
            optimizer.step()
            optimizer.zero_grad()
            schedule.step()
    network.eval()

    @torch.inference_mode()
    def of_scaled(scaled: Scaled) -> NDArray[Any]:
        return network(_channels_last(torch.from_numpy(scaled))).double().softmax(1).numpy()

    return _Fitted(of_scaled, scaling, images.shape[1:], present, classes)


def _network(channels: int, classes: int, widths: tuple[int, ...]) -> "nn.Sequential":
    """3x3 convolutions of `widths` channels, height and width halved between them; then mean, linear layer.

    Deviation from the usual order: the maximum over 2x2 is taken before the batch norm (Ioffe & Szegedy
    2015), not after the ReLU, which leaves both a quarter of the work. A side of one pixel stays one.
    """
    import torch
    from torch import nn

    layers: list[nn.Module] = []
    for place, (before, width) in enumerate(zip((channels, *widths), widths, strict=False)):
        layers.append(nn.Conv2d(before, width, 3, padding=1, bias=False))
        if place < len(widths) - 1:
            layers.append(nn.MaxPool2d(2, ceil_mode=True))
        layers += [nn.BatchNorm2d(width), nn.ReLU()]
    network = nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(widths[-1], classes))
    return network.to(memory_format=torch.channels_last)  # pyrefly: ignore[no-matching-overload]


def _channels_last(images: Any) -> Any:
    """Same values, channels adjacent in memory: the convolutions take a little over half the time."""
    import torch

    return images.contiguous(memory_format=torch.channels_last)


def _draws(count: int, batch: int, steps: int) -> Iterator[Int64[np.ndarray, " batch"]]:
    """The rows of each step: all in a random order, then anew; a rest that fills no batch is left out."""
    import torch

    order = np.zeros(0, dtype=np.int64)
    for _ in range(steps):
        if len(order) < batch:
            order = torch.randperm(count).numpy()
        yield order[:batch]
        order = order[batch:]


def _fit_scaling(images: Pixels) -> _Scaling:
    """Mean and deviation of each channel, read a part at a time; a channel of one value keeps its size."""
    totals, squares = np.zeros(images.shape[1]), np.zeros(images.shape[1])
    for first in range(0, len(images), _AT_ONCE):
        part = images[first : first + _AT_ONCE].astype(np.float64)
        totals += part.sum(axis=(0, 2, 3))
        squares += np.square(part).sum(axis=(0, 2, 3))
    pixels = images.size / images.shape[1]
    mean = totals / pixels
    variance = squares / pixels - np.square(mean)
    # below this it is rounding, or less than one odd pixel in a million
    deviation = np.where(variance < 1e-6, 1.0, np.sqrt(np.maximum(variance, 0)))
    return _Scaling(*(each.astype(np.float32)[:, None, None] for each in (mean, deviation)))


def _check_images(images: Any) -> None:
    if not isinstance(images, np.ndarray) or images.ndim != 4 or images.dtype != np.uint8:
        got = f"{images.dtype} of {images.shape}" if isinstance(images, np.ndarray) else type(images).__name__
        raise ValueError(
            f"images must be an array of uint8 of shape (n, channels, height, width), got {got}; "
            "stack images of one size, with pixels from 0 to 255"
        )
    if 0 in images.shape[1:]:
        raise ValueError(f"images of {_by(images.shape[1:])} have no pixel; give at least 1x1x1")


def _by(shape: tuple[int, ...]) -> str:
    return "x".join(map(str, shape))


IMAGE_BASELINES: dict[str, Baseline] = {
    "majority": TEXT_BASELINES["majority"],
    # C among 1e-4 to 1, steps among 60, 100, 150, on a tenth of CIFAR-10's training images (0.40 to 0.41 for
    # C up to 0.1) and on 397 digits (0.98 from 0.1 on, 0.94 at 0.01); CIFAR-10's test split was not looked at
    "pixels_lr": Baseline(_fit_pixels_lr, MappingProxyType({"inverse_penalty": 0.1, "steps": 60})),
    # as quick as is fair, not searched: 0.746 on the same tenth of CIFAR-10
    "small_cnn": Baseline(
        _fit_small_cnn,
        MappingProxyType(
            {
                "widths": (32, 64, 128),
                "epochs": 8,
                "least_steps": 300,
                "batch": 128,
                "learning_rate": 0.01,
                "weight_decay": 0.05,
            }
        ),
        libraries=("numpy", "torch"),
        seeded=True,
    ),
}


def fit(name: str, images: Pixels, labels: ArrayLike, classes: int, seed: int = 0) -> FittedBaseline:
    """Fit baseline `name` on training images with labels 0 .. classes - 1.

    Raises ValueError for an unknown name, fewer than two classes, labels outside the range, images that are
    not uint8 (n, channels, height, width), images and labels of different lengths, and, all but `majority`,
    where the training labels hold one class.
    """
    if name not in IMAGE_BASELINES:
        raise ValueError(f"unknown image baseline {name!r}; choose one of {', '.join(IMAGE_BASELINES)}")
    _check_images(images)
    numbers = check_labels(labels, classes, len(images), "images")
    baseline = IMAGE_BASELINES[name]
    return baseline.fitter(images, numbers, classes, seed, **baseline.settings)
