"""The board of the smallest models: one line a model that made it, with its weights to check it by.

A board is a folder: board.json, and a run folder for each entry, which `glassformer evaluate` and `predict`
take like any other.
"""

import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import nn

from glassformer.errors import DataError, UsageError
from glassformer.tasks.base import Prepared, Report, Task
from glassformer.tasks.config import MachineConfig, TrainConfig
from glassformer.training.callbacks import save_model
from glassformer.training.fit import count_parameters
from glassformer.training.judge import judge
from glassformer.training.loaded import load
from glassformer.training.machine import Machine
from glassformer.training.provenance import machine, provenance
from glassformer.training.run_folder import (
    METRICS,
    PROVENANCE,
    SCHEMA_VERSION,
    TOKENIZER,
    read_json,
    write_config,
    write_json,
)

BOARD = "board.json"
SPLITS = ("train", "validation", "test")
WIDTH = 110


@dataclass(frozen=True)
class Judged:
    """What a model gets right. Shares; `all` is over every split."""

    all: float
    count_all: int
    unseen: float
    count_unseen: int
    figures: dict[str, Any]


def judge_all(
    task: Task, model: nn.Module, prepared: Prepared, config: TrainConfig[Any, Any], chosen: Machine
) -> Judged:
    """Over every sequence there is: trained on, held out, unseen."""
    batches = {split: task.batches(prepared.examples[split], config, train=False) for split in SPLITS}
    figures = judge(task, model, batches, prepared.class_names, prepared.tokenizer, chosen)
    count = sum(figures[split]["count"] for split in SPLITS)
    correct = sum(round(figures[split]["accuracy"] * figures[split]["count"]) for split in SPLITS)
    test = figures["test"]
    return Judged(correct / count, count, test["accuracy"], test["count"], figures)


def read_board(folder: Path) -> list[dict[str, Any]]:
    """The entries, fewest parameters first; none where there is no board.

    Raises DataError for a broken one.
    """
    if not (folder / BOARD).exists():
        return []
    content = read_json(folder / BOARD)
    if content.get("schema_version") != SCHEMA_VERSION or not isinstance(content.get("entries"), list):
        raise DataError(f"{folder / BOARD} is broken or of another version; search anew in another folder")
    return content["entries"]


def add_entry(
    folder: Path,
    facts: dict[str, Any],
    task_name: str,
    task: Task,
    model: nn.Module,
    prepared: Prepared,
    config: TrainConfig[Any, Any],
    judged: Judged,
) -> dict[str, Any]:
    """Writes the run folder of a model, then the board with its line; gives the line."""
    parameters = count_parameters(model)
    name = f"{parameters}-{facts['id']}"
    run = folder / name
    shutil.rmtree(run, ignore_errors=True)  # of a search that was stopped between the two
    run.mkdir(parents=True)
    write_config(run, task_name, config, prepared.class_names)
    if prepared.tokenizer is not None:
        prepared.tokenizer.save(str(run / TOKENIZER))
    save_model(model, run)
    choices = {"device": "cpu", "precision": "fp32", "threads": 1}
    about = provenance(task_name, config.seed, prepared.checksums, choices) | {"command": facts["command"]}
    write_json(run / PROVENANCE, about)
    test, validation = judged.figures["test"], judged.figures["validation"]
    metrics = {
        "schema_version": SCHEMA_VERSION,
        "task": task_name,
        "seed": config.seed,
        "parameters": parameters,
    }
    metrics |= {"validation": validation, "test": test, "baselines": {}}
    write_json(run / METRICS, metrics)
    entry: dict[str, Any] = {
        "run": name,
        "task": task_name,
        "parameters": parameters,
        "accuracy_all": judged.all,
        "count_all": judged.count_all,
        "accuracy_unseen": judged.unseen,
        "count_unseen": judged.count_unseen,
        **{key: value for key, value in facts.items() if key != "id"},
        "date": about["date"],
        "machine": machine(),
    }
    entries = [each for each in read_board(folder) if each["run"] != name]
    entries = sorted([*entries, entry], key=lambda each: each["parameters"])
    write_json(folder / BOARD, {"schema_version": SCHEMA_VERSION, "entries": entries})
    return entry


def verify(folder: Path, report: Report) -> list[str]:
    """Judges every entry anew from its weights, on every sequence; gives what is wrong, a line each.

    Raises UsageError where there is no board.
    """
    entries = read_board(folder)
    if not entries:
        raise UsageError(f"{folder} holds no board (no {BOARD} with entries); give the folder of a search")
    wrong = []
    for entry in entries:
        # a name, not a path: the file may be somebody else's
        name = Path(str(entry.get("run", ""))).name
        try:
            run = load(folder / name, MachineConfig(device="cpu", precision="fp32", threads=1))
            prepared = run.task.prepare(run.config, lambda line: None)
            judged = judge_all(run.task, run.model, prepared, run.config, run.machine)
            found = {
                "parameters": count_parameters(run.model),
                "accuracy_all": judged.all,
                "count_all": judged.count_all,
                "accuracy_unseen": judged.unseen,
                "count_unseen": judged.count_unseen,
            }
            differs = [
                f"{key} is {value}, not {entry.get(key)}"
                for key, value in found.items()
                if entry.get(key) != value
            ]
            if not min(judged.all, judged.unseen) > entry.get("above", 1):
                differs.append(f"not above {entry.get('above')}")
            trained = len(prepared.examples["train"]) + len(prepared.examples["validation"])
            if 2 * trained > judged.count_all:
                differs.append("more than half of the sequences were trained on")
        except (UsageError, DataError) as error:
            differs = [str(error)]
        good = f"verified on {entry.get('count_all'):,} sequences"
        report(f"{name}: {'; '.join(differs) or good}")
        wrong += [f"{name}: {each}" for each in differs]
    return wrong


def print_board(folder: Path) -> None:
    """The board, fewest parameters first."""
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    console = Console(**plain)
    if not console.is_terminal:
        console = Console(**plain, width=WIDTH)
    table = Table(title=f"the smallest models in {folder}")
    for heading in ("model", "parameters", "of all", "of unseen", "seeds", "seconds"):
        table.add_column(heading, justify="left" if heading == "model" else "right")
    entries = read_board(folder)
    for entry in entries:
        table.add_row(
            entry["model"],
            f"{entry['parameters']:,}",
            f"{entry['accuracy_all']:.4f}",
            f"{entry['accuracy_unseen']:.4f}",
            f"{entry['seeds_made']} of {entry['seeds_tried']}",
            f"{entry['seconds']:.0f}",
        )
    console.print(table)
    for entry in entries:
        console.print(f"{entry['parameters']:,}: {entry['command']}", soft_wrap=True)
