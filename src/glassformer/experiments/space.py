"""What a search may choose: the options of a training, and the values each may take."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from glassformer.errors import UsageError
from glassformer.experiments.plan import option_and_values
from glassformer.tasks.base import PRETRAINED
from glassformer.tasks.config import TrainConfig

if TYPE_CHECKING:
    from optuna import Trial


@dataclass(frozen=True)
class Choices:
    """One of some values, each as it is written on the command line."""

    values: tuple[str, ...]

    def suggest(self, trial: "Trial", option: str) -> str:
        return trial.suggest_categorical(option, list(self.values))

    def ends(self) -> tuple[str, ...]:
        """Values of which each has to be one that the option takes."""
        return self.values

    def __str__(self) -> str:
        return ", ".join(self.values)


@dataclass(frozen=True)
class Range:
    """A number from low to high, on a logarithmic scale where `log`; a whole one where `whole`."""

    low: float
    high: float
    log: bool = False
    whole: bool = False

    def suggest(self, trial: "Trial", option: str) -> str:
        if self.whole:
            return str(trial.suggest_int(option, int(self.low), int(self.high), log=self.log))
        return f"{trial.suggest_float(option, self.low, self.high, log=self.log):.4g}"

    def ends(self) -> tuple[str, ...]:
        """The two; what lies between them is as good."""
        return tuple(str(int(end)) if self.whole else f"{end:.4g}" for end in (self.low, self.high))

    def __str__(self) -> str:
        return f"{self.low:g} to {self.high:g}" + " (logarithmic)" * self.log


Space = Mapping[str, Choices | Range]


def same_data(space: Space) -> bool:
    """Whether all trials see the same data in the same patches, so that these can be asked for beforehand."""
    return not any(option.startswith("data.") or option == "model.patch" for option in space)


def parse_search(words: Sequence[str]) -> dict[str, Choices | Range]:
    """('model.layers=1,2,4', 'optim.learning_rate=1e-4..1e-2') to the values each option may take.

    A range with two ends of one sign is logarithmic where the larger is at least ten times the smaller; it is
    of whole numbers where both ends are written as such. Raises UsageError for what is neither.
    """
    space: dict[str, Choices | Range] = {}
    for word in words:
        option, values = option_and_values(word)
        if not option or "=" not in word:
            raise UsageError(f"--search {word} is no OPTION=VALUES; write model.layers=1,2 or dropout=0..0.3")
        if option in space:
            raise UsageError(f"--search names {option} twice; give its values once")
        space[option] = _range(option, values) if ".." in values else _choices(option, values)
    return space


def _choices(option: str, values: str) -> Choices:
    listed = tuple(value.strip() for value in values.split(","))
    if not all(listed) or len(set(listed)) < len(listed):
        raise UsageError(f"--search {option}={values} has an empty value or one twice; give each once")
    return Choices(listed)


def _range(option: str, values: str) -> Range:
    ends = values.split("..")
    try:
        low, high = (float(end) for end in ends)
    except ValueError:
        raise UsageError(f"--search {option}={values} is no range of numbers; write 1e-4..1e-2") from None
    if not low < high < float("inf"):
        raise UsageError(f"--search {option}={values} has no room between its ends; give the lower one first")
    whole = all(re.fullmatch(r"[+-]?\d+", end.strip()) for end in ends)
    return Range(low, high, log=low > 0 and high >= 10 * low, whole=whole)


def usual_space(config: TrainConfig[Any, Any]) -> dict[str, Choices | Range]:
    """What is searched where nothing is said: around the preset's own values, sizes included."""
    known = {field.name for field in fields(config.model)}
    if config.model.name == PRETRAINED:
        known -= {"layers", "d_model", "heads"}  # of the checkpoint
    model, rate = config.model, config.optim.learning_rate
    space: dict[str, Choices | Range] = {
        "optim.learning_rate": Range(rate / 8, rate * 4, log=True),
        "optim.weight_decay": Range(1e-4, 0.3, log=True),
    }
    for name in ("layers", "encoder_layers", "decoder_layers"):
        if name in known:
            space[f"model.{name}"] = Choices(("1", "2", "3", "4"))
    if "d_model" in known:
        # halved and doubled alone, so that what divides the preset's width divides these too
        space["model.d_model"] = Choices(tuple(str(model.d_model * k // 2) for k in (1, 2, 4)))
    if "heads" in known:
        space["model.heads"] = Choices(tuple(str(n) for n in (1, 2, 4) if model.d_model // 2 % n == 0))
    if "dropout" in known:
        space["model.dropout"] = Range(0.0, 0.3)
    if "positions" in known:
        space["model.positions"] = Choices(("none", "sinusoidal", "learned"))
    if "pool" in known:
        kinds = ("mean", "last", "max") if model.name == "recurrent" else ("mean", "cls", "max")
        space["model.pool"] = Choices(kinds)
    return space
