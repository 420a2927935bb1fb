"""Judges a model on splits and sets it beside the baselines: the figures of metrics.json, and their table."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from tokenizers import Tokenizer
from torch import nn

from glassformer.baselines.cache import SplitSource
from glassformer.evaluation import most_confused
from glassformer.nn.packed import can_pack, packed
from glassformer.progress import with_progress
from glassformer.tasks.base import Batches, Report, Task
from glassformer.training.machine import Machine
from glassformer.training.run_folder import last_split

LINE = 110
CLASSES_SHOWN = 10
PACKED_FROM = 256
"""Examples from which on packing the weights costs less than it saves: it copies them, anew at every call."""
MILESTONES_SHOWN = (0.25, 0.5, 0.7, 0.8, 0.9)
"""Validation accuracies whose times are printed; metrics.json has every twentieth."""


@torch.inference_mode()
def answers(
    task: Task, model: nn.Module, batches: Batches, machine: Machine, doing: str = "predicting"
) -> np.ndarray:
    """(examples, ...) in the order of the examples, whatever order the batches have."""
    model = for_inference(model, machine) if len(batches.examples) >= PACKED_FROM else model.eval()
    device = machine.device
    rows = []
    with torch.autocast(device.type, torch.bfloat16, enabled=machine.precision == "bf16"):
        for batch in with_progress(batches, lambda batch: len(batch["labels"]), len(batches.examples), doing):
            rows.append(task.answers(model, on_device(batch, device)))
    sorted_rows = np.concatenate(rows)
    result = np.empty_like(sorted_rows)
    result[batches.order] = sorted_rows
    return result


def for_inference(model: nn.Module, machine: Machine) -> nn.Module:
    """The model in evaluation mode; of bf16 on a processor, a packed copy, which answers the same faster."""
    model.eval()
    return packed(model) if machine.precision == "bf16" and can_pack(model) else model


def on_device(batch: dict[str, Any], device: torch.device) -> dict[str, Any]:
    """The batch where the model is; what is None, a mask that masks nothing, stays so."""
    return {name: None if part is None else part.to(device) for name, part in batch.items()}


def judge(
    task: Task,
    model: nn.Module,
    splits: dict[str, Batches],
    class_names: list[str],
    tokenizer: Tokenizer | None,
    machine: Machine,
) -> dict[str, dict[str, Any]]:
    """Split -> its figures."""
    return task.completed(
        {
            split: task.figures(
                answers(task, model, batches, machine, f"judging {split}"),
                batches.examples,
                class_names,
                tokenizer,
            )
            for split, batches in splits.items()
        }
    )


def judge_baselines(
    task: Task,
    train: SplitSource,
    splits: dict[str, SplitSource],
    class_names: list[str],
    seed: int,
    report: Report,
) -> dict[str, dict[str, Any]]:
    """Slug -> the figures on `test`, or else validation, and, under the splits' names, on each."""
    scores = task.baseline_figures(train, splits, class_names, seed, report)
    return {
        slug: {key: by_split[last_split(by_split)][key] for key in ("accuracy", "accuracy_ci95")} | by_split
        for slug, by_split in scores.items()
    }


def print_table(
    task: Task, metrics: dict[str, Any], name: str, command: str, folder: Path, notes: list[str]
) -> None:
    """The result as a person reads it: the model beside the baselines, best first."""
    # the labels and paths in it are the user's, not markup; a file has no width to fit
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    console = Console(**plain)
    if not console.is_terminal:
        console = Console(**plain, width=LINE)
    accuracy, (other, key) = task.headings
    split = last_split(metrics)
    judged = metrics[split]
    table = Table(title=f"{metrics['task']}, {judged['count']:,} {split} {task.counted}")
    table.add_column("model")
    beside = ["validation"] if split == "test" else []
    for heading in (accuracy, "95% interval", *beside, other):
        table.add_column(heading, justify="right")
    named = f"{name}, {metrics['parameters']:,} parameters"
    for label, figures in sorted(
        [(named, metrics), *metrics["baselines"].items()], key=lambda row: -row[1][split]["accuracy"]
    ):
        low, high = figures[split]["accuracy_ci95"]
        table.add_row(
            label,
            f"{figures[split]['accuracy']:.4f}",
            f"{low:.4f} to {high:.4f}",
            *(f"{figures[each]['accuracy']:.4f}" if each in figures else "" for each in beside),
            f"{figures[split][key]:.4f}",
            style="bold" if figures is metrics else "",
        )
    console.print(table)

    if "confusion" in judged:
        console.print(confusion_table(judged, console.width))
        if len(judged["classes"]) > 2:
            console.print(per_class_table(judged))
    for line in task.remarks(metrics):
        console.print(line)
    if "example" in metrics:
        console.print(f"{metrics['example']['input']} -> {metrics['example']['output']}")
    for note in notes:
        console.print(f"note: {note}")
    if "train_seconds" in metrics:
        console.print(
            f"trained {metrics['train_seconds']:.0f} s at {metrics['examples_per_second']:,.0f} examples/s"
        )
    guessing = 1 / len(judged["classes"]) if "classes" in judged else 0.0
    passed = [
        f"{each['accuracy']:.0%} after {each['seconds']:.0f} s"
        for each in metrics.get("milestones", [])
        if each["accuracy"] in MILESTONES_SHOWN and each["accuracy"] > guessing
    ]
    if passed:
        console.print(f"validation accuracy passed {', '.join(passed)}")
    console.print(f"repeat: {command}", soft_wrap=True)
    console.print(f"run folder: {folder}", soft_wrap=True)


def per_class_table(figures: dict[str, Any]) -> Table:
    """Precision, recall and F1 of each class, or of the ones recalled worst where there are many."""
    rows = list(figures["per_class"].items())
    title = "each class on test"
    if len(rows) > CLASSES_SHOWN:
        rows = sorted(rows, key=lambda row: (not row[1]["count"], row[1]["recall"]))[:CLASSES_SHOWN]
        title = "classes of the lowest recall on test (metrics.json has all)"
    table = Table(title=title)
    table.add_column("class", overflow="fold")
    for heading in ("precision", "recall", "F1", "examples"):
        table.add_column(heading, justify="right")
    for name, row in rows:
        # of what is not there, nothing is recalled
        shares = (f"{row[key]:.4f}" if row["count"] else "-" for key in ("precision", "recall", "f1"))
        table.add_row(name, *shares, f"{row['count']:,}")
    return table


def confusion_table(figures: dict[str, Any], width: int = LINE) -> Table:
    """The confusion matrix, or, of more than two classes, the pairs confused most where it is too wide.

    width: what it may take, in characters.
    """
    classes, counts = figures["classes"], figures["confusion"]
    columns = [["true \\ predicted", *classes]]
    columns += [[name, *(f"{row[number]:,}" for row in counts)] for number, name in enumerate(classes)]
    needed = 1 + sum(max(map(cell_len, column)) + 3 for column in columns)
    if len(classes) == 2 or (len(classes) <= CLASSES_SHOWN and needed <= width):
        table = Table(title="confusion on test")
        for number, (heading, *_) in enumerate(columns):
            table.add_column(heading, justify="right" if number else "left", overflow="fold")
        for row in zip(*(cells for _, *cells in columns), strict=True):
            table.add_row(*row)
        return table
    table = Table(title="most confused on test (metrics.json has the whole matrix)")
    for heading in ("true", "predicted", "examples"):
        table.add_column(heading, overflow="fold")
    for true, predicted, count, _ in most_confused(figures, CLASSES_SHOWN):
        table.add_row(true, predicted, f"{count:,}")
    if not table.rows:
        table.add_row("none", "none", "0")
    return table


def count_parameters(model: torch.nn.Module) -> int:
    """Distinct trainable scalars."""
    return sum(parameter.numel() for parameter in model.parameters() if parameter.requires_grad)
