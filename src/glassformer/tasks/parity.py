"""Is the number of ones in a string of bits even or odd? Generated, and judged on unseen strings.

"0110" has two ones: even; "0111" has three: odd.
"""

from dataclasses import dataclass
from typing import Any

from glassformer.errors import UsageError
from glassformer.models.configs import RecurrentClassifierConfig, TextClassifierConfig
from glassformer.tasks.base import Prepared, Preset, Report
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.text_classification import TextClassification

CLASSES = ["even", "odd"]


@dataclass(frozen=True)
class ParityData:
    """Which strings there are, and who sees them."""

    bits: int = 16
    """Length of a string, bits."""
    strings: int = 65536
    """Distinct strings drawn at most; a length with fewer has all of them."""
    train_share: float = 0.5
    """Share of the strings to train on; the others are the test split, never trained on."""
    validation_share: float = 0.05
    """Share of the strings to train on that is held out to choose the best epoch."""

    def __post_init__(self) -> None:
        if not 2 <= self.bits <= 62:
            raise UsageError(f"bits={self.bits} is out of range; choose 2 to 62")
        if not 8 <= self.strings <= 1 << 22:
            raise UsageError(f"strings={self.strings} is out of range; choose 8 to {1 << 22}")
        for name in ("train_share", "validation_share"):
            if not 0 < getattr(self, name) < 1:
                raise UsageError(f"{name}={getattr(self, name)} leaves a split empty; choose 0.05 to 0.95")


class ParityTask(TextClassification):
    """A hard little task: flipping any one bit changes the answer."""

    name = "parity"
    summary = "bit strings: is the number of ones even or odd? (generated)"
    presets = {
        "cpu": Preset(
            cost="""glassformer train parity
test accuracy 0.999 (mean of seeds 0 to 4, lowest 0.998), about 20 s of training,
on two cores of an AMD EPYC, 2026-11-21""",
            config=TrainConfig(
                # ReLU, not GELU: the answer is a zigzag of the share of ones, and kinks make zigzags
                model=TextClassifierConfig(
                    layers=2,
                    heads=4,
                    d_model=32,
                    d_ff=128,
                    positions="none",
                    activation="relu",
                    embedding_std=1.0,
                ),
                data=ParityData(),
                # twice this rate still learns, four times it stays at chance
                optim=OptimConfig(learning_rate=5e-4),
                fit=FitConfig(epochs=25, batch_size=256, stop_above=0.999),
                precision="fp32",
            ),
        ),
        "recurrent": Preset(
            cost="""glassformer train parity --model.name recurrent
not measured""",
            config=TrainConfig(
                model=RecurrentClassifierConfig(cell="lstm", bidirectional=False, pool="last"),
                data=ParityData(),
                optim=OptimConfig(learning_rate=3e-3),
                fit=FitConfig(epochs=40, batch_size=128, stop_above=0.999),
                # its many small steps gain nothing from bf16, and two threads only wait for each other
                precision="fp32",
                threads=1,
            ),
        ),
    }
    default_preset = {"transformer": "cpu", "recurrent": "recurrent"}
    baseline_names = ("majority",)

    def prepare(self, config: TrainConfig[Any, Any], report: Report) -> Prepared:
        """Draws the strings by the seed and deals them out."""
        import hashlib

        import numpy as np

        from glassformer.baselines.cache import SplitSource
        from glassformer.data.encoded import Encoded, Examples
        from glassformer.data.splits import draw_distinct
        from glassformer.data.tokenizer import symbol_tokenizer

        data: ParityData = config.data
        generator = np.random.default_rng(config.seed)
        values = draw_distinct(generator, 1 << data.bits, data.strings)
        bits = (values[:, None] >> np.arange(data.bits)[::-1] & 1).astype(np.uint16)
        labels = bits.sum(1).astype(np.int64) % 2
        tokenizer = symbol_tokenizer("01")
        zero = tokenizer.get_vocab()["0"]
        encoded = Encoded(
            ids=(bits + zero).reshape(-1),
            offsets=np.arange(len(bits) + 1) * data.bits,
            hashes=values.astype(np.uint64),
        )
        trained = max(2, round(len(bits) * data.train_share))
        held_out = max(1, round(trained * data.validation_share))
        if not held_out < trained < len(bits):
            raise UsageError(
                f"{len(bits)} strings with train_share={data.train_share} and "
                f"validation_share={data.validation_share} leave a split empty; give more bits or strings"
            )
        rows = {
            "train": np.arange(held_out, trained),
            "validation": np.arange(held_out),
            "test": np.arange(trained, len(bits)),
        }
        checksum = hashlib.sha256(values.tobytes()).hexdigest()
        return Prepared(
            tokenizer=tokenizer,
            class_names=list(CLASSES),
            examples={split: Examples(encoded, chosen, labels[chosen]) for split, chosen in rows.items()},
            checksums=dict.fromkeys(rows, checksum),
            inputs={
                split: SplitSource(
                    f"{checksum} {split} {len(chosen)}",
                    lambda chosen=chosen: (
                        ["".join(map(str, row)) for row in bits[chosen].tolist()],
                        labels[chosen],
                    ),
                )
                for split, chosen in rows.items()
            },
        )

    def exist(self, config: TrainConfig[Any, Any]) -> int:
        """2^bits."""
        return 1 << config.data.bits

    def longest(self, config: TrainConfig[Any, Any]) -> int:
        """Bits of a string."""
        return config.data.bits

    def check_input(self, text: str, config: TrainConfig[Any, Any]) -> str:
        """A string of zeros and ones as long as those trained on, blanks allowed between them."""
        bits, length = "".join(text.split()), config.data.bits
        if len(bits) != length or set(bits) - {"0", "1"}:
            raise UsageError(f"{text!r} is not a string of {length} bits; give {length} zeros and ones")
        return bits

    def other_test(self, *args: Any, **kwargs: Any) -> Any:
        """Strings are generated, so there is no file to give."""
        raise UsageError(
            "parity makes its own strings and takes no --data.test file; evaluate the run without"
        )
