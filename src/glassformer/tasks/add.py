"""Add two decimal numbers, a digit at a time. Generated, and judged on sums never trained on.

    58+964 -> 1022

The model reads both numbers with leading zeros, 058+964, and writes the sum from its last digit on, 2201: a
carry is then known before it is needed (Lee et al. 2024, 'Teaching arithmetic to small transformers').
"""

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glassformer.errors import UsageError
from glassformer.models.configs import EncoderDecoderConfig
from glassformer.tasks.base import Preset
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.generated import GeneratedData, GeneratedTask

if TYPE_CHECKING:
    import numpy as np

PLUS = 10
"""The symbol behind the ten digits."""


@dataclass(frozen=True)
class AddData(GeneratedData):
    """Which sums there are, which are seen, and which are judged."""

    digits: int = 3
    """Digits of each number at most."""
    sequences: int = 20000
    """Distinct sums drawn to learn from, half of those that exist at most; the others stay unseen."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 1 <= self.digits <= 9:
            raise UsageError(f"digits={self.digits} is out of range; choose 1 to 9")


class AddTask(GeneratedTask):
    """The sum of two numbers of so many digits."""

    name = "add"
    summary = "decimal addition, digit by digit (generated)"
    presets = {
        "cpu": Preset(
            cost="""glassformer train add
exact match 1.0000, 0.9999, 1.0000 on unseen sums (seeds 0, 1, 2), 94 to 143 s of training
on one core of an AMD EPYC, 2026-11-25""",
            config=TrainConfig(
                # with sinusoidal ones, one seed of three did not learn to carry
                model=EncoderDecoderConfig(encoder_layers=1, decoder_layers=1, positions="learned"),
                data=AddData(),
                optim=OptimConfig(learning_rate=3e-3),
                fit=FitConfig(epochs=30, batch_size=256),
                # its many small steps gain nothing from bf16, and two threads only wait for each other
                precision="fp32",
                threads=1,
            ),
        ),
    }
    default_preset = {"encoder-decoder": "cpu"}

    def longest(self, config: TrainConfig[Any, Any]) -> tuple[int, int]:
        """Two numbers and a plus; one digit more than either."""
        return 2 * config.data.digits + 1, config.data.digits + 1

    def exist(self, config: TrainConfig[Any, Any]) -> int:
        """Pairs of numbers, in this order."""
        return 10 ** (2 * config.data.digits)

    def symbols(self, config: TrainConfig[Any, Any]) -> tuple[list[str], bool]:
        """The digits and the plus."""
        return list("0123456789+"), True

    def pairs(
        self, numbers: "np.ndarray", config: TrainConfig[Any, Any]
    ) -> tuple["np.ndarray", "np.ndarray"]:
        """Leading zeros in the source; the target from its last digit on."""
        import numpy as np

        digits = config.data.digits
        first, second = np.divmod(numbers, 10**digits)
        powers = 10 ** np.arange(digits + 1, dtype=np.int64)
        a, b, total = (each[:, None] // powers % 10 for each in (first, second, first + second))
        plus = np.full((len(numbers), 1), PLUS)
        return np.concatenate([a[:, -2::-1], plus, b[:, -2::-1]], axis=1), total

    def source_tokens(self, text: str, config: TrainConfig[Any, Any]) -> str:
        """Two numbers with a plus between them, blanks allowed."""
        digits = config.data.digits
        plain = "".join(text.split())
        if wrong := set(plain) - set("0123456789+"):
            raise UsageError(
                f"{min(wrong)!r} in {text!r} is not in the alphabet; give two numbers as in 12+345"
            )
        if not (parts := re.fullmatch(r"(\d+)\+(\d+)", plain)):
            raise UsageError(f"{text!r} is not a sum of two numbers; give one as in 12+345")
        a, b = (part.lstrip("0") or "0" for part in parts.groups())
        if max(len(a), len(b)) > digits:
            raise UsageError(
                f"{text!r} has a number of more than {digits} digits; give smaller ones, or train a run with "
                f"--data.digits {max(len(a), len(b))}"
            )
        return f"{a:0>{digits}}+{b:0>{digits}}"

    def source_text(self, tokens: list[str], config: TrainConfig[Any, Any]) -> str:
        """The digits without blanks."""
        return "".join(tokens)

    def written(self, tokens: list[str], given: str, config: TrainConfig[Any, Any]) -> str:
        """The digits turned round, without leading zeros."""
        return "".join(reversed(tokens)).lstrip("0") or "0"

    def worked_example(self, config: TrainConfig[Any, Any]) -> str | None:
        """With a carry."""
        digits = config.data.digits
        return f"{'958'[-digits:]}+{'64'[-digits:]}"
