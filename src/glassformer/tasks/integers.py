"""What `reverse`, `sort` and `copy` share: sequences of integers, and their answers."""

import math
import re
from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glassformer.errors import UsageError
from glassformer.models.configs import require_positive
from glassformer.tasks.config import TrainConfig
from glassformer.tasks.generated import MOST, GeneratedData, GeneratedTask

if TYPE_CHECKING:
    import numpy as np


@dataclass(frozen=True)
class IntegersData(GeneratedData):
    """Which sequences there are, which are seen, and which are judged."""

    length: int = 5
    """Integers of a sequence."""
    shortest: int = 0
    """Integers of the shortest sequence; 0 makes all equally long."""
    alphabet: int = 9
    """Sequences hold the integers 1 to this one."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "length", "alphabet")
        if not 0 <= self.shortest <= self.length:
            raise UsageError(
                f"shortest={self.shortest} is out of range; choose 1 to {self.length}, or 0 for that length"
            )
        if self.length * math.log2(self.alphabet) > math.log2(MOST) - 1:
            raise UsageError(
                f"alphabet={self.alphabet} and length={self.length} make more than 2^61 sequences; "
                "choose a smaller alphabet or length"
            )

    @property
    def lengths(self) -> range:
        """Every length there is."""
        return range(self.shortest or self.length, self.length + 1)


class IntegersTask(GeneratedTask):
    """An answer to every sequence of integers 1 to `alphabet`."""

    @abstractmethod
    def answered(self, integers: "np.ndarray") -> "np.ndarray":
        """(sequences length) -> (sequences length)"""

    def longest(self, config: TrainConfig[Any, Any]) -> tuple[int, int]:
        """Both of the longest length."""
        return config.data.length, config.data.length

    def exist(self, config: TrainConfig[Any, Any]) -> int:
        """alphabet^length, summed over the lengths."""
        return sum(config.data.alphabet**length for length in config.data.lengths)

    def symbols(self, config: TrainConfig[Any, Any]) -> tuple[list[str], bool]:
        """The integers, with blanks between them."""
        return [str(number) for number in range(1, config.data.alphabet + 1)], False

    def pairs(
        self, numbers: "np.ndarray", config: TrainConfig[Any, Any]
    ) -> tuple["np.ndarray", "np.ndarray"]:
        """The digits of each number to the base `alphabet`, shorter lengths first."""
        import numpy as np

        data = config.data
        sources = np.full((len(numbers), data.length), -1)
        targets = sources.copy()
        first = 0
        for length in data.lengths:
            exist = data.alphabet**length
            rows = np.flatnonzero((numbers >= first) & (numbers < first + exist))
            powers = data.alphabet ** np.arange(length, dtype=np.int64)[::-1]
            integers = (numbers[rows, None] - first) // powers % data.alphabet
            sources[rows, :length], targets[rows, :length] = integers, self.answered(integers)
            first += exist
        return sources, targets

    def source_tokens(self, text: str, config: TrainConfig[Any, Any]) -> str:
        """Integers with blanks or commas between them, in brackets or not."""
        data = config.data
        words = re.split(r"[\s,]+", text.strip().removeprefix("[").removesuffix("]").strip())
        known = set(self.symbols(config)[0])
        if words == [""]:
            raise UsageError(
                f"{text!r} holds no integer; give {self._lengths(config)} of 1 to {data.alphabet}"
            )
        if wrong := [word for word in words if word not in known]:
            raise UsageError(
                f"{wrong[0]!r} in {text!r} is not in the alphabet; give integers of 1 to {data.alphabet}, "
                "blanks or commas between them"
            )
        if len(words) not in data.lengths:
            raise UsageError(
                f"{text!r} has {len(words)} integer{'s' * (len(words) > 1)}, the run knows sequences of "
                f"{self._lengths(config)}; give that many, or train one with --data.length {len(words)}"
            )
        return " ".join(words)

    @staticmethod
    def _lengths(config: TrainConfig[Any, Any]) -> str:
        lengths = config.data.lengths
        return str(lengths[0]) if len(lengths) == 1 else f"{lengths[0]} to {lengths[-1]}"

    def written(self, tokens: list[str], given: str, config: TrainConfig[Any, Any]) -> str:
        """As a list in brackets where the input was one."""
        return f"[{', '.join(tokens)}]" if given.strip().startswith("[") else " ".join(tokens)

    def worked_example(self, config: TrainConfig[Any, Any]) -> str | None:
        """[3, 5, 2, 4, 1], or as much of it as fits."""
        data = config.data
        integers = [(each - 1) % data.alphabet + 1 for each in (3, 5, 2, 4, 1)]
        integers = (integers * data.length)[: data.length]
        return str(integers)
