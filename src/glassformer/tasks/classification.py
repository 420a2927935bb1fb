"""What the tasks on classes share: loss, probabilities, their figures, baselines. No torch at import time."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassformer.errors import UsageError
from glassformer.tasks.base import PRETRAINED, Report, Task
from glassformer.tasks.config import TrainConfig

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from glassformer.baselines.cache import SplitSource

OTHERS_TOLD = 4
"""Classes that `predict` names beside the answer."""


@dataclass(frozen=True)
class Prediction:
    """What a model says of one input. probabilities: class name -> probability."""

    input: str
    label: str
    probabilities: dict[str, float]


class Classification(Task):
    """A task whose examples, each in one of several classes, have `labels`: (examples,) class numbers."""

    baseline_names = ("majority",)

    def with_published_sizes(self, config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """The sizes of the published model; refused where it does not fit the data."""
        if config.model.name != PRETRAINED:
            return config
        from glassformer.pretrained.loading import with_sizes
        from glassformer.pretrained.sources import find, run_config

        source = find(config.model.pretrained)
        config = replace(config, model=with_sizes(config.model, source))
        self.require_published_fit(config)
        if source.checkpoint is None and config.model.start == "published":
            from glassformer.tasks.corpus import require_unseen

            require_unseen(source.name, run_config(source.folder), self.name, config)
        return config

    def require_published_fit(self, config: TrainConfig[Any, Any]) -> None:
        """Raises UsageError where the published model that it names is not for these data."""
        raise UsageError(f"{self.name} has no pretrained models")

    def load_published(self, model: Any, config: TrainConfig[Any, Any], report: Report) -> None:
        """Puts what was published under a fresh classifier."""
        if config.model.name != PRETRAINED or config.model.start == "random":
            return
        from glassformer.pretrained.loading import start_from
        from glassformer.pretrained.sources import find

        source = find(config.model.pretrained)
        fresh = start_from(model, source)
        report(f"starting from {source.name} ({source.architecture}); fresh: {', '.join(fresh)}")

    @abstractmethod
    def logits(self, model: "nn.Module", batch: dict[str, Any]) -> "Tensor":
        """(examples classes) of one batch."""

    def loss(
        self, model: "nn.Module", batch: dict[str, Any], label_smoothing: float
    ) -> tuple["Tensor", "Tensor", int]:
        """(mean loss, number of correct answers, number of answers) of one batch.

        Cross-entropy with label smoothing (Szegedy et al. 2016, section 7), in fp32; against the batch's
        `targets`, (examples classes), where it has any: those of mixed examples.
        """
        from torch.nn.functional import cross_entropy

        logits = self.logits(model, batch).float()
        labels = batch["labels"]
        loss = cross_entropy(logits, batch.get("targets", labels), label_smoothing=label_smoothing)
        return loss, (logits.argmax(1) == labels).sum(), len(logits)

    def answers(self, model: "nn.Module", batch: dict[str, Any]) -> "np.ndarray":
        """(examples classes) probabilities of one batch."""
        return self.logits(model, batch).float().cpu().double().softmax(1).numpy()

    def figures(
        self,
        answers: "np.ndarray",
        examples: Any,
        class_names: list[str],
        tokenizer: "Tokenizer | None",
    ) -> dict[str, Any]:
        """See `glassformer.evaluation.classification_report`."""
        from glassformer.evaluation import classification_report

        return classification_report(answers, examples.labels, class_names)

    def baseline_figures(
        self,
        train: "SplitSource",
        splits: Mapping[str, "SplitSource"],
        class_names: list[str],
        seed: int,
        report: Report,
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """Fitted once on the same data and remembered; see `glassformer.baselines.cache`."""
        from glassformer.baselines.cache import baseline_scores
        from glassformer.cache import cache_folder

        return baseline_scores(
            self.baseline_names,
            train,
            splits,
            len(class_names),
            cache=cache_folder() / "baselines",
            seed=seed,
            progress=report,
        )

    def predictions(
        self,
        given: list[str],
        answers: "np.ndarray",
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        config: TrainConfig[Any, Any],
    ) -> list[Prediction]:
        """Each input with its likeliest class and all probabilities."""
        return [
            Prediction(
                each,
                class_names[int(row.argmax())],
                {name: float(p) for name, p in zip(class_names, row, strict=True)},
            )
            for each, row in zip(given, answers, strict=True)
        ]

    def told(self, prediction: Prediction) -> str:
        """The class, the probabilities of it and of the likeliest others, and the beginning of the input."""
        others = {name: p for name, p in prediction.probabilities.items() if name != prediction.label}
        ranked = sorted(others, key=others.__getitem__, reverse=True)
        named = ranked if len(ranked) == OTHERS_TOLD + 1 else ranked[:OTHERS_TOLD]  # '1 more' is no shorter
        shares = [f"{name} {others[name]:.1%}" for name in named]
        if rest := ranked[len(named) :]:
            shares.append(f"{len(rest)} more {sum(others[name] for name in rest):.1%}")
        own = prediction.probabilities[prediction.label]
        return f"{prediction.label} {own:.1%} ({', '.join(shares)}): {self.shown(prediction.input)}"

    def label_numbers(self, words: list[str], class_names: list[str], path: Path) -> "np.ndarray":
        """(rows,) class numbers of the labels in a file or a folder."""
        from glassformer.data.labels import number_labels

        return number_labels(words, class_names, path)
