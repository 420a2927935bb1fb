"""What every page of figures has: nothing of it runs over the edge."""

from random import Random
from typing import Any

import pytest
from matplotlib.axis import YAxis

from glassformer.reports.figures import draw_learning_curves
from glassformer.reports.page import (
    TEXT,
    add_axes,
    as_bytes,
    legend_above,
    new_page,
    shortened,
    text_width,
    told_apart,
)


@pytest.mark.parametrize("width", [4.0, 5.6, 12.0])
def test_a_legend_stays_on_the_page_and_says_all(width: float) -> None:
    figure, top = new_page(width, 3.0, "what each option does", None)
    axes = add_axes(figure, 0.9, 0.6, width - 1.2, 1.5)
    names = ["a seed", "best baseline: nb_bigrams_lr", "mean, 95% interval"]
    for number, name in enumerate(names):
        axes.plot([0, 1], [number, number], label=name)
    legend_above(figure, axes, 0.9, top)
    (legend,) = figure.legends
    assert [text.get_text() for text in legend.get_texts()] == names
    extent = legend.get_window_extent()
    assert extent.x1 <= figure.bbox.x1
    assert (extent.height > 30) == (width < 6)  # one row where there is room for one


@pytest.mark.parametrize("seed", [14, 15, 28, 30])
def test_a_figure_is_drawn_with_the_ticks_it_was_measured_with(
    seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With these histories matplotlib alone measures 0.6, 0.8 ..., say, and then draws 0.7, 0.8 ..."""
    seen: list[list[str]] = []
    draw = YAxis.draw

    def recorded(axis: YAxis, *words: Any, **more: Any) -> None:
        draw(axis, *words, **more)
        seen.append([tick.get_text() for tick in axis.get_ticklabels()])

    monkeypatch.setattr(YAxis, "draw", recorded)
    random = Random(seed)
    low, span = random.uniform(0.5, 2), random.uniform(0.02, 1)
    history = [
        {"epoch": epoch, "train_loss": low + span * random.random(),
         "validation_loss": low + span * random.random(), "train_accuracy": 0.5, "validation_accuracy": 0.6}
        for epoch in range(1, 7)
    ]  # fmt: skip
    metrics = {"task": "t", "history": history}
    figure = draw_learning_curves(metrics, caption=None, panel=2.35, height=1.75)
    limits = [axes.get_ylim() for axes in figure.axes]
    seen.clear()
    as_bytes(figure, "pdf")
    assert len(seen) >= 4
    assert seen[:2] == seen[-2:]
    assert [axes.get_ylim() for axes in figure.axes] == limits


@pytest.mark.parametrize("scale", ["linear", "log"])
def test_fixed_ticks_change_no_axis(scale: str) -> None:
    figure, top = new_page(4.0, 3.0, "t", None)
    axes = add_axes(figure, 0.6, top - 2.4, 3.0, 2.2)
    axes.plot([0.0, 0.3], [0.1, 0.9])
    axes.set_yscale(scale)
    axes.set_xlim(0.0, 0.3)
    axes.invert_yaxis()
    axes.set_xticks([0.0, 0.15, 0.3], ["a", "b", "c"])
    other = add_axes(figure, 0.6, 0.1, 3.0, 0.2)
    other.set_xlim(0.0, 0.3)
    limits = [*axes.get_xlim(), *axes.get_ylim(), *other.get_xlim()]
    last = other.get_xticks()[-1]
    as_bytes(figure, "svg")
    assert [*axes.get_xlim(), *axes.get_ylim(), *other.get_xlim()] == pytest.approx(limits)
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["a", "b", "c"]
    assert other.get_xticks()[-1] == last == pytest.approx(0.3)


def test_names_that_differ_in_their_middle_are_told_apart() -> None:
    names = [f"Class number {number:02} with a rather long name" for number in (0, 5, 10)]
    assert len({shortened(name, 1.0, TEXT) for name in names}) == 1, "or this test shows nothing"
    labels = told_apart([*names, "cat"], 1.0, TEXT)
    assert [label[:3] for label in labels] == ["…00", "…05", "…10", "cat"]
    assert all(text_width(label, TEXT) <= 1.0 for label in labels)
