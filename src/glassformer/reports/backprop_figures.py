"""Figures of `glassformer backprop`: the data, the loss, and the decision regions of two features."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassformer.cache import write_folder_atomically
from glassformer.experiments.backprop import (
    LOGISTIC,
    MAJORITY,
    NETWORK,
    Comparison,
    correlations,
    most_telling,
)
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
    shortened,
    styled,
    write_lines,
)
from glassformer.training.run_folder import write_json

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

CLASSES: tuple[dict[str, Any], ...] = (
    {"color": ORANGE, "marker": "s"},
    {"color": BLUE, "marker": "o"},
)
"""How the first and the second class are drawn, everywhere."""
LINES: dict[str, dict[str, Any]] = {
    NETWORK: {"color": BLUE, "linestyle": "-"},
    LOGISTIC: {"color": ORANGE, "linestyle": "--"},
    MAJORITY: {"color": "#444444", "linestyle": ":"},
}
PALE = ("#F2BE97", "#FFFFFF", "#9CC8E5")
"""The classes' colours, thinned: probability 0, 1/2 and 1 of the second class."""
TELLING = 5
BINS = 25
GRID = 201

DATA_EXPLAINED = (
    "Top left: all rows. The others, in the same colours: training rows by the value of a feature, for the "
    "features whose correlation r with the label (0 the first class, 1 the second) is largest in size."
)
LOSSES_EXPLAINED = (
    "Binary cross-entropy on the training rows, lower is better; epoch 0 is the network's random start, an "
    "epoch one pass over the rows. The horizontal lines are what the others end at. The loss says how well "
    "the training rows are learned, not how well new ones are told apart: for that, see the test accuracies."
)
REGIONS_EXPLAINED = (
    "Both models fitted again, on these two features alone; the accuracies are those of these two, not of "
    "the models on all features. Colour: the probability of the second class; black line: where it is 1/2; "
    "marks: the test rows."
)
SPREAD_EXPLAINED = " Many share a place: each mark is moved a little, at random, so as to be seen."


def write_comparison(comparison: Comparison, folder: Path, command: str) -> list[Path]:
    """Writes the figures and result.json into a folder that is new or empty, all or nothing."""
    drawn = draw_comparison(comparison, command)

    def write(scratch: Path) -> None:
        for name, figure in drawn.items():
            save(figure, scratch / name)
        write_json(scratch / "result.json", {"command": command, **comparison.result})

    write_folder_atomically(folder, write)
    return [folder / name for name in (*drawn, "result.json")]


def draw_comparison(comparison: Comparison, command: str) -> "dict[str, Figure]":
    """File name -> figure. There are no decision regions where there is one feature."""
    repeat = f"\nRepeat: {command}"
    figures = {
        "data.png": draw_data(comparison, caption=DATA_EXPLAINED + repeat),
        "loss.png": draw_losses(comparison, caption=LOSSES_EXPLAINED + repeat),
    }
    if comparison.pair is not None:
        figures["regions.png"] = draw_regions(comparison, caption=REGIONS_EXPLAINED, repeat=repeat)
    return figures


@styled()
def draw_data(comparison: Comparison, *, caption: str) -> "Figure":
    """Rows of either class, and the most telling features by class."""
    table = comparison.table
    X, y = table.features[comparison.train], table.labels[comparison.train]
    panel, height, before, above, below, columns = 2.6, 1.9, 0.65, 0.35, 0.55, 3
    telling = most_telling(X, y)[:TELLING]
    rows = -(-(1 + len(telling)) // columns)
    width = columns * (before + panel) + 2 * MARGIN
    features = len(table.feature_names)
    title = f"{table.name}: {len(table.labels):,} rows, {features:,} feature{'s' * (features != 1)}"
    figure, top = new_page(width, rows * (above + height + below), title, caption)
    places = [
        (MARGIN + before + column * (before + panel), top - row * (above + height + below) - above - height)
        for row in range(rows)
        for column in range(columns)
    ]
    _draw_balance(add_axes(figure, *places[0], panel, height), comparison)
    r = correlations(X, y)
    for number, place in zip(telling, places[1:], strict=False):
        axes = add_axes(figure, *place, panel, height)
        _draw_feature(axes, X[:, number], y, table.class_names)
        name = table.feature_names[number]
        head = f"{shortened(name, panel - 0.8, TEXT)}, r = {r[number]:.2f}"
        axes.set_title(head, fontsize=TEXT, loc="left")
        axes.set_xlabel(shortened(table.unit or name, panel, TEXT))
        if number == telling[0]:
            axes.legend(fontsize=SMALL, framealpha=0.7)
    return figure


def _draw_balance(axes: "Axes", comparison: Comparison) -> None:
    table = comparison.table
    names = [shortened(name, 1.1, TEXT) for name in table.class_names]
    for number, (count, style) in enumerate(zip(table.counts, CLASSES, strict=True)):
        axes.bar(number, count, width=0.6, color=style["color"])
        share = f"{count:,} ({count / len(table.labels):.1%})"
        axes.annotate(share, (number, count), (0, 3), textcoords="offset points", ha="center")
    axes.set_xticks([0, 1], names)
    axes.set_xlim(-0.6, 1.6)
    axes.set_ylim(0, 1.15 * max(table.counts))
    axes.set_xlabel("class")
    axes.set_ylabel("rows")
    axes.set_title("the classes", fontsize=TEXT, loc="left")


def _draw_feature(axes: "Axes", values: np.ndarray, y: np.ndarray, class_names: list[str]) -> None:
    edges = _edges(values).tolist()
    for label, (name, style) in enumerate(zip(class_names, CLASSES, strict=True)):
        of_class = values[y == label]
        axes.hist(of_class, edges, color=style["color"], alpha=0.35)
        axes.hist(of_class, edges, color=style["color"], histtype="step", linewidth=1.2, label=name)
    axes.set_ylabel("training rows")
    axes.locator_params(axis="x", nbins=5)


def _edges(values: np.ndarray) -> np.ndarray:
    """Of the bars: one a value where there are few whole numbers, else BINS of one width."""
    low, high = values.min(), values.max()
    if high - low < BINS and (values == np.rint(values)).all():
        return np.arange(low, high + 2) - 0.5
    return np.histogram_bin_edges(values, BINS)


@styled()
def draw_losses(comparison: Comparison, *, caption: str) -> "Figure":
    """The training loss: the network's epoch by epoch, of the others where they end."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

    losses = comparison.models[NETWORK].losses
    panel, height, before, below, legend = 7.6, 3.6, 0.85, 0.6, 0.35
    width = before + panel + 2 * MARGIN
    title = f"{comparison.table.name}: training loss after each of {len(losses) - 1:,} epochs"
    figure, top = new_page(width, legend + height + below, title, caption)
    axes = add_axes(figure, before, top - legend - height, panel, height)
    axes.plot(losses, label=NETWORK, **LINES[NETWORK])
    for name in (LOGISTIC, MAJORITY):
        axes.axhline(comparison.models[name].losses[-1], label=name, **LINES[name])
    axes.set_yscale("log")
    axes.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("epoch")
    axes.set_ylabel("training loss (nats, logarithmic scale)")
    axes.grid(alpha=0.25)
    axes.set_xlim(left=0)
    legend_above(figure, axes, before, top)
    return figure


@styled()
def draw_regions(comparison: Comparison, *, caption: str, repeat: str = "") -> "Figure":
    """Where in the plane of two features each model says which class, and the test rows.

    Raises ValueError for a comparison without the two.
    """
    table, pair = comparison.table, comparison.pair
    if pair is None:
        raise ValueError("pair=None leaves no plane to draw; compare on two features or more")
    points, y = table.features[comparison.test][:, pair], table.labels[comparison.test]
    shown = _spread(points)
    if shown is not points:
        caption += SPREAD_EXPLAINED
    names = [table.feature_names[number] for number in pair]
    axes_names = [f"{name} ({table.unit})" if table.unit else name for name in names]
    panel, height, before, below, legend, bar = 4.0, 3.7, 0.75, 0.6, 0.3, 0.15
    width = 2 * (before + panel) + 0.9 + 2 * MARGIN
    head = lines_height(2, TEXT) + 0.1
    title = f"{table.name}: decision regions of {shortened(names[0], 2.5, TEXT)} and "
    title += shortened(names[1], 2.5, TEXT)
    figure, top = new_page(width, legend + head + height + below, title, caption + repeat)
    bottom = top - legend - head - height
    for number, name in enumerate((LOGISTIC, NETWORK)):
        left = before + number * (panel + before)
        axes = add_axes(figure, left, bottom, panel, height)
        image = _draw_probabilities(axes, comparison, name, shown)
        for label, (class_name, style) in enumerate(zip(table.class_names, CLASSES, strict=True)):
            marks = shown[y == label].T
            axes.scatter(*marks, s=16, label=class_name, edgecolors="white", linewidths=0.4, **style)
        axes.set_xlabel(shortened(axes_names[0], panel, TEXT))
        axes.set_ylabel(shortened(axes_names[1], height, TEXT))
        axes.locator_params(nbins=6, steps=[1, 2, 5, 10])
        write_lines(figure, left, top - legend, _head(name, comparison.result["two_features"]), TEXT)
        if number == 0:
            legend_above(figure, axes, before, top)
        else:
            scale = add_axes(figure, left + panel + 0.15, bottom, bar, height)
            colours = figure.colorbar(image, cax=scale)
            colours.set_label(f"probability of {shortened(table.class_names[1], 1.5, TEXT)}")
            colours.outline.set_linewidth(0.5)
    return figure


def _head(name: str, two_features: dict[str, Any]) -> list[str]:
    figures = two_features["models"][name]
    low, high = figures["accuracy_ci95"]
    return [name, f"test accuracy {figures['accuracy']:.4f}, 95% interval {low:.4f} to {high:.4f}"]


def _draw_probabilities(axes: "Axes", comparison: Comparison, name: str, points: np.ndarray) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    from glassformer.baselines.network import sigmoid

    low, high = points.min(axis=0), points.max(axis=0)
    room = 0.05 * np.where(high > low, high - low, 1.0)
    across, up = (np.linspace(*ends, GRID) for ends in zip(low - room, high + room, strict=True))
    plane = np.stack(np.meshgrid(across, up), axis=-1)
    logits = comparison.pair_models[name].logits(plane.reshape(-1, 2)).reshape(GRID, GRID)
    colours = LinearSegmentedColormap.from_list("classes", PALE)
    image = axes.pcolormesh(across, up, sigmoid(logits), cmap=colours, vmin=0, vmax=1, rasterized=True)
    if logits.min() < 0 < logits.max():
        axes.contour(across, up, logits, levels=[0], colors="black", linewidths=1)
    return image


def _spread(points: np.ndarray) -> np.ndarray:
    """The points, or, where many coincide, each moved by up to 0.3 of the gap between neighbouring values."""
    if len(np.unique(points, axis=0)) > 0.8 * len(points):
        return points
    gaps = [np.diff(np.unique(values)).min(initial=np.inf) for values in points.T]
    reach = 0.3 * np.where(np.isfinite(gaps), gaps, 1.0)
    return points + np.random.default_rng(0).uniform(-reach, reach, points.shape)
