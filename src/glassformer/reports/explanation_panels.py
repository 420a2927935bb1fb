"""The panels of an explanation's page. Each function gives a height and what draws the panel below a top."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from glassformer.explain.explanation import Explanation, Map
from glassformer.reports.page import (
    BLUE,
    MARGIN,
    ORANGE,
    SMALL,
    TEXT,
    add_axes,
    lines_height,
    shortened,
    text_width,
    wrapped,
    write_lines,
)

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Draw = Callable[["Figure", float], None]

INNER = 10.2
"""Width between the margins, inches."""
TOKENS_SHOWN, HEADS_SHOWN, ROWS_SHOWN = 16, 24, 40
LEAST_BAR, ABOVE_MAPS, BELOW_MAPS = 0.8, 0.45, 0.45
"""Inches: of a colour bar, whose map may be flatter; for the headings above maps, the numbers below."""
BESIDE_A_MAP = 0.75
"""Inches from a map of patches to the next: its colour bar, the numbers of both."""
ONE_ROW = 0.3
"""Height in inches of a map of one query."""
TICK = SMALL - 0.5
DARKEST = 0.6
"""How much of a full colour lies under black letters, so that they stay readable."""
MISSING = {
    "better": "",
    "little": " (little better than chance)",
    "chance": " (no better than chance)",
    "worse": " (worse than chance)",
}
COLOURS = (BLUE, ORANGE, "#009E73", "#CC79A7")
MARKERS = "osD^"


def shade(value: float, largest: float) -> tuple[float, float, float]:
    """White at 0, towards blue above it, towards orange below."""
    share = DARKEST * min(1.0, abs(value) / largest) if largest > 0 else 0.0
    full = [int((BLUE if value > 0 else ORANGE)[i : i + 2], 16) / 255 for i in (1, 3, 5)]
    red, green, blue = (1 - share * (1 - each) for each in full)
    return red, green, blue


def labelled(explanation: Explanation, method: str) -> str:
    """The name of an attribution, with what its deletion curve says where that is bad."""
    found = explanation.verdict(method)
    return method + (MISSING[found.verdict] if found else "")


def flow(explanation: Explanation, width: float) -> list[tuple[float, int, int, str]]:
    """Where the tokens of a text stand in lines of this width: (left, line, token, what is written)."""
    assert explanation.text is not None
    assert explanation.spans is not None
    found, left, line, end = [], 0.0, 0, 0
    space = text_width("a b", TEXT) - text_width("ab", TEXT)
    for number, ((begin, stop), part) in enumerate(zip(explanation.spans, explanation.parts, strict=True)):
        piece = shortened(" ".join(part.split()) or part, width, TEXT)
        left += space if begin > end and left else 0.02
        if left + text_width(piece, TEXT) > width:
            left, line = 0.0, line + 1
        found.append((left, line, number, piece))
        left += text_width(piece, TEXT)
        end = stop
    return found


def draw_text(explanation: Explanation, inner: float = INNER) -> tuple[float, Draw]:
    """The whole text, once for each attribution, each token coloured."""
    before = 1.6
    placed = flow(explanation, inner - before)
    pitch = 1.45 * TEXT / 72
    tall = max(lines_height(3, TEXT), (placed[-1][1] + 1) * pitch) + 0.15

    def draw(figure: "Figure", top: float) -> None:
        from matplotlib.patches import Rectangle

        across, up = figure.get_size_inches()
        for name, values in explanation.attributions.items():
            write_lines(figure, MARGIN, top, wrapped(labelled(explanation, name), before - 0.15, TEXT), TEXT)
            largest = float(np.abs(values[0]).max())
            for left, line, number, piece in placed:
                x, y = MARGIN + before + left, top - line * pitch - TEXT / 72
                place = (x / across, (y - 0.03) / up)
                size = text_width(piece, TEXT) / across, 1.25 * TEXT / 72 / up
                colour = shade(values[0][number], largest)
                figure.add_artist(
                    Rectangle(place, *size, facecolor=colour, transform=figure.transFigure, zorder=0)
                )
                figure.text(x / across, y / up, piece, fontsize=TEXT, va="baseline")
            top -= tall

    return tall * len(explanation.attributions), draw


def draw_grid_maps(explanation: Explanation, inner: float = INNER) -> tuple[float, Draw]:
    """The picture, and beside it the patches by each attribution."""
    from matplotlib.ticker import MaxNLocator, ScalarFormatter

    picture, grid = explanation.picture, explanation.grid
    assert picture is not None
    assert grid is not None
    room = inner / (1 + len(explanation.attributions))
    side = min(2.0, room - BESIDE_A_MAP)
    rows, columns = grid
    wide, tall = side * min(1.0, columns / rows), side * min(1.0, rows / columns)
    bar_tall = max(tall, LEAST_BAR)

    def draw(figure: "Figure", top: float) -> None:
        bottom = top - ABOVE_MAPS - tall
        axes = add_axes(figure, MARGIN, bottom, wide, tall)
        _show_picture(axes, picture)
        heading = wrapped("the image as the model sees it", room - 0.1, TEXT)
        write_lines(figure, MARGIN, top - 0.15 * (2 - min(2, len(heading))), heading[:2], TEXT)
        for number, (name, values) in enumerate(explanation.attributions.items(), start=1):
            left = MARGIN + number * room
            axes = add_axes(figure, left, bottom, wide, tall)
            image = _signed(axes, values[0].reshape(grid))
            image.set_extent((0.5, columns + 0.5, rows + 0.5, 0.5))  # counted from 1
            heading = wrapped(labelled(explanation, name), room - 0.1, TEXT)
            write_lines(figure, left, top - 0.15 * (2 - min(2, len(heading))), heading[:2], TEXT)
            for axis in (axes.xaxis, axes.yaxis):
                axis.set_major_locator(MaxNLocator(4, integer=True, min_n_ticks=1))
            bar = add_axes(figure, left + wide + 0.06, top - ABOVE_MAPS - bar_tall, 0.08, bar_tall)
            figures = ScalarFormatter()
            figures.set_powerlimits((-3, 4))  # a power of ten above the bar: short numbers beside it
            scale = figure.colorbar(image, cax=bar, format=figures, ticks=MaxNLocator(4))
            scale.ax.yaxis.get_offset_text().set_fontsize(6)
            scale.outline.set_linewidth(0.4)  # pyrefly: ignore[not-callable]
            scale.ax.tick_params(labelsize=6)
            axes.set_xlabel("patch column", fontsize=SMALL)
            if number == 1:
                axes.set_ylabel("patch row", fontsize=SMALL)

    return ABOVE_MAPS + max(tall + BELOW_MAPS, bar_tall + 0.1), draw


def draw_written(explanation: Explanation, inner: float = INNER) -> tuple[float, Draw]:
    """Of each written token, over the source: one heat map an attribution."""
    methods = list(explanation.attributions.items())
    sources, written = explanation.parts[:TOKENS_SHOWN], explanation.written[:TOKENS_SHOWN]
    room = inner / len(methods)
    side = room - 0.95
    tall = min(side, max(1.2, side * len(written) / len(sources)))

    def draw(figure: "Figure", top: float) -> None:
        for number, (name, values) in enumerate(methods):
            left = MARGIN + number * room
            heading = wrapped(labelled(explanation, name), side, TEXT)
            write_lines(figure, left + 0.75, top - 0.16 * (2 - min(2, len(heading))), heading[:2], TEXT)
            axes = add_axes(figure, left + 0.75, top - 0.4 - tall, side, tall)
            _signed(axes, values[: len(written), : len(sources)], aspect="auto")
            _token_ticks(axes, written, sources)
            axes.set_xlabel("source token", fontsize=SMALL)
            axes.set_ylabel("written token", fontsize=SMALL)

    return tall + 1.15, draw


def draw_heads(explanation: Explanation) -> tuple[float, Draw, str]:
    """Height, drawing, and what is shown: the attention of each head."""
    panels = [(each, head) for each in explanation.maps for head in range(len(each.weights))]
    shown = panels[-HEADS_SHOWN:]
    cut = (
        ""
        if len(panels) == len(shown)
        else f" The last {len(shown)} of {len(panels)} heads; the HTML page has all."
    )
    if explanation.grid is not None:
        text = (
            "How much each patch is looked at: "
            + ("by the CLS token." if explanation.cls else "the mean over all patches that look.")
            + " Darker is more; every map has a scale of its own."
        )
        return *_small_maps(explanation, shown), text + cut
    long = max(max(len(each.queries), len(each.keys)) for each in explanation.maps)
    first = (
        f" The first {TOKENS_SHOWN} of {long:,} tokens; the coloured text has all."
        if long > TOKENS_SHOWN
        else ""
    )
    text = (
        "A row says what one token (query) takes from each (key). White is 0, the darkest blue the largest "
        "weight of that map." + asks_alone(explanation) + first + cut
    )
    return *_large_maps(shown), text


def asks_alone(explanation: Explanation) -> str:
    """A sentence, where one token alone asks in the last layer; else nothing."""
    last = explanation.maps[-1]
    if last.kind != "self-attention" or len(last.queries) == len(last.keys):
        return ""
    return f" In the last layer {last.queries[0]} alone asks: what the others have there is not read."


def _large_maps(panels: list[tuple[Map, int]]) -> tuple[float, Draw]:
    columns, room = 3, INNER / 3
    side, label = 2.3, 0.85
    keys = {key for each, _ in panels for key in each.keys[:TOKENS_SHOWN]}
    around = 0.75 + min(0.6, max(text_width(key, TICK) for key in keys))
    deep = [side if len(each.queries) > 1 else ONE_ROW for each, _ in panels]
    tall = [max(deep[first : first + columns]) + around for first in range(0, len(panels), columns)]

    def draw(figure: "Figure", top: float) -> None:
        for number, (each, head) in enumerate(panels):
            row, column = divmod(number, columns)
            left, high = MARGIN + column * room, top - sum(tall[:row])
            write_lines(
                figure, left + label, high, [f"{each.kind}, layer {each.layer}, head {head + 1}"], SMALL
            )
            queries, keys = each.queries[:TOKENS_SHOWN], each.keys[:TOKENS_SHOWN]
            axes = add_axes(figure, left + label, high - 0.2 - deep[number], side, deep[number])
            cells = each.weights[head, : len(queries), : len(keys)]
            axes.imshow(cells, cmap="Blues", vmin=0, vmax=cells.max(), aspect="auto", interpolation="nearest")
            _token_ticks(axes, queries, keys)
            axes.set_xlabel("key", fontsize=SMALL, labelpad=1)
            axes.set_ylabel("query", fontsize=SMALL, labelpad=1)

    return sum(tall), draw


def _small_maps(explanation: Explanation, panels: list[tuple[Map, int]]) -> tuple[float, Draw]:
    grid = explanation.grid
    assert grid is not None
    columns = 6
    room = INNER / columns
    side = room - 0.35
    rows = -(-len(panels) // columns)

    def draw(figure: "Figure", top: float) -> None:
        for number, (each, head) in enumerate(panels):
            row, column = divmod(number, columns)
            left, high = MARGIN + column * room, top - row * (side + 0.3)
            write_lines(figure, left, high, [f"layer {each.layer}, head {head + 1}"], SMALL)
            axes = add_axes(figure, left, high - 0.17 - side, side, side)
            weights = each.weights[head]
            received = weights[0, 1:] if explanation.cls else weights.mean(0)
            axes.imshow(received.reshape(grid), cmap="Blues", vmin=0, interpolation="nearest")
            axes.set_xticks([])
            axes.set_yticks([])
            axes.set_anchor("NW")

    return rows * (side + 0.3), draw


def draw_ablation(explanation: Explanation) -> tuple[float, Draw]:
    """The accuracy lost without each head, dots with intervals, and the figures beside them."""
    found = sorted(explanation.ablation, key=lambda each: -each.lost)[:ROWS_SHOWN]
    pitch, name_width, numbers = 0.22, 3.1, 3.3

    def draw(figure: "Figure", top: float) -> None:
        tall = pitch * len(found)
        axes = add_axes(figure, MARGIN + name_width, top - tall, INNER - name_width - numbers, tall)
        for row, each in enumerate(found):
            low, high = each.interval
            colour = BLUE if each.counts else "#888888"
            axes.plot([low, high], [row, row], color=colour, linewidth=1.5)
            axes.plot([each.lost], [row], marker="o", color=colour, markersize=4)
            y = top - row * pitch - (pitch - TEXT / 72) / 2
            write_lines(figure, MARGIN, y, [each.name], TEXT)
            figures = f"{each.lost:+.4f}  ({low:+.4f} to {high:+.4f}), {each.fell} fell, {each.rose} rose"
            write_lines(figure, MARGIN + INNER - numbers + 0.15, y, [figures], SMALL)
        axes.axvline(0, color="black", linewidth=0.8)
        axes.set_ylim(len(found) - 0.5, -0.5)
        axes.set_yticks([])
        axes.spines["left"].set_visible(False)
        axes.set_xlabel("accuracy lost")
        axes.locator_params(axis="x", nbins=5)

    return pitch * len(found) + 0.5, draw


def draw_curves(explanation: Explanation, sentences: bool = True) -> tuple[float, Draw]:
    """The deletion curves; sentences: and in words, beside them, what each of them says."""
    wide, before = 4.3, 0.6
    beside = INNER - wide - before - 0.4
    told = [wrapped(each.sentence, beside, TEXT) for each in explanation.faithfulness if sentences]
    tall = max(3.0, sum(lines_height(len(lines), TEXT) + 0.12 for lines in told))

    def draw(figure: "Figure", top: float) -> None:
        axes = add_axes(figure, MARGIN + before, top - 3.0, wide, 3.0)
        for each, colour, marker in zip(explanation.faithfulness, COLOURS, MARKERS, strict=False):
            axes.plot(each.shares, each.curve, color=colour, marker=marker, markersize=4, label=each.name)
        first = explanation.faithfulness[0]
        axes.plot(first.shares, first.random, color="#444444", linestyle="--", label="random order")
        axes.set_xlabel("share of the parts deleted")
        axes.set_ylabel("mean probability of the answer")
        highest = max(max(*each.curve, *each.random) for each in explanation.faithfulness)
        axes.set_ylim(0, min(1.02, 1.1 * highest))
        axes.set_xlim(0, 1)
        axes.grid(alpha=0.25)
        axes.legend(fontsize=SMALL, framealpha=0.85)
        at = top
        for each, lines in zip(explanation.faithfulness, told, strict=False):
            weight: dict[str, Any] = {} if each.verdict == "better" else {"color": "#A03000"}
            write_lines(figure, MARGIN + before + wide + 0.4, at, lines, TEXT, **weight)
            at -= lines_height(len(lines), TEXT) + 0.12

    return tall + 0.5, draw


def _show_picture(axes: "Axes", picture: np.ndarray) -> None:
    pixels = picture[0] if len(picture) == 1 else picture.transpose(1, 2, 0)
    axes.imshow(pixels, cmap="gray", vmin=0, vmax=255, interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_anchor("W")


def _signed(axes: "Axes", cells: np.ndarray, aspect: Literal["auto", "equal"] = "equal") -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    signed = bool((cells < 0).any())
    colours = LinearSegmentedColormap.from_list("signed", [ORANGE] * signed + ["#FFFFFF", BLUE])
    largest = float(np.abs(cells).max()) or 1.0
    image = axes.imshow(
        cells,
        cmap=colours,
        vmin=-largest if signed else 0.0,
        vmax=largest,
        aspect=aspect,
        interpolation="nearest",
    )
    axes.tick_params(labelsize=6)
    return image


def _token_ticks(axes: "Axes", queries: list[str], keys: list[str]) -> None:
    size = TICK
    axes.set_xticks(range(len(keys)), [shortened(key, 0.6, size) for key in keys], fontsize=size, rotation=90)
    axes.set_yticks(range(len(queries)), [shortened(query, 0.6, size) for query in queries], fontsize=size)
    axes.tick_params(length=2, pad=2)
    if len(keys) <= 12 and all(len(key) <= 2 for key in keys):
        axes.tick_params(axis="x", rotation=0)
