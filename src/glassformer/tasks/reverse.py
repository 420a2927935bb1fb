"""Reverse a sequence of integers. Generated, and judged on every sequence never trained on.

[3, 5, 2, 4, 1] -> [1, 4, 2, 5, 3]
"""

from typing import TYPE_CHECKING

from glassformer.models.configs import EncoderDecoderConfig
from glassformer.tasks.base import Preset
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.integers import IntegersData, IntegersTask

if TYPE_CHECKING:
    import numpy as np


class ReverseTask(IntegersTask):
    """The same integers from the last to the first."""

    name = "reverse"
    summary = "integers: the same integers from the last to the first (generated)"
    presets = {
        "cpu": Preset(
            cost="""glassformer train reverse
all 59,049 sequences right with each of seeds 0 to 4, 24 to 30 s of training
on one core of an AMD EPYC, 2026-11-25""",
            config=TrainConfig(
                model=EncoderDecoderConfig(encoder_layers=1, decoder_layers=1),
                data=IntegersData(),
                optim=OptimConfig(learning_rate=3e-3),
                fit=FitConfig(epochs=25, batch_size=128),
                # its many small steps gain nothing from bf16, and two threads only wait for each other
                precision="fp32",
                threads=1,
            ),
        ),
    }
    default_preset = {"encoder-decoder": "cpu"}

    def answered(self, integers: "np.ndarray") -> "np.ndarray":
        """The same integers from the last to the first."""
        return integers[:, ::-1]
