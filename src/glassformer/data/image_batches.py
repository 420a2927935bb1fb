"""Batches of images, augmented as a whole, with a state that survives a restart."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from glassformer.data.augment import Augmentation, shrunk
from glassformer.data.batching import Position
from glassformer.data.images import ImageExamples


class ImageBatches(Position):
    """Yields `{"images": (batch channels height width), "labels": (batch,)}`, pixels scaled to [-1, 1].

    With mixup or CutMix also `targets`, (batch classes). Shuffled batches come in a new order in each epoch;
    otherwise the order is that of the examples. The draws of a batch depend on the seed, the epoch and the
    batch's number alone, so a run that is stopped and resumed sees the very same batches: see `position`.
    The pixels go to `device` as bytes, a quarter of their size as numbers, and are augmented there. In the
    first `early_epochs` the augmented images are `shrunk` to `early_size`, (height, width).
    """

    def __init__(
        self,
        examples: ImageExamples,
        batch_size: int,
        *,
        shuffle: bool = False,
        augmentation: Augmentation | None = None,
        classes: int = 0,
        seed: int = 0,
        device: str = "cpu",
        early_size: tuple[int, int] | None = None,
        early_epochs: int = 0,
    ) -> None:
        super().__init__()
        self.examples = examples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.augmentation = augmentation
        self.classes = classes
        self.seed = seed
        self.device = device
        self.early_size = early_size
        self.early_epochs = early_epochs
        self.order = np.arange(len(examples))

    def __len__(self) -> int:
        return math.ceil(len(self.examples) / self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        order = self.order
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(order)
        size = self.batch_size
        return self._from_here(
            [order[i : i + size] for i in range(0, len(order), size)],
            self._batch,
        )

    def work(self, epoch: int) -> float:
        """Its pixels, as a share of those of whole images."""
        if self.early_size is None or epoch >= self.early_epochs:
            return 1.0
        return math.prod(self.early_size) / math.prod(self.examples.images.pixels.shape[2:])

    def _batch(self, chosen: np.ndarray, number: int) -> dict[str, Any]:
        pixels = self.examples.images.pixels[self.examples.rows[chosen]]
        images = torch.from_numpy(pixels).to(self.device, non_blocking=True).float().div_(255)
        labels = torch.from_numpy(self.examples.labels[chosen]).to(self.device, non_blocking=True)
        targets = None
        if self.augmentation is not None:
            words = np.random.SeedSequence([self.seed, self.epoch, number]).generate_state(1, np.uint64)
            generator = torch.Generator().manual_seed(int(words[0] >> 1))
            images, targets = self.augmentation(images, labels, self.classes, generator)
        if self.early_size and self.epoch < self.early_epochs:
            images = shrunk(images, self.early_size)
        batch = {"images": images.mul(2).sub_(1), "labels": labels}
        return batch if targets is None else batch | {"targets": targets}
