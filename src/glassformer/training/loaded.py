"""A finished or stopped run, brought back: to predict, and to be judged."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer

from glassformer.data.encoded import Examples, encode_in_memory
from glassformer.errors import DataError, UsageError
from glassformer.tasks.base import Report
from glassformer.tasks.config import MachineConfig
from glassformer.training.fit import count_parameters
from glassformer.training.judge import judge, judge_baselines, probabilities
from glassformer.training.machine import prepare_machine
from glassformer.training.run_folder import METRICS, MODEL, TOKENIZER, read_config, read_json


@dataclass(frozen=True)
class Prediction:
    """What a model says of one input. probabilities: class name -> probability."""

    input: str
    label: str
    probabilities: dict[str, float]


def load(run: str | Path, machine: MachineConfig | None = None) -> "LoadedRun":
    """Brings back the best model of a run.

    Raises UsageError where there is no run, DataError where it is incomplete, broken or of another version.
    """
    return LoadedRun(Path(run), machine or MachineConfig())


class LoadedRun:
    """A run's best model, its tokeniser and its task. Made by `load`."""

    def __init__(self, folder: Path, machine: MachineConfig) -> None:
        self.folder = folder
        run = read_config(folder)
        self.task_name, self.task, self.class_names, self.config = (
            run.task_name,
            run.task,
            run.class_names,
            run.config,
        )
        for name in (MODEL, TOKENIZER):
            if not (folder / name).is_file():
                raise DataError(
                    f"{folder} is incomplete (it has no {name}); finish it with --resume or train anew"
                )
        try:
            self.tokenizer = Tokenizer.from_file(str(folder / TOKENIZER))
        except Exception as error:  # the library raises bare Exceptions
            raise DataError(f"{folder / TOKENIZER} is broken ({error}); train anew") from error
        facts: dict[str, Any] = {
            "vocab": self.tokenizer.get_vocab_size(),
            "classes": len(self.class_names),
        }
        if self.config.model.name == "transformer":
            facts["max_tokens"] = self.task.longest(self.config)
        self.model = self.task.build_model(replace(self.config.model, **facts))
        try:
            self.model.load_state_dict(load_file(folder / MODEL))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(
                f"{folder / MODEL} is broken or of another version ({reason}); train anew"
            ) from error
        # judged in the number format it was trained in, unless asked for another
        precision = self.config.precision if machine.precision == "auto" else machine.precision
        self.machine = prepare_machine(MachineConfig(machine.device, precision, machine.threads))
        self.model.to(self.machine.device).eval()

    def predict(self, inputs: Iterable[str]) -> list[Prediction]:
        """A prediction for each input, in order. Raises UsageError for an input that has none."""
        texts = list(inputs)
        if not texts:
            return []
        encoded = encode_in_memory(
            [self.task.check_input(text) for text in texts], self.tokenizer, self.task.longest(self.config)
        )
        examples = Examples(encoded, np.arange(len(texts)), np.zeros(len(texts), dtype=np.int64))
        batches = self.task.batches(examples, self.config, train=False)
        return [
            Prediction(
                text,
                self.class_names[int(row.argmax())],
                {name: float(p) for name, p in zip(self.class_names, row, strict=True)},
            )
            for text, row in zip(texts, probabilities(self.model, batches, self.machine), strict=True)
        ]

    def evaluate(
        self,
        test: str | None = None,
        columns: dict[str, str] | None = None,
        *,
        data_dir: str | None = None,
        baselines: bool = True,
        report: Report = print,
    ) -> tuple[dict[str, Any], list[str]]:
        """The figures of metrics.json, computed anew, and notes on them.

        test: another file to judge on, with `columns` {"text": ..., "label": ...}; else the run's own splits.
        """
        config = self.config if data_dir is None else replace(self.config, data_dir=data_dir)
        notes: list[str] = []
        try:
            prepared = self.task.prepare(config, report)
        except (UsageError, DataError) as error:
            if test is None:
                raise
            prepared = None
            notes.append(f"no baselines: the training data is not at hand ({error})")
        if test is None:
            assert prepared is not None
            examples = {split: prepared.examples[split] for split in ("validation", "test")}
            texts = {split: prepared.texts[split] for split in ("validation", "test")}
            notes += prepared.notes
        else:
            other, source = self.task.other_test(
                config, self.class_names, self.tokenizer, test, columns or {}
            )
            examples, texts = {"test": other}, {"test": source}
        batches = {split: self.task.batches(part, config, train=False) for split, part in examples.items()}
        metrics = {
            "schema_version": 1,
            "task": self.task_name,
            "seed": config.seed,
            "parameters": count_parameters(self.model),
            **judge(self.model, batches, self.class_names, self.machine),
            "baselines": {},
        }
        if baselines and prepared is not None:
            metrics["baselines"] = judge_baselines(
                self.task, prepared.texts["train"], texts, len(self.class_names), report
            )
        return metrics, notes

    @property
    def metrics(self) -> dict[str, Any]:
        """The run's own metrics.json. Raises DataError where the run is not finished."""
        return read_json(self.folder / METRICS)
