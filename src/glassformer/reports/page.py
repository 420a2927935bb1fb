"""A page to draw on: title above, caption below, and between them axes and lines where they are put.

Lengths are inches, sizes of type are points. Everything is placed by measured text, so that nothing is
clipped or overlaps.
"""

import io
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache
from itertools import takewhile
from pathlib import Path
from typing import TYPE_CHECKING, Any

from glassformer.cache import write_atomically
from glassformer.errors import UsageError
from glassformer.reports.letters import families, missing_letters_told

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

DPI = 150
MARGIN = 0.2
TITLE, TEXT, SMALL = 13.0, 9.0, 7.5
LINE = 1.3
"""Height of a line of type, as a multiple of its size; its base line lies 1 below its top."""
# two colours of Okabe & Ito 2008, 'Color Universal Design', that differ in lightness too
ORANGE, BLUE = "#D55E00", "#0072B2"
STYLE: dict[str, Any] = {
    "font.size": TEXT,
    "text.parse_math": False,  # a class may be called '$5 to $10'
    "axes.spines.top": False,
    "axes.spines.right": False,
    "pdf.fonttype": 42,  # whole letters instead of drawings of them, so that a text can be searched
}


@contextmanager
def styled() -> Iterator[None]:
    """Our style alone, whatever the reader's matplotlibrc says; given back afterwards."""
    from matplotlib import style

    with style.context(["default", STYLE | {"font.family": families()}]), missing_letters_told():
        yield


def new_page(width: float, body: float, title: str, caption: str | None) -> tuple["Figure", float]:
    """A page with its title above and its caption below, and the top of the room between, `body` high.

    Without a caption there is no title either: the page that it will stand on has both.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    if caption is None:
        figure = Figure((width, body + 0.1))
        FigureCanvasAgg(figure)
        return figure, body + 0.05
    above, below = wrapped(title, width - 2 * MARGIN, TITLE), wrapped(caption, width - 2 * MARGIN, TEXT)
    top = MARGIN + lines_height(len(below), TEXT) + 0.15 + body
    figure = Figure((width, top + 0.15 + lines_height(len(above), TITLE) + MARGIN))
    FigureCanvasAgg(figure)
    write_lines(figure, MARGIN, figure.get_figheight() - MARGIN, above, TITLE)
    write_lines(figure, MARGIN, MARGIN + lines_height(len(below), TEXT), below, TEXT, color="#333333")
    return figure, top


def add_axes(figure: "Figure", left: float, bottom: float, width: float, height: float) -> "Axes":
    across, up = figure.get_size_inches()
    return figure.add_axes((left / across, bottom / up, width / across, height / up))


def legend_above(figure: "Figure", axes: "Axes", left: float, top: float, **how: Any) -> None:
    """What the axes' marks mean, its upper left corner there, as many side by side as fit on the page."""
    across, up = figure.get_size_inches()
    for columns in (4, 3, 2, 1):
        legend = figure.legend(
            handles=axes.get_legend_handles_labels()[0],
            loc="upper left",
            bbox_to_anchor=(left / across, top / up),
            ncols=columns,
            frameon=False,
            borderaxespad=0.0,
            borderpad=0.0,
            **how,
        )
        if columns == 1 or legend.get_window_extent().x1 <= figure.bbox.x1:
            return
        legend.remove()


def write_lines(figure: "Figure", x: float, top: float, lines: list[str], size: float, **how: Any) -> None:
    """Line by line on base lines of one pitch; a text of several lines would have uneven ones."""
    across, up = figure.get_size_inches()
    for number, line in enumerate(lines):
        y = top - (number * LINE + 1) * size / 72
        figure.text(x / across, y / up, line, fontsize=size, va="baseline", **how)


def lines_height(lines: int, size: float) -> float:
    return lines * LINE * size / 72


@lru_cache(maxsize=4096)
def text_width(text: str, size: float) -> float:
    """Of one line; 2% more than its outlines, since a renderer rounds each letter to whole pixels."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    font = FontProperties(family=families(), size=100)
    return 1.02 * text_to_path.get_text_width_height_descent(text, font, False)[0] / 100 * size / 72


def shortened(text: str, width: float, size: float) -> str:
    """The text, or its two ends about an ellipsis: names often differ at their ends."""
    if text_width(text, size) <= width:
        return text

    def short(kept: int) -> str:
        return f"{text[: kept - kept // 2]}…{text[len(text) - kept // 2 :]}"

    return short(bisect_right(range(1, len(text)), width, key=lambda kept: text_width(short(kept), size)))


def told_apart(names: Sequence[str], width: float, size: float) -> list[str]:
    """The names, shortened; those that would then read alike without the words that they begin with."""
    labels = [shortened(name, width, size) for name in names]
    for label in {label for label in labels if labels.count(label) > 1}:
        words = {place: names[place].split() for place, each in enumerate(labels) if each == label}
        same = sum(1 for _ in takewhile(lambda each: len(set(each)) == 1, zip(*words.values(), strict=False)))
        if same:
            for place, own in words.items():
                labels[place] = shortened(f"…{' '.join(own[same:])}", width, size)
    return labels


def wrapped(text: str, width: float, size: float) -> list[str]:
    """Lines no wider than `width`; a word that is wider by itself is broken."""
    lines = []
    for paragraph in text.splitlines():
        line = ""
        for word in paragraph.split():
            rest = word
            if line and text_width(f"{line} {word}", size) <= width:
                line, rest = f"{line} {word}", ""
            elif line:
                lines.append(line)
                line = ""
            while rest:
                fits = bisect_right(range(1, len(rest) + 1), width, key=lambda n: text_width(rest[:n], size))
                line, rest = rest[: max(1, fits)], rest[max(1, fits) :]
                if rest:
                    lines.append(line)
        lines.append(line)
    return lines


def as_bytes(figure: "Figure", kind: str) -> bytes:
    """The figure as pdf or svg, to stand in a document."""
    file = io.BytesIO()
    with styled():
        _fix_ticks(figure)
        figure.savefig(file, format=kind, bbox_inches="tight", pad_inches=0.02)
    return file.getvalue()


def _fix_ticks(figure: "Figure") -> None:
    """As they are now: matplotlib may choose others between measuring the figure and drawing it."""
    from matplotlib.ticker import FixedLocator

    for axis in (axis for axes in figure.axes for axis in (axes.xaxis, axes.yaxis)):
        if not isinstance(axis.get_major_locator(), FixedLocator):
            low, high = sorted(axis.get_view_interval())
            slack = 1e-9 * (high - low)
            axis.set_ticks([tick for tick in axis.get_ticklocs() if low - slack <= tick <= high + slack])


def require_figure(path: Path) -> str:
    """The kind of figure that the file's name asks for. Raises UsageError for none of png, svg and pdf."""
    kind = path.suffix.lower().removeprefix(".")
    if kind not in ("png", "svg", "pdf"):
        raise UsageError(f"{path} ends in {path.suffix!r}; choose .png, .svg or .pdf")
    return kind


def save(figure: "Figure", path: Path) -> None:
    """Whole or not at all. Raises UsageError for a suffix other than .png, .svg and .pdf."""
    kind = require_figure(path)
    with styled():
        write_atomically(path, lambda scratch: figure.savefig(scratch, format=kind, dpi=DPI))
