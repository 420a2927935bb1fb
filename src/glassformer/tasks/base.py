"""What every task offers to the training loop and the command line. No torch at import time."""

import os
import shutil
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from glassformer.errors import UsageError, nearest
from glassformer.paths import require_path, user_path
from glassformer.tasks.config import TrainConfig

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from glassformer.baselines.cache import SplitSource

SHOWN = 60
"""Characters of an input that `predict` repeats."""

PRETRAINED = "pretrained"
"""The model name that `--model.pretrained` means."""

Report = Callable[[str], None]
"""Takes one line of what is going on, for the reader."""


class Examples(Protocol):
    """Some examples of a split; hashes, (examples,), tell equal inputs; take gives the examples of
    these numbers, in this order."""

    def __len__(self) -> int: ...
    def take(self, rows: Any) -> "Examples": ...
    @property
    def hashes(self) -> "np.ndarray": ...


class Batches(Protocol):
    """A loader with a position, so that a stopped run goes on with the very next batch.

    A batch is a dictionary of tensors with at least `labels`, one row an example. order: which example stands
    where.
    """

    order: "np.ndarray"

    @property
    def examples(self) -> Examples: ...
    @property
    def position(self) -> dict[str, int]: ...
    def go_to(self, position: dict[str, int]) -> None: ...
    def work(self, epoch: int) -> float: ...
    def __len__(self) -> int: ...
    def __iter__(self) -> Iterator[dict[str, Any]]: ...


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
    inputs: split name -> the inputs themselves, for the baselines; they are read only when needed.
    tokenizer: where there is text.
    """

    class_names: list[str]
    examples: Mapping[str, Examples]
    checksums: dict[str, str]
    notes: list[str] = field(default_factory=list)
    tokenizer: "Tokenizer | None" = None
    inputs: Mapping[str, "SplitSource"] = field(default_factory=dict)


def evenly(examples: int, count: int) -> list[int]:
    """Numbers of `count` examples, all of them where there are no more, spread over `examples`."""
    count = min(count, examples)
    return [(2 * place + 1) * examples // (2 * count) for place in range(count)]


class Task(ABC):
    """One task: its data, model, loss, presets, and how a prediction is shown."""

    name: str
    summary: str
    input_word: str
    """What an input is called where there are several: texts, images."""
    learns_from: tuple[str, str] | None = None
    """Where data.train, .validation and .test are paths of the user's: what the first has to be, and how the
    option's value is called, as ("a file", "FILE")."""
    has_tokenizer: bool = False
    """Whether inputs are cut into tokens of a vocabulary, which the run folder then holds."""
    presets: dict[str, Preset]
    default_preset: dict[str, str]
    """Model name -> the preset that is meant when none is named; the first model is the default one."""
    baseline_names: tuple[str, ...] = ()
    file_columns: tuple[str, ...] = ()
    """The columns of a file to be judged on that have names: text, label."""
    kept_by_loss: bool = False
    """Whether the validation loss, and not the accuracy, says which epoch is kept."""
    judged_splits: tuple[str, ...] = ("validation", "test")
    """The splits whose figures a run ends with."""
    counted: str = "examples"
    """What the count of a split's figures is of."""
    headings: tuple[str, tuple[str, str]] = ("test accuracy", ("calibration error", "calibration_error"))
    """What the table of results calls the accuracy, and its last column: heading and key of the figure."""

    def preset_name(self, name: str | None, model_name: str | None, device: str | None = None) -> str:
        """The preset that is meant: the named one, else the model's default, else the first model's.

        A task that has a preset called gpu takes it in place of cpu where there is one, unless another
        device is asked for.
        """
        default = self.default_preset[model_name or next(iter(self.default_preset))]
        wanted = device in (None, "auto", "cuda")
        if wanted and default == "cpu" and "gpu" in self.presets and _has_gpu():
            default = "gpu"
        return name or default

    def preset(
        self, name: str | None, model_name: str | None, device: str | None = None
    ) -> TrainConfig[Any, Any]:
        """The configuration to start from. Raises UsageError for an unknown or a contradictory choice."""
        if model_name is not None and model_name not in self.default_preset:
            raise UsageError(
                f"{self.name} has no model {model_name!r}; {nearest(model_name, list(self.default_preset))}"
            )
        name = self.preset_name(name, model_name, device)
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

    def given_paths(self, config: TrainConfig[Any, Any]) -> dict[str, str]:
        """Split -> the file or folder of the user's that it is read from, for those that are given.

        None for a task that does not learn from files of the user's; see `learns_from`. Raises UsageError
        where there is none to learn from.
        """
        if self.learns_from is None:
            return {}
        what, word = self.learns_from
        paths = {split: getattr(config.data, split) for split in ("train", "validation", "test")}
        if not paths["train"]:
            raise UsageError(
                f"{self.command(self.name)} needs {what} to learn from; give --data.train {word}"
            )
        return {split: os.fspath(path) for split, path in paths.items() if path}

    def require_data(self, config: TrainConfig[Any, Any]) -> None:
        """Raises UsageError or DataError for data of the user's that can be told to be of no use in a moment.

        Loads no torch: commands ask before they load what takes seconds. `prepare` says the same of data that
        nobody asked about.
        """
        for path in self.given_paths(config).values():
            require_path(path)

    def with_absolute_paths(self, config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """The same, so that a run can be opened from any folder, and on data found by the environment."""
        given = self.given_paths(config)
        absolute = {split: str(user_path(path).absolute()) for split, path in given.items()}
        return replace(config, data=replace(config.data, **absolute)) if absolute else config

    def with_published_sizes(self, config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """The same with the sizes of the published model that it names, if it names one.

        Raises UsageError and DataError where there is none, or none that fits the task.
        """
        return config

    def load_published(self, model: "nn.Module", config: TrainConfig[Any, Any], report: Report) -> None:
        """Puts the weights of the published model that the configuration names, if any, into a fresh one."""
        return None

    @abstractmethod
    def facts(
        self, tokenizer: "Tokenizer | None", class_names: list[str], config: TrainConfig[Any, Any]
    ) -> dict[str, int]:
        """What the model's configuration has to know of the data; see `glassformer.models.configs.FACTS`."""

    def sizes(self, config: TrainConfig[Any, Any], report: Report) -> dict[str, int]:
        """The facts of this data, which is read no further than they need."""
        prepared = self.prepare(config, report)
        return self.facts(prepared.tokenizer, prepared.class_names, config)

    def example(self, config: TrainConfig[Any, Any], report: Report) -> dict[str, Any]:
        """A small batch that `loss` takes, to see a model's shapes by: made up, or the first examples."""
        prepared = self.prepare(config, report)
        batch = next(iter(self.batches(prepared.examples["validation"], config, train=False)))
        return {name: None if part is None else part[:2] for name, part in batch.items()}

    @abstractmethod
    def build_model(self, model: Any) -> "nn.Module":
        """A model with fresh weights."""

    @abstractmethod
    def batches(self, examples: Any, config: TrainConfig[Any, Any], *, train: bool) -> Batches:
        """A loader: shuffled and augmented for training, in its best order for judging."""

    def in_training(self, model: "nn.Module", config: TrainConfig[Any, Any]) -> "nn.Module":
        """The module that is called in training: the model, or one around it with no other parameters."""
        return model

    @abstractmethod
    def loss(
        self, model: "nn.Module", batch: dict[str, Any], label_smoothing: float
    ) -> tuple["Tensor", "Tensor", int]:
        """(mean loss, number of correct answers, number of answers) of one batch."""

    @abstractmethod
    def answers(self, model: "nn.Module", batch: dict[str, Any]) -> "np.ndarray":
        """(examples, ...) what the model says of one batch, the same width whatever the batch."""

    @abstractmethod
    def figures(
        self,
        answers: "np.ndarray",
        examples: Any,
        class_names: list[str],
        tokenizer: "Tokenizer | None",
    ) -> dict[str, Any]:
        """How good these answers are, ready for JSON: accuracy, accuracy_ci95, count, and what fits."""

    def completed(self, figures: dict[str, Any]) -> dict[str, Any]:
        """The figures of all judged splits, with what can be said of them together."""
        return figures

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """Lines under the table of results, on what it does not hold."""
        return []

    @abstractmethod
    def baseline_figures(
        self,
        train: "SplitSource",
        splits: Mapping[str, "SplitSource"],
        class_names: list[str],
        seed: int,
        report: Report,
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """Baseline -> split -> its figures, fitted on train alone."""

    @abstractmethod
    def predictions(
        self,
        given: list[str],
        answers: "np.ndarray",
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        config: TrainConfig[Any, Any],
    ) -> list[Any]:
        """The answers to what a user gave, as objects whose fields `predict --json` prints."""

    @abstractmethod
    def told(self, prediction: Any) -> str:
        """A prediction on one line, for people."""

    def command(self, name: str) -> str:
        """What starts a run of this task, which goes by that name, after `glassformer`."""
        return f"train {name}"

    def require_answers(self, doing: str) -> None:
        """Raises UsageError where `doing`, explain say, has no meaning, since no input has a right answer."""
        return None

    def with_facts(self, config: TrainConfig[Any, Any], facts: dict[str, int]) -> TrainConfig[Any, Any]:
        """The configuration as a run keeps it: with facts of the data, where others need to read them."""
        return config

    def exist(self, config: TrainConfig[Any, Any]) -> int | None:
        """How many inputs there are, where they can be counted."""
        return None

    def told_of_training(self, config: TrainConfig[Any, Any], epochs: int) -> dict[str, Any]:
        """What else metrics.json tells of a training of so many epochs, for the learning curves to mark."""
        return {}

    def worked_example(self, config: TrainConfig[Any, Any]) -> str | None:
        """An input to show the trained model at work on, where one says more than figures."""
        return None

    def require_inputs(self, inputs: list[str]) -> None:
        """Raises UsageError where what a user gave to predict or explain names a file that is not there.

        Reads nothing: commands ask before they load what takes seconds.
        """
        return None

    def skipping_bad(self, config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """The same, but images that cannot be read are left out. Raises UsageError for a task without any."""
        raise UsageError(f"--skip-bad is for images, and {self.name} has none; leave it out")

    def kept_inputs(self, inputs: list[str], examples: Any) -> list[str]:
        """Those of the inputs that `encode` made examples of: all but what it was to leave out."""
        return inputs

    @abstractmethod
    def encode(
        self, inputs: list[str], tokenizer: "Tokenizer | None", config: TrainConfig[Any, Any]
    ) -> tuple[Examples, list[str]]:
        """What a user gave to predict, as examples without answers, and notes on it.

        Raises UsageError for an input that has no prediction.
        """

    def shown(self, given: str) -> str:
        """An input as `predict` repeats it: the beginning, on one line."""
        line = " ".join(given.split())
        return line if len(line) <= SHOWN else f"{line[: SHOWN - 3]}..."

    def pictures(
        self, config: TrainConfig[Any, Any], count: int, report: Report
    ) -> tuple[list[tuple[str, list[tuple["np.ndarray", str]]]], list[str]]:
        """Rows of (heading, pictures with their labels) of training examples, and notes on the data.

        A picture is (channels height width), uint8. Raises UsageError where a task has none.
        """
        raise UsageError(f"{self.name} has no pictures to show; choose a task on images, such as digits")

    def some_examples(
        self, prepared: Prepared, config: TrainConfig[Any, Any], count: int
    ) -> list[tuple[Any, str]]:
        """Validation examples, evenly spaced in the split, as people read them: (input, right answer).

        An input is a text or, for images, pixels: (channels height width), uint8.
        """
        return []

    @abstractmethod
    def other_test(
        self,
        config: TrainConfig[Any, Any],
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        file: str,
        columns: dict[str, str],
    ) -> tuple[Examples, "SplitSource", list[str]]:
        """Another file to judge a run on, and notes on it. Raises UsageError where the task takes none."""


def _has_gpu() -> bool:
    """Whether NVIDIA's driver is at work; torch would know better, but takes seconds to ask."""
    if os.environ.get("CUDA_VISIBLE_DEVICES", "0") in ("", "-1"):
        return False
    # Windows, and Linux within it, have the driver elsewhere
    drivers = (Path("/proc/driver/nvidia/version"), Path("/dev/dxg"))
    at_work = sys.platform == "win32" or any(driver.exists() for driver in drivers)
    return at_work and shutil.which("nvidia-smi") is not None
