"""Figures of `glassformer compare`: what each option does to the validation accuracy."""

import math
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassformer.experiments.comparison import mean_interval
from glassformer.reports.page import (
    BLUE,
    MARGIN,
    ORANGE,
    SMALL,
    TEXT,
    add_axes,
    legend_above,
    new_page,
    save,
    shortened,
    styled,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

EFFECTS = "effects.png"
ACROSS = 2
PANEL, HEIGHT, BEFORE, ABOVE, BELOW, LEGEND = 4.3, 2.6, 0.95, 0.4, 0.65, 0.35
TURN_FROM = 0.9
"""Share of the room between two values that their names may fill before they are turned."""


def write_comparison(result: Mapping[str, Any], folder: Path) -> Path:
    """Writes effects.png into the folder of the study."""
    save(draw_effects(result, caption=explained(result)), folder / EFFECTS)
    return folder / EFFECTS


def explained(result: Mapping[str, Any]) -> str:
    """The caption: what the marks are, and the command that repeats them."""
    grid = any(len(row["changed"]) > 1 for row in result["rows"])
    what = (
        "each seed's mean over all configurations with this value"
        if grid
        else "one training each; all else is as in the base"
    )
    return (
        f"Validation accuracy by option. Small marks: the seeds, {what}. Large marks and bars: their mean "
        "and its 95% interval over seeds (Student's t). "
        + "Dashed: the best of the baselines fitted on the same split. " * baseline_is_near(result)
        + f"The axes need not begin at zero.\nRepeat: {result['command']}"
    )


def baseline_is_near(result: Mapping[str, Any]) -> bool:
    """Whether the best baseline is drawn: not where it would press all else together."""
    return _drawn(result)[1] is not None


def by_value(result: Mapping[str, Any], option: str) -> dict[str, list[float]]:
    """Each value of an option -> the validation accuracy of each seed, a mean over the rows that have it."""
    rows = [row for row in result["rows"] if row["kind"] == "model" and row["validation"]]
    found: dict[str, list[float]] = {}
    for value in _in_order(dict.fromkeys(row["settings"][option] for row in rows)):
        # one at a time, only the base and those that vary this option tell of it
        of_value = [row for row in rows if row["settings"][option] == value and _tells_of(row, option, rows)]
        if not of_value:  # its base failed
            continue
        seeds = [seed for seed in result["seeds"] if all(seed in row["seeds"] for row in of_value)]
        accuracy = lambda row, seed: row["validation"]["each"][row["seeds"].index(seed)]  # noqa: E731
        found[value] = [float(np.mean([accuracy(row, seed) for row in of_value])) for seed in seeds]
    return {value: each for value, each in found.items() if each}


def _in_order(values: Iterable[str]) -> list[str]:
    """Numbers by their size, words as they come."""
    listed = list(values)
    try:
        return sorted(listed, key=float)
    except ValueError:
        return listed


def _tells_of(row: dict[str, Any], option: str, rows: list[dict[str, Any]]) -> bool:
    grid = any(len(other["changed"]) > 1 for other in rows)
    return grid or set(row["changed"]) <= {option}


@styled()
def draw_effects(
    result: Mapping[str, Any],
    *,
    caption: str | None,
    across: int = ACROSS,
    panel: float = PANEL,
    height: float = HEIGHT,
) -> "Figure":
    """One panel an option: the seeds, their mean and its interval, at each of its values.

    result: the content of comparison.json. caption: None leaves the title out too. across: panels in a row
    at most; panel, height: of each, inches.
    Raises ValueError where no run finished.
    """
    effects, rival, (low, high), resolution = _drawn(result)
    across = min(across, len(effects))
    down = math.ceil(len(effects) / across)
    width = across * (BEFORE + panel) + 2 * MARGIN
    above = ABOVE if caption is not None else 0.15
    body = LEGEND + down * (above + height + BELOW)
    title = f"{result['task']}: what each option does"
    figure, top = new_page(width, body, title, caption)
    for number, (option, values) in enumerate(effects.items()):
        column, row = number % across, number // across
        left = MARGIN + column * (BEFORE + panel) + BEFORE - MARGIN
        bottom = top - LEGEND - row * (above + height + BELOW) - above - height
        axes = add_axes(figure, left, bottom, panel, height)
        _draw_values(axes, values, panel, resolution)
        if rival:
            best = rival["validation"]["mean"]
            axes.axhline(best, color=ORANGE, linestyle="--", label=f"best baseline: {rival['label']}")
        axes.set_ylim(low, high)
        axes.set_xlabel(shortened(option, panel, TEXT))
        axes.set_ylabel("validation accuracy (share)")
        axes.grid(axis="y", alpha=0.25)
        axes.ticklabel_format(axis="y", useOffset=False)
        if number == 0:
            legend_above(figure, axes, left, top)
    return figure


def _drawn(
    result: Mapping[str, Any],
) -> tuple[dict[str, Any], dict[str, Any] | None, tuple[float, float], float]:
    """Each option's values, the best baseline where it is near, the ends of the scale, an example's share."""
    models = [row for row in result["rows"] if row["kind"] == "model" and row["validation"]]
    if not models:
        raise ValueError("no run of the comparison finished, so there is nothing to draw")
    effects = {option: by_value(result, option) for option in models[0]["settings"]}
    effects = {option: values for option, values in effects.items() if values}
    rivals = [row for row in result["rows"] if row["kind"] == "baseline" and row["validation"]]
    # a comparison made before this was kept has no count of examples
    resolution = 1 / min(row["validation"].get("examples") or math.inf for row in models)
    low, high = _limits(effects, rivals, resolution)
    near = rivals and low <= rivals[0]["validation"]["mean"] <= high
    return effects, rivals[0] if near else None, (low, high), resolution


def _draw_values(axes: "Axes", values: dict[str, list[float]], panel: float, resolution: float) -> None:
    for place, each in enumerate(values.values()):
        apart = np.linspace(-0.12, 0.12, len(each)) if len(each) > 1 else np.zeros(1)
        axes.plot(place + apart, each, "o", color=BLUE, alpha=0.45, markersize=4, linestyle="none",
                  label="a seed" if place == 0 else None)  # fmt: skip
        mean, interval = float(np.mean(each)), mean_interval(each, resolution)
        reach = None if interval is None else [[mean - interval[0]], [interval[1] - mean]]
        label = "mean" if interval is None else "mean, 95% interval"
        axes.errorbar(place, mean, yerr=reach, fmt="D", color="#222222", markersize=5, capsize=5,
                      label=label if place == 0 else None, zorder=1.5)  # fmt: skip
    room = panel / max(1, len(values))
    names = [shortened(value, 2.0, SMALL) for value in values]
    turned = max(text_width(name, SMALL) for name in names) > TURN_FROM * room
    axes.set_xticks(range(len(values)), names, fontsize=SMALL, rotation=20 if turned else 0)
    axes.set_xlim(-0.5, len(values) - 0.5)


def _limits(
    effects: dict[str, dict[str, list[float]]], rivals: list[dict[str, Any]], resolution: float
) -> tuple[float, float]:
    """One scale for all panels, that holds the intervals, and the best baseline where it is near."""
    ends: list[float] = []
    for values in effects.values():
        for each in values.values():
            ends += [*each, *(mean_interval(each, resolution) or ())]
    low, high = min(ends), max(ends)
    if rivals:
        best = rivals[0]["validation"]["mean"]
        if best - high < 0.5 * max(high - low, 0.02) and low - best < 0.5 * max(high - low, 0.02):
            low, high = min(low, best), max(high, best)
    room = 0.08 * max(high - low, 0.01)
    return low - room, high + room
