"""The board of the smallest models: one line a model that made it, with its weights to check it by.

A board is a folder: board.json, and a run folder for each entry, which `glassformer evaluate` and `predict`
take like any other. Its config.yaml has the data and the model; how the weights came about stands in
board.json, and is repeated by the command there.
"""

import shutil
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from torch import nn

from glassformer.errors import DataError, UsageError
from glassformer.tasks import TASKS, find_task
from glassformer.tasks.base import Prepared, Report, Task
from glassformer.tasks.config import MachineConfig, TrainConfig
from glassformer.training.judge import count_parameters, judge
from glassformer.training.loaded import load
from glassformer.training.machine import Machine
from glassformer.training.provenance import machine, provenance
from glassformer.training.run_folder import (
    METRICS,
    PROVENANCE,
    SCHEMA_VERSION,
    TOKENIZER,
    read_json,
    save_model,
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

    Raises UsageError where the folder is a file, DataError for a board that is broken.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give another --board")
    if not (folder / BOARD).exists():
        return []
    content: Any = read_json(folder / BOARD)
    entries = content.get("entries") if isinstance(content, dict) else None
    whole = isinstance(entries, list) and content.get("schema_version") == SCHEMA_VERSION
    if not whole or not all(isinstance(entry, dict) and _has_its_keys(entry) for entry in entries):
        raise DataError(f"{folder / BOARD} is broken or of another version; search anew in another folder")
    return entries


KEYS: dict[str, type | tuple[type, ...]] = {
    "run": str,
    "task": str,
    "model": str,
    "command": str,
    "data": dict,
    "parameters": int,
    "count_all": int,
    "count_unseen": int,
    "seeds_made": int,
    "seeds_tried": int,
    "accuracy_all": (int, float),
    "accuracy_unseen": (int, float),
    "above": (int, float),
    "seconds": (int, float),
}


def _has_its_keys(entry: dict[str, Any]) -> bool:
    return all(isinstance(entry.get(key), kind) for key, kind in KEYS.items())


def require_finite(task_name: str, task: Task, config: TrainConfig[Any, Any]) -> None:
    """Raises UsageError for a task that cannot be judged on everything there is."""
    if task.exist(config) is None:
        presets = {name: find_task(name).preset(None, None) for name in TASKS}
        finite = [name for name, preset in presets.items() if find_task(name).exist(preset) is not None]
        raise UsageError(
            f"{task_name} has no finite number of inputs to judge all of; choose one of {', '.join(finite)}"
        )


def require_half(prepared: Prepared, exist: int | None) -> None:
    """Raises UsageError where not all sequences are judged, or more than half would be learned from."""
    sizes = {split: len(part) for split, part in prepared.examples.items()}
    if exist is not None and sum(sizes.values()) < exist:
        raise UsageError(
            f"{exist:,} sequences exist and {sum(sizes.values()):,} would be judged; a board is verified on "
            "all of them, so choose shorter ones, or more with --data.judged or --data.strings"
        )
    seen = sizes["train"] + sizes["validation"]
    if 2 * seen > sum(sizes.values()):
        raise UsageError(
            f"{seen:,} of {sum(sizes.values()):,} sequences would be trained on, more than half; the unseen "
            "ones decide, so choose fewer"
        )


def add_entry(
    folder: Path,
    facts: dict[str, Any],
    task_name: str,
    task: Task,
    model: nn.Module,
    prepared: Prepared,
    config: TrainConfig[Any, Any],
    judged: Judged,
    chosen: Machine,
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
    choices = {"device": chosen.device.type, "precision": chosen.precision, "threads": chosen.threads}
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
        "data": asdict(config.data),
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
        name = entry["run"]
        try:
            differs = _differences(folder, entry)
        except (UsageError, DataError) as error:
            differs = [str(error)]
        good = f"verified on {entry['count_all']:,} sequences"
        report(_plain(f"{name}: {'; '.join(differs) or good}"))
        wrong += [_plain(f"{name}: {each}") for each in differs]
    return wrong


def _differences(folder: Path, entry: dict[str, Any]) -> list[str]:
    """What an entry says that its weights do not."""
    name = entry["run"]
    # the file may be somebody else's, and must not lead elsewhere
    if name in ("", ".", "..") or Path(name).name != name:
        return ["this is not the name of a folder in the board"]
    run = load(folder / name, MachineConfig(device="cpu", precision="fp32", threads=1))
    require_finite(run.task_name, run.task, run.config)
    prepared = run.task.prepare(run.config, lambda line: None)
    require_half(prepared, run.task.exist(run.config))
    judged = judge_all(run.task, run.model, prepared, run.config, run.machine)
    found = {
        "task": run.task_name,
        "data": asdict(run.config.data),
        "parameters": count_parameters(run.model),
        "accuracy_all": judged.all,
        "count_all": judged.count_all,
        "accuracy_unseen": judged.unseen,
        "count_unseen": judged.count_unseen,
    }
    differs = [f"{key} is {value}, not {entry[key]}" for key, value in found.items() if entry[key] != value]
    if not min(judged.all, judged.unseen) > entry["above"]:
        differs.append(f"not above {entry['above']}")
    return differs


def _plain(text: str) -> str:
    """Without signs that would steer a terminal."""
    return "".join(sign if sign.isprintable() else "?" for sign in text)


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
            _plain(entry["model"]),
            f"{entry['parameters']:,}",
            f"{entry['accuracy_all']:.4f}",
            f"{entry['accuracy_unseen']:.4f}",
            f"{entry['seeds_made']} of {entry['seeds_tried']}",
            f"{entry['seconds']:.0f}",
        )
    console.print(table)
    for entry in entries:
        console.print(_plain(f"{entry['parameters']:,}: {entry['command']}"), soft_wrap=True)
