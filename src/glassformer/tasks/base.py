"""What every task offers to the training loop and the command line. No torch at import time."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from glassformer.errors import UsageError, nearest
from glassformer.tasks.config import TrainConfig

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from glassformer.baselines.cache import TextSource
    from glassformer.data.batches import TextBatches
    from glassformer.data.encoded import Examples

Report = Callable[[str], None]
"""Takes one line of what is going on, for the reader."""


@dataclass(frozen=True)
class Preset:
    """A configuration that was run, and what came of it."""

    cost: str
    """The command, the expected figure, the time and the machine it was measured on."""
    config: TrainConfig[Any, Any]


@dataclass(frozen=True)
class Prepared:
    """A task's data, ready to be trained on.

    examples: split name (train, validation, test) -> examples. checksums: split -> SHA-256 of its source.
    notes: what a reader of the results has to know, such as duplicates across splits.
    texts: split name -> the texts themselves, for the baselines; they are read only when needed.
    """

    tokenizer: "Tokenizer"
    class_names: list[str]
    examples: dict[str, "Examples"]
    checksums: dict[str, str]
    notes: list[str] = field(default_factory=list)
    texts: Mapping[str, "TextSource"] = field(default_factory=dict)


class Task(ABC):
    """One task: its data, model, loss, presets, and how a prediction is shown."""

    name: str
    summary: str
    presets: dict[str, Preset]
    default_preset: dict[str, str]
    """Model name -> the preset that is meant when none is named; the first model is the default one."""
    baseline_names: tuple[str, ...] = ("majority",)

    def preset_name(self, name: str | None, model_name: str | None) -> str:
        """The preset that is meant: the named one, else the model's default, else the first model's."""
        return name or self.default_preset[model_name or next(iter(self.default_preset))]

    def preset(self, name: str | None, model_name: str | None) -> TrainConfig[Any, Any]:
        """The configuration to start from. Raises UsageError for an unknown or a contradictory choice."""
        if model_name is not None and model_name not in self.default_preset:
            raise UsageError(
                f"{self.name} has no model {model_name!r}; {nearest(model_name, list(self.default_preset))}"
            )
        name = self.preset_name(name, model_name)
        if name not in self.presets:
            raise UsageError(f"{self.name} has no preset {name!r}; {nearest(name, list(self.presets))}")
        config = self.presets[name].config
        if model_name is not None and config.model.name != model_name:
            raise UsageError(
                f"preset {name} is for model.name={config.model.name}, but model.name={model_name} was asked "
                f"for; choose preset {self.default_preset[model_name]}"
            )
        return config

    @abstractmethod
    def prepare(self, config: TrainConfig[Any, Any], report: Report) -> Prepared:
        """Finds, checks, splits and encodes the data."""

    def with_absolute_paths(self, config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """The same, so that a run can be opened from any folder, and on data found by the environment."""
        return config

    @abstractmethod
    def facts(
        self, tokenizer: "Tokenizer", class_names: list[str], config: TrainConfig[Any, Any]
    ) -> dict[str, int]:
        """What the model's configuration has to know of the data; see `glassformer.models.configs.FACTS`."""

    @abstractmethod
    def longest(self, config: TrainConfig[Any, Any]) -> int:
        """Tokens of the longest input."""

    @abstractmethod
    def build_model(self, model: Any) -> "nn.Module":
        """A model with fresh weights."""

    @abstractmethod
    def batches(self, examples: "Examples", config: TrainConfig[Any, Any], *, train: bool) -> "TextBatches":
        """A loader: shuffled and augmented for training, in its best order for judging."""

    @abstractmethod
    def loss(
        self, model: "nn.Module", batch: dict[str, Any], label_smoothing: float
    ) -> tuple["Tensor", "Tensor", int]:
        """(mean loss, number of correct answers, number of answers) of one batch."""

    @abstractmethod
    def check_input(self, text: str, config: TrainConfig[Any, Any]) -> str:
        """What a user gave to predict, in the form to encode. Raises UsageError where there is none."""

    @abstractmethod
    def other_test(
        self,
        config: TrainConfig[Any, Any],
        class_names: list[str],
        tokenizer: "Tokenizer",
        file: str,
        columns: dict[str, str],
    ) -> tuple["Examples", "TextSource"]:
        """Another file to judge a run on. Raises UsageError where the task takes none."""
