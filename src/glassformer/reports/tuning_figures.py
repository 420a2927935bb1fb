"""The figure of `glassformer tune`: how the search went, and which options mattered."""

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

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
    styled,
    text_width,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

TUNING = "tuning.png"
TRIALS_EXPLAINED = (
    "Validation accuracy of each trial, in the order they began; the line is the best so far. Trials that "
    "ended early stand at the accuracy they had then. Validation chose, so the best accuracy flatters; judge "
    "the configuration on test."
)
IMPORTANCES_EXPLAINED = (
    " Right: how much of the variance of the finished trials each option explains (fANOVA, Hutter et al. "
    "2014); with few trials a rough guess."
)


def write_tuning(result: Mapping[str, Any], folder: Path) -> Path:
    """Writes tuning.png into the folder of the study."""
    explained = TRIALS_EXPLAINED + IMPORTANCES_EXPLAINED * bool(result["importances"])
    figure = draw_tuning(result, caption=f"{explained}\nRepeat: {result['command']}")
    save(figure, folder / TUNING)
    return folder / TUNING


@styled()
def draw_tuning(result: Mapping[str, Any], *, caption: str) -> "Figure":
    """The trials by validation accuracy, and the importances where there are any.

    result: the content of tuning.json.
    """
    from matplotlib.ticker import MaxNLocator

    shares = result["importances"] or {}
    names = max((text_width(option, SMALL) for option in shares), default=0.0)
    panel, height, before, below, legend = 4.3, 3.0, 0.95, 0.6, 0.35
    width = before + panel + (names + 0.45 + 2.6 + 0.35 if shares else 0.0) + 2 * MARGIN
    figure, top = new_page(width, legend + height + below, f"{result['task']}: the search", caption)
    axes = add_axes(figure, before, top - legend - height, panel, height)
    done = [(t["number"], t["validation_accuracy"]) for t in result["trials"] if t["state"] == "complete"]
    early = [(t["number"], list(t["epochs"].values())[-1]) for t in result["trials"]
             if t["state"] == "pruned" and t["epochs"]]  # fmt: skip
    if early:
        axes.plot(*zip(*early, strict=True), "x", color=ORANGE, label="ended early", markersize=6)
    if done:
        numbers, values = zip(*done, strict=True)
        axes.plot(numbers, values, "o", color=BLUE, label="finished", markersize=5)
        axes.step(numbers, np.maximum.accumulate(values), where="post", color="#444444", label="best so far")
    axes.set_xlabel("trial")
    axes.set_ylabel("validation accuracy (share)")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.ticklabel_format(axis="y", useOffset=False)
    legend_above(figure, axes, before, top)
    if shares:
        bars = add_axes(figure, before + panel + 0.45 + names, top - legend - height, 2.6, height)
        places = range(len(shares))
        bars.barh(places, list(shares.values()), color=BLUE, height=0.6)
        for place, share in zip(places, shares.values(), strict=True):
            bars.annotate(f"{share:.2f}", (share, place), (3, 0), textcoords="offset points", va="center",
                          fontsize=SMALL)  # fmt: skip
        bars.set_yticks(places, list(shares), fontsize=SMALL)
        bars.invert_yaxis()
        bars.set_xlim(0, 1.15 * max(shares.values()))
        bars.set_xlabel("importance (share of variance)")
        bars.set_title("which options mattered", fontsize=TEXT, loc="left")
    return figure
