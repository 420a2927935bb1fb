"""Figures of a run for a person to look at: learning curves, confusion, and a page of example pictures.

Each has a function that draws, and returns the Figure, and one that writes it.
"""

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import UInt8

from glassformer.errors import DataError
from glassformer.evaluation import most_confused
from glassformer.reports.page import (
    BLUE,
    MARGIN,
    ORANGE,
    SMALL,
    TEXT,
    add_axes,
    legend_above,
    lines_height,
    new_page,
    save,
    styled,
    text_width,
    told_apart,
    wrapped,
    write_lines,
)
from glassformer.tasks import find_task
from glassformer.training.run_folder import METRICS, PROVENANCE, last_split, read_json, require_config

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = [
    "confusion",
    "draw_confusion",
    "draw_examples",
    "draw_learning_curves",
    "examples_page",
    "learning_curves",
    "most_confused",
    "run_figures",
]

Picture = tuple[UInt8[np.ndarray, "channels height width"], str]
Rows = Sequence[tuple[str, Sequence[Picture]]]

STYLE: dict[str, dict[str, Any]] = {
    "train": {"color": ORANGE, "linestyle": "--", "marker": "s"},
    "validation": {"color": BLUE, "linestyle": "-", "marker": "o"},
    "kept": {"color": "#444444", "linestyle": ":"},
    "early": {"color": "#eeeeee"},
    "bars": {"color": BLUE},
}
HEAT = "Blues"
LEAST_SPAN = 0.01
"""Of an axis of loss or accuracy, whose curves may be flat."""
PAIRS_WIDTH, PAIR_PITCH = 4.4, 0.45
CELL_NUMBERS_UP_TO = 15


def learning_curves(metrics: Mapping[str, Any], path: Path, *, caption: str) -> None:
    """Writes `draw_learning_curves` to a .png (150 dpi), .svg or .pdf."""
    save(draw_learning_curves(metrics, caption=caption), path)


def confusion(figures: Mapping[str, Any], path: Path, *, caption: str) -> None:
    """Writes `draw_confusion` to a .png (150 dpi), .svg or .pdf."""
    save(draw_confusion(figures, caption=caption), path)


def examples_page(rows: Rows, path: Path, *, title: str, caption: str) -> None:
    """Writes `draw_examples` to a .png (150 dpi), .svg or .pdf."""
    save(draw_examples(rows, title=title, caption=caption), path)


def run_figures(folder: Path) -> list[Path]:
    """Writes what can be drawn of a finished run into its folder.

    learning_curves.png where there is a history, confusion.png where there are classes.

    Raises UsageError where there is no run, DataError where it is unfinished or broken.
    """
    folder = Path(folder)
    require_config(folder)
    metrics, provenance = read_json(folder / METRICS), read_json(folder / PROVENANCE)
    try:
        split = last_split(metrics)
        test = metrics[split]
        counted = find_task(metrics["task"]).counted
        low, high = test["accuracy_ci95"]
        run = f"Task {metrics['task']}, seed {metrics['seed']}."
        result = (
            f"{test['count']:,} {split} {counted}: accuracy {test['accuracy']:.4f}, "
            f"95% interval {low:.4f} to {high:.4f}."
        )
        repeat = f"Repeat: {provenance['command']}"
        curves = CURVES_EXPLAINED + (EARLY_IMAGES if "early_images" in metrics else "")
        curves += TEST_ONCE if split == "test" else ""
        drawn: dict[str, Figure] = {}
        if metrics.get("history"):
            drawn["learning_curves.png"] = draw_learning_curves(
                metrics, caption=f"{run} The kept epoch on {result}\n{curves}\n{repeat}"
            )
        if "confusion" in test:
            drawn["confusion.png"] = draw_confusion(
                test, caption=f"{run} {result}\n{CONFUSION_EXPLAINED}\n{repeat}"
            )
    except (KeyError, TypeError, ValueError) as error:
        reason = f"{type(error).__name__}: {error}"
        raise DataError(
            f"{folder / METRICS} or {PROVENANCE} is broken or of another version ({reason}); train anew"
        ) from error
    for name, figure in drawn.items():
        save(figure, folder / name)
    return [folder / name for name in drawn]


CURVES_EXPLAINED = (
    "Loss and accuracy after each epoch. Train: means over the epoch while the weights still moved, with any "
    "augmentation, dropout and label smoothing, so it may well look worse than validation. Validation: the "
    "weights that would be kept, at the epoch's end, on whole examples without dropout."
)
EARLY_IMAGES = " Grey: epochs that trained on smaller images; validation has whole ones throughout."
TEST_ONCE = " Validation chose the kept epoch; test was read once, afterwards."
CONFUSION_EXPLAINED = (
    "Left: a row is a true class, a column what the model said; the colour is the share of the row, so that "
    "rare classes count like frequent ones. Right: the pairs with the most errors, of all test examples of "
    "the true class."
)


@styled()
def draw_learning_curves(
    metrics: Mapping[str, Any], *, caption: str | None, panel: float = 4.3, height: float = 3.3
) -> "Figure":
    """Loss (nats) and accuracy (share) over the epochs, side by side, for train and validation.

    metrics: `task`; `history`, a list of {epoch, train_loss, train_accuracy, validation_loss,
    validation_accuracy}, None for what was not recorded; `best_epoch` and `early_images`, {height, width,
    epochs}, marked where they are given. caption: None leaves the title out too. panel, height: of one of the
    two, inches. Raises ValueError for an empty history.
    """
    from matplotlib.ticker import MaxNLocator

    history, kept = metrics["history"], metrics.get("best_epoch")
    if not history:
        raise ValueError("history=[] has no epoch to draw; draw finished runs only")
    epochs = [entry["epoch"] for entry in history]
    for split in ("train", "validation"):
        for what in ("loss", "accuracy"):
            missing = all(entry.get(f"{split}_{what}") is None for entry in history)
            if missing and caption is not None:
                caption += f"\nThis run recorded no {split} {what}."
    before, below, legend = 0.95, 0.6, 0.35
    width = 2 * (before + panel) + 2 * MARGIN
    figure, top = new_page(width, legend + height + below, f"{metrics['task']}: learning curves", caption)
    accuracy = "accuracy (share of examples)"
    if "token_accuracy" in metrics.get("test", {}):  # an answer is a sequence, right as a whole or not
        accuracy = "exact match (share)"
    elif "perplexity" in metrics.get("validation", {}):
        accuracy = "guessed (share of tokens left out)"
    for number, (what, label) in enumerate({"loss": "loss (nats)", "accuracy": accuracy}.items()):
        left = before + number * (panel + before)
        axes = add_axes(figure, left, top - legend - height, panel, height)
        for split in ("train", "validation"):
            values = [entry.get(f"{split}_{what}") for entry in history]
            if any(value is not None for value in values):
                points = [math.nan if value is None else value for value in values]
                every = math.ceil(len(epochs) / 15)
                axes.plot(epochs, points, label=split, markersize=4.5, markevery=every, **STYLE[split])
        if early := metrics.get("early_images"):
            size = f"{early['height']} x {early['width']} pixels"
            axes.axvspan(epochs[0] - 1, early["epochs"] + 0.5, label=size, zorder=0, **STYLE["early"])
        if kept:
            axes.axvline(kept, label=f"kept: epoch {kept}", zorder=1, **STYLE["kept"])
        axes.set_xlabel("epoch")
        axes.set_ylabel(label)
        axes.grid(alpha=0.25)
        axes.ticklabel_format(axis="y", useOffset=False)
        low, high = axes.get_ylim()
        if high - low < LEAST_SPAN:  # equal values would look apart, and their ticks have ten digits
            middle = (low + high) / 2
            axes.set_ylim(middle - LEAST_SPAN / 2, middle + LEAST_SPAN / 2)
        ticks = MaxNLocator(10, integer=True, min_n_ticks=1).tick_values(epochs[0], epochs[-1])
        axes.set_xticks([tick for tick in ticks if epochs[0] <= tick <= epochs[-1]])
        pad = max(0.5, 0.02 * (epochs[-1] - epochs[0]))
        axes.set_xlim(epochs[0] - pad, epochs[-1] + pad)
        if number == 0:
            legend_above(figure, axes, before, top, handlelength=3.2)
    return figure


@styled()
def draw_confusion(figures: Mapping[str, Any], *, caption: str | None) -> "Figure":
    """The confusion matrix as a heat map, and the ten pairs of classes confused most as bars.

    caption: None draws the matrix alone, without a title, as small as it can be read.

    figures: `accuracy`, `accuracy_ci95`, `count`, `classes` and `confusion` of a classification report.
    colour = M_tp / sum_p M_tp, on a scale of square roots: at 0.9 accuracy a linear one would leave all
    errors as white as none. Up to 15 classes have their counts printed.
    """
    names, counts = [" ".join(name.split()) for name in figures["classes"]], np.array(figures["confusion"])
    pairs = most_confused({"classes": names, "confusion": counts.tolist()})
    classes = len(names)
    least, for_each = (1.8, 0.4) if caption is None else (4.0, 0.56)
    side = min(max(least, (for_each if classes <= CELL_NUMBERS_UP_TO else 0.24) * classes), 12.0)
    cell = side / classes
    size = min(TEXT, max(5.0, 0.72 * 72 * cell))
    every = math.ceil(size * 1.1 / (72 * cell))  # so many classes that only some can be named
    labels = told_apart(names, 1.6, size)
    names_width = max(text_width(label, size) for label in labels)
    turned, below = 90, 0.45 + names_width
    if names_width <= 0.9 * cell:
        turned, below = 0, 0.6
    elif classes <= CELL_NUMBERS_UP_TO:
        turned, below = 45, 0.55 + 0.71 * names_width
    left, header, bar_gap, bar_width = MARGIN + 0.4 + names_width, 0.35, 0.15, 0.18
    pairs_left = left + side + bar_gap + bar_width + 0.95
    pairs_height = PAIR_PITCH * max(len(pairs), 1)
    low, high = figures["accuracy_ci95"]
    title = (
        f"Confusion on {figures['count']:,} test examples: accuracy {figures['accuracy']:.4f}, "
        f"95% interval {low:.4f} to {high:.4f}"
    )
    if caption is None:
        figure, top = new_page(pairs_left, header + side + below, title, None)
    else:
        body = header + max(side + below, pairs_height + 0.6)
        figure, top = new_page(pairs_left + PAIRS_WIDTH + 2 * MARGIN, body, title, caption)
    axes = add_axes(figure, left, top - header - side, side, side)
    bar = add_axes(figure, left + side + bar_gap, top - header - side, bar_width, side)
    _draw_matrix(axes, bar, counts, cell, roomy=caption is not None)
    where = range(0, classes, every)
    slanted: dict[str, Any] = {"ha": "right", "rotation_mode": "anchor"} if turned == 45 else {}
    axes.set_xticks(where, labels[::every], fontsize=size, rotation=turned, **slanted)
    axes.set_yticks(where, labels[::every], fontsize=size)
    if caption is not None:
        room = add_axes(figure, pairs_left, top - header - pairs_height, PAIRS_WIDTH, pairs_height)
        _draw_pairs(room, pairs)
    return figure


def _draw_matrix(axes: "Axes", bar: "Axes", counts: np.ndarray, cell: float, *, roomy: bool) -> None:
    from matplotlib.colors import PowerNorm

    shares = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    image = axes.imshow(shares, cmap=HEAT, norm=PowerNorm(0.5, 0, 1), interpolation="nearest")
    axes.tick_params(length=2)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    if len(counts) <= CELL_NUMBERS_UP_TO:
        luminance = _luminance(image.to_rgba(shares))
        widest = text_width(f"{counts.max():,}", 1.0)
        number_size = min(11.0, 0.85 * cell / widest)
        for (true, predicted), count in np.ndenumerate(counts):
            ink = "black" if luminance[true, predicted] > 0.179 else "white"
            place = {"ha": "center", "va": "center", "color": ink, "fontsize": number_size}
            axes.text(predicted, true, f"{count:,}", **place)
    ticks = [0, 0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 1]
    scale = axes.figure.colorbar(image, cax=bar, ticks=ticks, format="{x:g}")
    scale.set_label("share of the true class (square-root scale)" if roomy else "share of the row")
    scale.outline.set_linewidth(0.5)


def _draw_pairs(axes: "Axes", pairs: list[tuple[str, str, int, int]]) -> None:
    from matplotlib.ticker import MaxNLocator, StrMethodFormatter

    axes.set_title("most confused: true -> predicted", loc="left", fontsize=TEXT + 1)
    axes.set_yticks([])
    if not pairs:
        axes.set_axis_off()
        axes.text(0, 0.5, "no test example was confused", transform=axes.transAxes)
        return
    # a bar is the lower half of its row, the text stands above it
    rows = np.arange(len(pairs))
    axes.barh(rows + 0.22, [errors for _, _, errors, _ in pairs], height=0.34, **STYLE["bars"])
    shares = [f"{errors:,} of {examples:,}" for _, _, errors, examples in pairs]
    for_each = (PAIRS_WIDTH - 0.1 - max(text_width(f"  ->   {share}", TEXT) for share in shares)) / 2
    names = list(dict.fromkeys(name for pair in pairs for name in pair[:2]))
    label = dict(zip(names, told_apart(names, for_each, TEXT), strict=True))
    for row, (true, predicted, _, _), share in zip(rows, pairs, shares, strict=True):
        text = f"{label[true]} -> {label[predicted]}  {share}"
        axes.text(0, row - 0.18, f" {text}", va="center", fontsize=TEXT)
    axes.set_ylim(len(pairs) - 0.5, -0.5)
    axes.set_xlim(0, 1.05 * pairs[0][2])
    axes.xaxis.set_major_locator(MaxNLocator(5, integer=True, min_n_ticks=1))
    axes.xaxis.set_major_formatter(StrMethodFormatter("{x:,.0f}"))
    axes.set_xlabel("errors (test examples)")


@styled()
def draw_examples(rows: Rows, *, title: str, caption: str | None) -> "Figure":
    """A page of pictures, a row a heading, the label under each picture.

    rows: (heading, pictures); a picture is a uint8 array (channels height width) of one channel, drawn grey,
    or three, and its label. 0 is black and 255 white whatever the picture holds; pixels stay squares. Raises
    ValueError for other pictures, and where there are none.
    """
    pictures = [_checked(image) for _, row in rows for image, _ in row]
    if not pictures:
        raise ValueError("rows hold no picture; give at least one")
    cell, gap, head, most = 1.15, 0.15, 1.5, max(len(row) for _, row in rows)
    figure_width = max(2 * MARGIN + head + most * (cell + gap), 6.0)
    headings = [wrapped(heading, head - gap, TEXT) for heading, _ in rows]
    labels = [[_wrapped_label(label, cell) for _, label in row] for _, row in rows]
    images = iter(pictures)
    images_of = [[next(images) for _ in row] for _, row in rows]
    talls = [cell * min(2.0, max((len(i) / len(i[0]) for i in row), default=1.0)) for row in images_of]
    heights = [
        max(tall + lines_height(max(map(len, under), default=0), SMALL), lines_height(len(heading), TEXT))
        + gap
        for tall, heading, under in zip(talls, headings, labels, strict=True)
    ]
    figure, top = new_page(figure_width, sum(heights), title, caption)
    for heading, row, under, tall, height in zip(headings, images_of, labels, talls, heights, strict=True):
        beside = max(0.0, tall - lines_height(len(heading), TEXT)) / 2
        write_lines(figure, MARGIN, top - beside, heading, TEXT)
        for column, (pixels, lines) in enumerate(zip(row, under, strict=True)):
            left = MARGIN + head + column * (cell + gap)
            axes = add_axes(figure, left, top - tall, cell, tall)
            axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
            axes.set_anchor("S")
            axes.set_xticks([])
            axes.set_yticks([])
            for spine in axes.spines.values():
                spine.set(visible=True, linewidth=0.5, color="#999999")
            write_lines(figure, left + cell / 2, top - tall - 0.03, lines, SMALL, ha="center")
        top -= height
    return figure


def _checked(image: Any) -> np.ndarray:
    """(height width) of one channel, (height width 3) of three."""
    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or pixels.ndim != 3 or pixels.shape[0] not in (1, 3) or 0 in pixels.shape:
        raise ValueError(
            f"a picture is uint8 of shape (1 or 3, height, width), got {pixels.dtype} of {pixels.shape}; "
            "give the pixels before they are normalised"
        )
    return pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)


def _wrapped_label(label: str, width: float) -> list[str]:
    """A mixed label, '0.7 cat + 0.3 dog', that needs two lines is best parted at its plus."""
    parted = label if text_width(label, SMALL) <= width else label.replace(" + ", "\n+ ")
    return wrapped(parted, width, SMALL)


def _luminance(colours: np.ndarray) -> np.ndarray:
    """Relative luminance of WCAG 2.1; black on more than 0.179, white on less, have a contrast above 4.5."""
    rgb = colours[..., :3]
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ np.array([0.2126, 0.7152, 0.0722])
