"""The sections of a paper that are about one run. Every figure in them is read from the run."""

from pathlib import Path
from typing import Any

import numpy as np
from rich.cells import cell_len

from glassformer.experiments.comparison_table import interval_text
from glassformer.explain.architecture import Architecture
from glassformer.explain.explanation import Explanation
from glassformer.models.configs import FACTS
from glassformer.reports.diagram import FOLD, diagram_figure, diagram_width, is_folded
from glassformer.reports.explanation import ATTRIBUTION_EXPLAINED, GRADIENTS_EXPLAINED, draw_inputs
from glassformer.reports.explanation_panels import TOKENS_SHOWN
from glassformer.reports.figures import EARLY_IMAGES, draw_confusion, draw_examples, draw_learning_curves
from glassformer.reports.page import as_bytes
from glassformer.reports.paper.document import (
    Beside,
    Block,
    Bullets,
    Code,
    Facts,
    Figure,
    Table,
    said,
)
from glassformer.reports.paper.record import SHOWN_CLASSES, Record
from glassformer.tasks.base import evenly
from glassformer.training.run_folder import SPLITS

EXAMPLES, PICTURES, LETTERS, NAME = 3, 8, 220, 60
HEADS = 60
"""Letters of all class names together that fit above columns."""
CONFUSION_UP_TO, CLASS_TABLE_UP_TO = 30, 10
BESIDE_UP_TO = 16
"""Letters of a class's name, in a table beside a figure; those of Chinese are as wide as two."""
USED_FOR = {
    "train": "all that is fitted",
    "validation": "choosing the epoch",
    "test": "read once, at the end",
}


def task_blocks(record: Record) -> list[Block]:
    """What is asked, and of how much data."""
    task = record.run.task
    blocks: list[Block] = [said("Task ", Code(record.run.task_name), f": {task.summary}.")]
    sizes, counts = record.split_sizes(), record.class_counts()
    names = record.prepared.class_names if record.prepared is not None else []
    few = counts is not None and len(names) <= SHOWN_CLASSES and len("".join(names)) <= HEADS
    headings = ("split", "examples", *(names if few else ()), "used for")
    rows = []
    for split, count in sizes.items():
        of_classes = tuple(f"{each:,}" for each in counts[split]) if few and counts else ()
        rows.append((split, f"{count:,}", *of_classes, USED_FOR[split]))
    caption = "The splits" + (", and the examples of each class." if few else ".")
    if counts is not None and not few:
        least, most = min(counts["train"]), max(counts["train"])
        each = f"{least:,}" if least == most else f"{least:,} to {most:,}"
        caption += f" {len(names):,} classes, {each} training examples each."
    blocks.append(Table(headings, tuple(rows), caption, left=(0, len(headings) - 1)))
    if record.prepared is None:
        blocks.append(said(f"The data is not at hand, so no example is shown: {record.missing}."))
        return blocks
    blocks += _examples(record)
    if notes := record.prepared.notes:
        blocks.append(said("Noted while reading it: " + "; ".join(notes) + "."))
    return blocks


def _examples(record: Record) -> list[Block]:
    assert record.prepared is not None
    task, config = record.run.task, record.run.config
    shown = task.some_examples(record.prepared, config, PICTURES)
    if not shown:
        return []
    if isinstance(shown[0][0], np.ndarray):
        row = [(np.asarray(pixels), label) for pixels, label in shown]
        figure = draw_examples([("", row)], title="", caption=None)
        caption = f"{len(row)} validation examples, evenly spaced in the split, each with its class."
        return [Figure(lambda kind: as_bytes(figure, kind), caption, alt=caption, width=0.95, height=4.0)]
    few = [shown[place] for place in evenly(len(shown), EXAMPLES)]
    rows = tuple((shortened_text(text), shortened_text(answer, NAME)) for text, answer in few)
    headings = ("input", "class" if record.prepared.class_names else "right answer")
    caption = f"{len(rows)} validation examples, evenly spaced in the split, long ones cut."
    return [Table(headings, rows, caption, left=(0, 1), wide=0 if record.prepared.class_names else None)]


def shortened_text(text: str, letters: int = LETTERS) -> str:
    """On one line, and so many letters of it at most."""
    line = " ".join(text.split())
    return line if len(line) <= letters else f"{line[:letters].rstrip()} …"


def model_blocks(record: Record, architecture: Architecture) -> list[Block]:
    """The architecture as it runs, beside its options."""
    config, parameters = record.run.config, record.metrics["parameters"]
    options = tuple(
        (name.replace("_", "-"), _value(value))
        for name, value in vars(config.model).items()
        if name not in (*FACTS, "name")
    )
    text = said(f"The {record.model_words} has {parameters:,} distinct trainable parameters. Its options:")
    wide = is_wide(architecture)
    caption = (
        "The architecture, drawn from watching the model run, with the shapes at each step and the "
        "parameters of each part at its right. A repeated block is drawn once."
    )
    if is_folded(architecture):
        caption += f" At {FOLD} it goes on beside."
    diagram = Figure(
        lambda kind: diagram_figure(architecture, kind),
        caption,
        alt=f"diagram of the {record.model_words}, from input to output",
        height=11.0,
    )
    if wide:
        half = -(-len(options) // 2)
        return [text, Beside((Facts(options[:half]),), (Facts(options[half:]),)), diagram]
    return [Beside((text, Facts(options)), (diagram,), share=0.42)]


def is_wide(architecture: Architecture) -> bool:
    """Whether the diagram takes the whole width of a page."""
    return diagram_width(architecture, fold=True) > 10


def process_blocks(record: Record) -> list[Block]:
    """What was chosen how, on which split."""
    config, metrics = record.run.config, record.metrics
    epochs = len(metrics["epoch_seconds"])
    optim, fit = config.optim, config.fit
    sentences = (
        f"Trained with {optim.name} at a peak learning rate of {optim.peak:g} ({optim.decay} decay after a "
        f"warm-up over {optim.warmup:g} of the steps), in batches of {fit.batch_size:,}, for {epochs} of at "
        f"most {fit.epochs} epochs. "
    )
    kept = ""
    if metrics.get("best_epoch"):
        kept = (
            f"After each epoch the model was judged on validation, and the weights of epoch "
            f"{metrics['best_epoch']}, the best there ({metrics['validation']['accuracy']:.4f}), were kept. "
        )
    rest = (
        "The test split chose nothing: it was read once, with the kept weights. "
        + "The baselines were fitted on the same training examples." * bool(metrics["baselines"])
    )
    changed = record.differing_options()
    preset = record.run.task.preset_name(None, record.model_name, "cpu")
    blocks: list[Block] = [said(sentences, kept, rest)]
    if not changed:
        blocks.append(said("All options are those of the preset ", Code(preset), "."))
        return blocks
    pieces: list[str | Code] = ["Options that differ from the preset ", Code(preset), ": "]
    for number, (name, (value, usual)) in enumerate(changed.items()):
        pieces += [", " * bool(number), Code(name), f" {_value(value)} (there {_value(usual)})"]
    blocks.append(said(*pieces, "."))
    return blocks


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or value == "":
        return "none"
    if isinstance(value, float):
        return f"{value:g}"
    if isinstance(value, tuple | list):
        return " ".join(_value(each) for each in value)
    text = str(value)
    return Path(text).name if Path(text).is_absolute() else text


def curves(record: Record) -> list[Block]:
    """Loss and accuracy over the epochs."""
    metrics = record.metrics
    if not metrics.get("history"):
        return [said("The run recorded no learning curves.")]
    figure = draw_learning_curves(metrics, caption=None, panel=2.35, height=1.75)
    caption = (
        f"Loss and {record.accuracy_word} after each epoch. Train: means over the epoch while the weights "
        "still moved, with any dropout and augmentation, so it may look worse than validation. Validation: "
        "the weights that would be kept. Dotted: the kept epoch."
    ) + (EARLY_IMAGES if "early_images" in metrics else "")
    return [Figure(lambda kind: as_bytes(figure, kind), caption, alt="learning curves", height=6.5)]


def result_table(record: Record) -> Table:
    """The model beside the baselines, best test figure first."""
    metrics, task = record.metrics, record.run.task
    heading, (other, key) = task.headings
    rows = [(f"{record.model_name}, {metrics['parameters']:,} parameters", metrics)]
    rows += list(metrics["baselines"].items())
    rows.sort(key=lambda row: -row[1]["test"]["accuracy"])
    cells = tuple(
        (
            name,
            f"{each['test']['accuracy']:.4f}",
            interval_text(each["test"]["accuracy_ci95"]),
            f"{each['validation']['accuracy']:.4f}" if each.get("validation") else "",
            f"{each['test'][key]:.4f}" if key in each["test"] else "",
        )
        for name, each in rows
    )
    count = metrics["test"]["count"]
    seconds, speed = metrics["train_seconds"], metrics["examples_per_second"]
    caption = (
        f"{count:,} test examples, best first; intervals are Wilson's at 95%. Trained in {seconds:,.0f} s at "
        f"{speed:,.0f} examples/s."
    )
    if not metrics["baselines"]:
        caption += " The run was made without baselines."
    strong = next(number for number, (_, each) in enumerate(rows) if each is metrics)
    return Table(("model", heading, "95% interval", "validation", other), cells, caption, strong=(strong,))


def remarks(record: Record) -> list[Block]:
    """What the task has to say of its figures, and its worked example."""
    lines = list(record.run.task.remarks(record.metrics))
    if example := record.metrics.get("example"):
        lines.append(f"The trained model at work: {example['input']} -> {example['output']}")
    return [Bullets(tuple(said(line + ".") for line in lines))] if lines else []


def confusion_blocks(record: Record) -> list[Block]:
    """Which classes are taken for which, and each class's figures beside."""
    test = record.metrics["test"]
    if "confusion" not in test:
        return []
    classes = len(test["classes"])
    if classes > CONFUSION_UP_TO:
        return [_class_table(test)]
    picture = draw_confusion(test, caption=None)
    caption = (
        "Confusion on test: a row is a true class, a column what the model said; shading is the row's share."
    )
    figure = Figure(
        lambda kind: as_bytes(picture, kind),
        caption,
        alt="confusion matrix",
        height=4.5 + 0.35 * min(classes, 10),
    )
    if max(map(cell_len, test["classes"])) > BESIDE_UP_TO:
        return [figure, _class_table(test)]
    return [Beside((figure,), (_class_table(test),), share=0.55)]


def _class_table(test: dict[str, Any]) -> Table:
    rows = list(test["per_class"].items())
    caption = "Each class on test."
    if len(rows) > CLASS_TABLE_UP_TO:
        rows = sorted(rows, key=lambda row: row[1]["recall"])[:CLASS_TABLE_UP_TO]
        caption = f"The {len(rows)} classes of the lowest recall on test."
    cells = tuple(
        (
            shortened_text(name, NAME),
            *(f"{row[key]:.4f}" for key in ("precision", "recall", "f1")),
            f"{row['count']:,}",
        )
        for name, row in rows
    )
    return Table(("class", "precision", "recall", "F1", "examples"), cells, caption)


def look_blocks(explanation: Explanation | None, rule: str) -> list[Block]:
    """One look inside, with what was measured of each picture's truth."""
    if explanation is None:
        return [said(rule)]
    figure = draw_inputs(explanation, 6.6)
    caption = (
        f"The input by each attribution, for the answer {shortened_text(explanation.answer)!r}. {rule} "
        f"{ATTRIBUTION_EXPLAINED if explanation.maps else GRADIENTS_EXPLAINED}"
    )
    if explanation.written and max(len(explanation.written), len(explanation.parts)) > TOKENS_SHOWN:
        caption += f" The first {TOKENS_SHOWN} tokens of either."
    found: list[Block] = [
        Figure(
            lambda kind: as_bytes(figure, kind),
            caption,
            alt="the input, coloured by each attribution",
            height=11.0,
        )
    ]
    if explanation.faithfulness:
        found.append(Bullets(tuple(said(_capital(each.sentence)) for each in explanation.faithfulness)))
    else:
        found.append(said("Whether these pictures are true to the model was not measured."))
    return found


def _capital(sentence: str) -> str:
    return sentence[:1].upper() + sentence[1:]


def proof_blocks(record: Record, report_command: str) -> list[Block]:
    """All that it takes to repeat the run, and to see that it is the same."""
    provenance, metrics = record.provenance, record.metrics
    machine, choices = provenance["machine"], provenance["choices"]
    memory = f", {machine['memory_bytes'] / 2**30:.0f} GiB" if machine.get("memory_bytes") else ""
    threads = f"{choices['threads']} thread{'s' * (choices['threads'] != 1)}"
    sums: dict[str, list[str]] = {}
    for split in (each for each in SPLITS if each in provenance["data_sha256"]):
        sums.setdefault(provenance["data_sha256"][split], []).append(split)
    rows: list[tuple[str, str | Code]] = [
        ("command", Code(provenance["command"])),
        ("seed", str(provenance["seed"])),
        ("training", f"{metrics['train_seconds']:,.0f} s, without validation and start-up"),
        ("machine", f"{machine['processor']}, {machine['cores']} cores{memory}, {machine['system']}"),
        ("computed with", f"{choices['device']}, {choices['precision']}, {threads}"),
        ("versions", ", ".join(f"{name} {number}" for name, number in provenance["versions"].items())),
        ("code", Code(provenance.get("git_revision") or "an installed release")),
        *((f"SHA-256 of {', '.join(splits)}", Code(digest)) for digest, splits in sums.items()),
        ("date", provenance["date"]),
        ("run folder", Code(record.run.folder.name)),
        ("this report", Code(report_command)),
    ]  # fmt: skip
    return [Facts(tuple(rows))]
