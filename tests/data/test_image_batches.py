"""Batches of images: complete, scaled, in their order, and the very same after a restart."""

from typing import Any

import numpy as np
import pytest
import torch
from torch.nn import functional

from glassformer.data.augment import Augmentation
from glassformer.data.image_batches import ImageBatches
from glassformer.data.images import ImageExamples, Images
from glassformer.training.progress import ProgressBar


def examples(count: int = 23) -> ImageExamples:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 3, 6, 5), dtype=np.uint8)
    rows = np.random.default_rng(1).permutation(40)[:count]
    return ImageExamples(Images(pixels, np.arange(40, dtype=np.uint64)), rows, rows % 4)


def all_of(batches: ImageBatches) -> list[dict]:
    return list(batches)


def test_unshuffled_batches_are_the_examples_in_order_scaled_to_one() -> None:
    given = examples()
    batches = ImageBatches(given, 7)
    parts = all_of(batches)
    assert [len(part["labels"]) for part in parts] == [7, 7, 7, 2]
    assert len(batches) == len(parts)
    together = torch.cat([part["images"] for part in parts]).numpy()
    np.testing.assert_allclose(together, given.images.pixels[given.rows] / 127.5 - 1, atol=1e-6)
    assert (torch.cat([part["labels"] for part in parts]).numpy() == given.labels).all()
    assert (batches.order == np.arange(23)).all()


def test_shuffled_epochs_hold_every_example_once_in_new_orders() -> None:
    batches = ImageBatches(examples(), 7, shuffle=True, seed=3)
    epochs = [torch.cat([part["images"] for part in batches]) for _ in range(2)]
    assert batches.position == {"epoch": 2, "given": 0}
    assert not torch.equal(*epochs)
    in_order = [sorted(image.numpy().tobytes() for image in epoch) for epoch in epochs]
    assert in_order[0] == in_order[1]


def test_a_restart_inside_an_epoch_gives_the_very_next_batch() -> None:
    def fresh() -> ImageBatches:
        augmentation = Augmentation(crop=1, flip=True, colour=0.3, mixup=1.0, cutmix=1.0)
        return ImageBatches(examples(), 5, shuffle=True, augmentation=augmentation, classes=4, seed=9)

    whole = fresh()
    expected = all_of(whole) + all_of(whole)
    stopped = fresh()
    first = []
    for batch in stopped:
        first.append(batch)
        if len(first) == 3:
            break
    resumed = fresh()
    resumed.go_to(stopped.position)
    rest = all_of(resumed) + all_of(resumed)
    for ours, theirs in zip(first + rest, expected, strict=True):
        assert ours.keys() == theirs.keys() == {"images", "labels", "targets"}
        assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_first_epochs_are_of_smaller_images_and_the_others_as_they_were() -> None:
    def three_epochs(**early: Any) -> list[list[dict]]:
        augmentation = Augmentation(crop=1, flip=True, mixup=1.0)
        batches = ImageBatches(
            examples(), 5, shuffle=True, augmentation=augmentation, classes=4, seed=9, **early
        )
        return [all_of(batches) for _ in range(3)]

    early, whole = three_epochs(early_size=(3, 4), early_epochs=2), three_epochs()
    for epoch in range(3):
        for ours, theirs in zip(early[epoch], whole[epoch], strict=True):
            assert torch.equal(ours["targets"], theirs["targets"])
            expected = theirs["images"]
            if epoch < 2:
                expected = functional.interpolate(expected, size=(3, 4), mode="bilinear", antialias=True)
            torch.testing.assert_close(ours["images"], expected, rtol=0, atol=1e-6)


def test_another_seed_augments_in_another_way() -> None:
    one, other = (
        next(iter(ImageBatches(examples(), 5, augmentation=Augmentation(crop=2), classes=4, seed=seed)))
        for seed in (0, 1)
    )
    assert torch.equal(one["labels"], other["labels"])
    assert not torch.equal(one["images"], other["images"])


def test_images_are_augmented_on_the_device() -> None:
    """No accelerator is here; the meta device says where a tensor would be, and refuses to be waited for."""
    whole = Augmentation(crop=1, flip=True, colour=0.3, rand_augment=2, erase=0.9, mixup=1.0, cutmix=1.0)
    batch = next(iter(ImageBatches(examples(), 5, augmentation=whole, classes=4, device="meta")))
    assert {name: values.device.type for name, values in batch.items()} == dict.fromkeys(batch, "meta")


def test_the_bar_of_a_training_counts_batches_of_smaller_images_for_less() -> None:
    batches = ImageBatches(examples(), 5, early_size=(3, 4), early_epochs=2)
    bar, share = ProgressBar(batches), 12 / 30
    for steps, work in ((0, 0.0), (3, 3 * share), (5, 5 * share), (7, 7 * share), (11, 10 * share + 1)):
        assert bar.work_of(steps) == pytest.approx(work)
    assert ProgressBar(ImageBatches(examples(), 5)).work_of(7) == 7
