"""What a finished run left behind, read for a paper."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from glassformer.errors import DataError, UsageError
from glassformer.explain.architecture import Architecture, describe
from glassformer.models.configs import hidden_fields
from glassformer.tasks.base import PRETRAINED, Prepared, Report
from glassformer.tasks.config import MachineConfig
from glassformer.training.loaded import LoadedRun, load
from glassformer.training.run_folder import METRICS, PROVENANCE, SPLITS, read_json, require_same_data

SHOWN_CLASSES = 5


@dataclass(frozen=True)
class Record:
    """A run: its model, its figures and where they come from, its data where they are at hand.

    metrics, provenance: the run's own files. missing: why `prepared` is None.
    """

    run: LoadedRun
    metrics: dict[str, Any]
    provenance: dict[str, Any]
    prepared: Prepared | None
    missing: str

    @property
    def model_name(self) -> str:
        """transformer or recurrent, say."""
        return str(self.run.config.model.name)

    @property
    def model_words(self) -> str:
        """The same for people."""
        words = {
            "vit": "vision transformer",
            "recurrent": "recurrent network",
            PRETRAINED: "pretrained model" if self.fine_tuned else "model of a published one's sizes",
        }
        return words.get(self.model_name, self.model_name)

    @property
    def fine_tuned(self) -> bool:
        """Whether training began with weights that were there before."""
        return getattr(self.run.config.model, "start", None) == "published"

    @property
    def accuracy_word(self) -> str:
        """What the task calls its accuracy: exact match, where a whole sequence has to be right."""
        return self.run.task.headings[0].removeprefix("test ")

    def split_sizes(self) -> dict[str, int]:
        """Split -> examples; of train only where the data is at hand."""
        if self.prepared is not None:
            return {split: len(self.prepared.examples[split]) for split in SPLITS}
        return {split: self.metrics[split]["count"] for split in SPLITS if split in self.metrics}

    def class_counts(self) -> dict[str, list[int]] | None:
        """Split -> examples of each class, where there are classes and the data is at hand."""
        if self.prepared is None or not self.prepared.class_names:
            return None
        classes = len(self.prepared.class_names)
        return {
            split: np.bincount(np.asarray(part.labels), minlength=classes).tolist()  # type: ignore[attr-defined]
            for split, part in self.prepared.examples.items()
        }

    def differing_options(self) -> dict[str, tuple[Any, Any]]:
        """Option -> (its value, the preset's) where the run left the default preset of its model."""
        config, task = self.run.config, self.run.task
        preset = task.preset(None, self.model_name, "cpu")
        hidden, found = hidden_fields(type(config.model)), {}
        for part in ("model", "data", "optim", "fit"):
            own, usual = asdict(getattr(config, part)), asdict(getattr(preset, part))
            for name, value in own.items():
                if value != usual[name] and not (part == "model" and name in hidden):
                    found[f"{part}.{name}"] = (value, usual[name])
        return found

    def architecture(self, report: Report) -> Architecture:
        """The model as it runs, with its shapes."""
        task = self.run.task
        batch = task.example(self.run.config, report)
        return describe(self.run.model, batch, lambda model, batch: task.loss(model, batch, 0.0))


def read_record(folder: Path, machine: MachineConfig, data_dir: str | None, report: Report) -> Record:
    """A finished run. Raises UsageError where there is none, or one without test figures; DataError where it
    is broken."""
    run = load(folder, machine)
    run.task.require_answers("report")
    metrics, provenance = _figures(folder), read_json(folder / PROVENANCE)
    try:
        _require(metrics, provenance, run.task.headings[1][1])
    except (KeyError, TypeError, ValueError) as error:
        raise DataError(
            f"{folder / METRICS} or {PROVENANCE} is broken or of another version "
            f"({type(error).__name__}: {error}); train anew"
        ) from None
    config = run.config if data_dir is None else replace(run.config, data_dir=data_dir)
    prepared, missing = None, ""
    try:
        prepared = run.task.prepare(config, report)
        require_same_data(folder, prepared)
    except (UsageError, DataError) as error:
        prepared, missing = None, str(error)
    return Record(run, metrics, provenance, prepared, missing)


def _figures(folder: Path) -> dict[str, Any]:
    if not (folder / METRICS).is_file():
        raise UsageError(
            f"{folder} is not finished (it has no {METRICS}); finish it with: "
            f"glassformer train --resume {folder}"
        )
    metrics = read_json(folder / METRICS)
    if not isinstance(metrics, dict) or not isinstance(metrics.get("test"), Mapping):
        raise UsageError(
            f"{folder} has no test figures, as a trial of a search has none; train its configuration with "
            f"glassformer train TASK --config {folder / 'config.yaml'}, and report that run"
        )
    return metrics


def _require(metrics: dict[str, Any], provenance: dict[str, Any], other: str) -> None:
    """Touches what a paper cannot do without."""
    for split in [metrics["test"], *(baseline["test"] for baseline in metrics["baselines"].values())]:
        low, high = split["accuracy_ci95"]
        for value in (split["accuracy"], split["count"], low, high, split[other]):
            float(value)
    if "confusion" in metrics["test"]:
        metrics["test"]["classes"], metrics["test"]["per_class"]
    for value in (metrics["validation"]["accuracy"], metrics["parameters"], metrics["train_seconds"],
                  metrics["examples_per_second"], len(metrics["epoch_seconds"])):  # fmt: skip
        float(value)
    for entry in metrics.get("history") or ():
        float(entry["epoch"])
    for name in ("command", "versions", "data_sha256", "date", "seed"):
        provenance[name]
    for name in ("device", "precision", "threads"):
        provenance["choices"][name]
    for name in ("processor", "cores", "system"):
        provenance["machine"][name]
