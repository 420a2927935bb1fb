"""What the figures of the tour share: a page with panels side by side, and a matrix drawn as a map."""

from typing import TYPE_CHECKING, Any

import numpy as np

from glassformer.reports.page import SMALL, TEXT, add_axes, new_page

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.axis import Axis
    from matplotlib.figure import Figure

WIDTH = 8.4
"""Inches; about the column of a page, so that a point of type is a point there."""


def panels(
    titles: list[str],
    title: str,
    caption: str,
    *,
    height: float = 2.5,
    left: float = 0.75,
    gap: float = 0.85,
    right: float = 0.2,
) -> "tuple[Figure, list[Axes]]":
    """A page with one row of panels of equal width, each with its title above and room for labels."""
    room_below, room_above = 0.45, 0.3
    figure, top = new_page(WIDTH, height + room_below + room_above, title, caption)
    width = (WIDTH - left - right - gap * (len(titles) - 1)) / len(titles)
    axes = []
    for number, name in enumerate(titles):
        x = left + number * (width + gap)
        axes.append(add_axes(figure, x, top - room_above - height, width, height))
        axes[-1].set_title(name, fontsize=TEXT, loc="left")
        axes[-1].tick_params(labelsize=SMALL)
    return figure, axes


def heat(
    axes: "Axes",
    matrix: Any,
    x: str,
    y: str,
    *,
    x_ticks: list[str] | None = None,
    y_ticks: list[str] | None = None,
    numbers: str | None = None,
    **how: Any,
) -> Any:
    """A matrix as a map, row 0 at the top. numbers: format of the entries, if they are to be written in."""
    entries = np.asarray(matrix, dtype=float)
    options: dict[str, Any] = {"cmap": "Blues", "vmin": 0.0} | how
    image = axes.imshow(entries, **options)
    axes.set(xlabel=x, ylabel=y)
    axes.spines[:].set_visible(False)
    if x_ticks is not None:
        axes.set_xticks(range(entries.shape[1]), x_ticks)
    if y_ticks is not None:
        axes.set_yticks(range(entries.shape[0]), y_ticks)
    if numbers is not None:
        low, high = image.get_clim()
        for (i, j), value in np.ndenumerate(entries):
            dark = value - low > 0.6 * (high - low)
            axes.text(j, i, format(value, numbers), ha="center", va="center", fontsize=SMALL,
                      color="white" if dark else "black")  # fmt: skip
    return image


def plain_ticks(axis: "Axis", values: list[float]) -> None:
    """A logarithmic axis with these values at its ticks, as numbers rather than powers of ten."""
    from matplotlib.ticker import NullLocator

    axis.set_ticks(values, [f"{value:g}" for value in values])
    axis.set_minor_locator(NullLocator())
