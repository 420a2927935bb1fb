"""Handwritten digits of 8x8 pixels, which come with scikit-learn: real images without a download."""

from typing import Any, Literal

from glassformer.models.configs import VisionTransformerConfig
from glassformer.tasks.base import Preset, Report
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.image_classification import ImageClassification, ImageData, Split, hold_out

TEST_SHARE, TEST_SEED = 0.2, 0
"""The data has no official test split; this one is the same for every run, so that runs compare."""


class DigitsTask(ImageClassification):
    """1,797 digits, a fifth of them to be judged on."""

    name = "digits"
    summary = "handwritten digits of 8x8 pixels (Alpaydin & Kaynak 1998; no download)"
    presets = {
        "cpu": Preset(
            cost="""glassformer train digits
test accuracy 0.982 (mean of seeds 0, 1, 2), 39 to 42 s of training
on two cores of an AMD EPYC, 2026-11-27""",
            config=TrainConfig(
                model=VisionTransformerConfig(
                    layers=4, heads=4, d_model=96, d_ff=192, patch=2, positions="sinusoidal"
                ),
                data=ImageData(crop=1),
                optim=OptimConfig(
                    name="muon",
                    learning_rate=3e-3,
                    muon_learning_rate=8e-3,
                    weight_decay=0.05,
                    warmup=0.1,
                    label_smoothing=0.1,
                ),
                fit=FitConfig(epochs=40, batch_size=64, average=0.98),
                precision="fp32",
            ),
        ),
    }
    default_preset = {"vit": "cpu"}

    def shape(self, config: TrainConfig[Any, Any]) -> tuple[Literal[1, 3], int, int]:
        """Grey, 8 by 8."""
        return 1, 8, 8

    def splits(
        self, config: TrainConfig[Any, Any], report: Report
    ) -> tuple[dict[str, Split], list[str], list[str]]:
        """A fixed test split, and a validation split held out of the rest by the seed."""
        from hashlib import sha256

        import numpy as np

        from glassformer.data.digits import digits_images

        images, labels = digits_images()
        names = [str(number) for number in range(10)]
        checksum = sha256(images.pixels.tobytes() + labels.tobytes()).hexdigest()
        whole = Split(images, np.arange(len(labels)), labels, checksum)
        dealt = hold_out(whole, TEST_SHARE, TEST_SEED, names, ("rest", "test"))
        held = hold_out(
            dealt["rest"], config.data.validation_share, config.seed, names, ("train", "validation")
        )
        return {**held, "test": dealt["test"]}, names, []
