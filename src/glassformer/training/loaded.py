"""A finished or stopped run, brought back: to predict, and to be judged."""

import os
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from safetensors.torch import load_file
from tokenizers import Tokenizer
from torch import nn

from glassformer.data.splits import count_shared
from glassformer.errors import DataError, UsageError
from glassformer.tasks.base import Prepared, Report
from glassformer.tasks.config import MachineConfig, TrainConfig
from glassformer.training.judge import answers, count_parameters, judge, judge_baselines
from glassformer.training.machine import Machine, prepare_machine
from glassformer.training.run_folder import (
    MODEL,
    SCHEMA_VERSION,
    TOKENIZER,
    read_config,
    require_run,
    require_same_data,
    same_choices,
)


def load(run: str | Path, machine: MachineConfig | None = None) -> "LoadedRun":
    """Brings back the best model of a run.

    Raises UsageError where there is no run, DataError where it is incomplete, broken or of another version.
    """
    require_run(Path(run))
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
        self.tokenizer = self._open_tokenizer() if self.task.has_tokenizer else None
        self.model, self.machine = self._open_model(machine)

    @property
    def parameters(self) -> int:
        """Distinct trainable scalars of the model."""
        return count_parameters(self.model)

    def _open_tokenizer(self) -> Tokenizer:
        self._require(TOKENIZER)
        try:
            return Tokenizer.from_file(str(self.folder / TOKENIZER))
        except Exception as error:  # the library raises bare Exceptions
            raise DataError(f"{self.folder / TOKENIZER} is broken ({error}); train anew") from error

    def _open_model(self, machine: MachineConfig) -> tuple[nn.Module, Machine]:
        """The model, ready to be asked, and what it runs on."""
        self._require(MODEL)
        facts = self.task.facts(self.tokenizer, self.class_names, self.config)
        model = self.task.build_model(replace(self.config.model, **facts))
        try:
            model.load_state_dict(load_file(self.folder / MODEL))
        except (OSError, SafetensorError, RuntimeError) as error:
            reason = str(error).strip().splitlines()[0]
            raise DataError(
                f"{self.folder / MODEL} is broken or of another version ({reason}); train anew"
            ) from error
        if machine.precision == "auto":  # judged in the number format it was trained in
            precision = same_choices(self.folder, self.config).precision
            machine = MachineConfig(machine.device, precision, machine.threads)
        ready = prepare_machine(machine)
        return model.to(ready.device).eval(), ready

    def _require(self, name: str) -> None:
        if not (self.folder / name).is_file():
            raise DataError(
                f"{self.folder} is incomplete (it has no {name}); finish it with --resume or train anew"
            )

    def predict(
        self, inputs: Iterable[str], *, skip_bad: bool = False, report: Report = lambda line: None
    ) -> list[Any]:
        """A prediction for each input, in order: texts, or names of image files.

        Classes: objects with `input`, `label` and `probabilities`; sequences: with `input` and `output`.

        skip_bad: leave out images that cannot be read, which have no prediction; as in training otherwise.
        report: hears of what had to be done to an input, such as transparency put on white.
        Raises UsageError or DataError for an input that has no prediction.
        """
        if isinstance(inputs, str | bytes):
            raise UsageError("predict takes a list of inputs, not one alone; put it into a list")
        given = []
        for number, each in enumerate(inputs, start=1):
            if not isinstance(each, str | os.PathLike):
                raise UsageError(f"input {number} is {each!r:.40}, not a text; leave it out, or make it one")
            given.append(str(each))
        if not given:
            return []
        config = self.task.skipping_bad(self.config) if skip_bad else self.config
        examples, notes = self.task.encode(given, self.tokenizer, config)
        given = self.task.kept_inputs(given, examples)
        for note in notes:
            report(f"note: {note}")
        batches = self.task.batches(examples, self.config, train=False)
        said = answers(self.task, self.model, batches, self.machine)
        return self.task.predictions(given, said, self.class_names, self.tokenizer, self.config)

    def evaluate(
        self,
        test: str | None = None,
        columns: dict[str, str] | None = None,
        *,
        skip_bad: bool = False,
        data_dir: str | None = None,
        baselines: bool = True,
        report: Report = print,
    ) -> tuple[dict[str, Any], list[str]]:
        """The figures of metrics.json, computed anew, and notes on them.

        test: another file to judge on, with `columns` {"text": ..., "label": ...}; else the run's own splits.
        skip_bad: leave out its images that cannot be read.
        Raises UsageError, among others, where the run is not on images and skip_bad is set.
        """
        if wrong := set(columns or {}) - set(self.task.file_columns):
            named = ", ".join(f"--data.{name}" for name in self.task.file_columns) or "none"
            raise UsageError(f"{self.task_name} has no column called {min(wrong)}; its files have {named}")
        config = self.config if data_dir is None else replace(self.config, data_dir=data_dir)
        of_other = self.task.skipping_bad(config) if skip_bad else config
        prepared: Prepared | None
        if test is None:
            prepared = self._own_data(config, report)
            notes = list(prepared.notes)
            examples = {split: prepared.examples[split] for split in self.task.judged_splits}
            inputs = {split: prepared.inputs[split] for split in examples if split != "train"}
        else:  # which is refused, where it is, before the training data are looked at
            word = self.task.input_word
            other, source, notes_on_it = self.task.other_test(
                of_other, self.class_names, self.tokenizer, test, columns or {}
            )
            examples, inputs = {"test": other}, {"test": source}
            prepared, notes = None, []
            if baselines:
                try:
                    prepared = self._own_data(config, report)
                    notes = [
                        f"{shared:,} of {len(other):,} {word} of {test} stand in {split} too"
                        for split in ("train", "validation")
                        if (shared := count_shared(prepared.examples[split].hashes, other.hashes))
                    ]
                except (UsageError, DataError) as error:
                    notes = [f"no baselines, since the training data is not at hand: {error}"]
            else:
                notes = [f"not looked at without baselines: whether {word} of {test} stand in train too"]
            notes += notes_on_it
        batches = {split: self.task.batches(part, config, train=False) for split, part in examples.items()}
        metrics = {
            "schema_version": SCHEMA_VERSION,
            "task": self.task_name,
            "seed": config.seed,
            "parameters": self.parameters,
            **judge(self.task, self.model, batches, self.class_names, self.tokenizer, self.machine),
            "baselines": {},
        }
        if baselines and prepared is not None:
            metrics["baselines"] = judge_baselines(
                self.task, prepared.inputs["train"], inputs, self.class_names, config.seed, report
            )
        return metrics, notes

    def _own_data(self, config: TrainConfig[Any, Any], report: Report) -> Prepared:
        """The data of the training. Raises DataError where it has changed since, and as the task does."""
        prepared = self.task.prepare(config, report)
        require_same_data(self.folder, prepared)
        return prepared
