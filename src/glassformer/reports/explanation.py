"""An explanation as one page: the input by attribution, attention, heads switched off, deletion curves."""

import io
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from glassformer.cache import write_atomically
from glassformer.errors import UsageError
from glassformer.explain.explanation import Explanation
from glassformer.reports.explanation_panels import (
    INNER,
    draw_ablation,
    draw_curves,
    draw_grid_maps,
    draw_heads,
    draw_text,
    draw_written,
)
from glassformer.reports.page import (
    DPI,
    MARGIN,
    TEXT,
    lines_height,
    new_page,
    save,
    styled,
    wrapped,
    write_lines,
)

if TYPE_CHECKING:
    from matplotlib.figure import Figure

KINDS = (".html", ".png", ".pdf")
HEADING = 11.0
Section = tuple[str, str, float, Callable[["Figure", float], None]]
"""Heading, what the marks are, height, and what draws it below a top."""

GRADIENTS_EXPLAINED = (
    "Blue speaks for the answer, orange against it; the darkest colour is the largest size in that picture."
)
ATTRIBUTION_EXPLAINED = (
    f"{GRADIENTS_EXPLAINED} Attention knows no sign: its blue is only how much is looked at."
)
ABLATION_EXPLAINED = (
    "Each head switched off, its output set to 0: how much accuracy is lost, with its paired 95% interval. "
    "Right of 0 the model needs it; an interval across 0 may be chance."
)
CURVES_EXPLAINED = (
    "Parts deleted from the most to the least important: the lower a curve, the truer the attribution. "
    "Random: the same with a random order, mean of several draws."
)


def require_kind(path: Path) -> None:
    """Raises UsageError for a file that is neither .html, .png nor .pdf."""
    if path.suffix.lower() not in KINDS:
        raise UsageError(f"{path} ends in {path.suffix!r}; choose .html, .png or .pdf")


def write_explanation(explanation: Explanation, path: Path, command: str) -> None:
    """Writes it as its suffix says, whole or not at all. Raises UsageError for an unknown suffix."""
    require_kind(path)
    if path.suffix.lower() == ".html":
        from glassformer.reports.explanation_html import as_html

        page = as_html(explanation, command)
        write_atomically(path, lambda scratch: scratch.write_text(page, encoding="utf-8"))
    else:
        save(draw_explanation(explanation, command), path)


@styled()
def draw_explanation(explanation: Explanation, command: str) -> "Figure":
    """All sections on one page, one below the other."""
    sections = _sections(explanation)
    notes = "".join(f"\nNote: {note}." for note in explanation.notes)
    caption = f"Run {explanation.run}, task {explanation.task}. Answer: {explanation.told}{notes}"
    explained = [wrapped(what, INNER, TEXT) for _, what, _, _ in sections]
    heads = [lines_height(1, HEADING) + lines_height(len(lines), TEXT) + 0.1 for lines in explained]
    body = sum(head + height + 0.3 for head, (_, _, height, _) in zip(heads, sections, strict=True))
    title = f"Why {_short(explanation.answer)}? {explanation.task}, looked into"
    figure, top = new_page(INNER + 2 * MARGIN, body, title, f"{caption}\nRepeat: {command}")
    for (heading, _, height, draw), lines, head in zip(sections, explained, heads, strict=True):
        write_lines(figure, MARGIN, top, [heading], HEADING, weight="bold")
        write_lines(figure, MARGIN, top - lines_height(1, HEADING), lines, TEXT, color="#333333")
        draw(figure, top - head)
        top -= head + height + 0.3
    return figure


def _short(text: str) -> str:
    return text if len(text) <= 40 else f"{text[:39]}…"


def _inputs(explanation: Explanation, inner: float) -> tuple[float, Callable[["Figure", float], None]]:
    if explanation.picture is not None:
        return draw_grid_maps(explanation, inner)
    return draw_written(explanation, inner) if explanation.written else draw_text(explanation, inner)


def _panel(panel: tuple[float, Callable[["Figure", float], None]], inner: float) -> "Figure":
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    height, draw = panel
    figure = Figure((inner + 2 * MARGIN, height + 2 * MARGIN))
    FigureCanvasAgg(figure)
    draw(figure, height + MARGIN)
    return figure


def _sections(explanation: Explanation) -> list[Section]:
    height, draw = _inputs(explanation, INNER)
    explained = ATTRIBUTION_EXPLAINED if explanation.maps else GRADIENTS_EXPLAINED
    sections: list[Section] = [("What speaks for the answer", explained, height, draw)]
    if explanation.maps:
        height, draw, shown = draw_heads(explanation)
        sections.append(("Attention, layer by layer and head by head", shown, height, draw))
    if explanation.ablation:
        height, draw = draw_ablation(explanation)
        judged = f" {explanation.judged:,} validation examples, accuracy {explanation.accuracy:.4f} with all."
        sections.append(("Heads switched off", ABLATION_EXPLAINED + judged, height, draw))
    if explanation.faithfulness:
        height, draw = draw_curves(explanation)
        sections.append(("Is it true? Deletion curves", CURVES_EXPLAINED, height, draw))
    return sections


@styled()
def draw_inputs(explanation: Explanation, inner: float) -> "Figure":
    """The input by attribution alone, on a page of this width between its margins, inches."""
    return _panel(_inputs(explanation, inner), inner)


@styled()
def section_png(panel: tuple[float, Callable[["Figure", float], None]]) -> bytes:
    """One panel alone, for the HTML page."""
    figure = _panel(panel, INNER)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI)
    return file.getvalue()


def picture_png(picture: Any) -> bytes:
    """The pixels of an image, (channels height width) uint8, as they are."""
    from PIL import Image

    pixels = np.asarray(picture)
    file = io.BytesIO()
    Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(file, "PNG")
    return file.getvalue()
