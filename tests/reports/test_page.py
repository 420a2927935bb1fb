"""What every page of figures has: nothing of it runs over the edge."""

from random import Random
from typing import Any

import pytest
from matplotlib.axis import YAxis

from glassformer.reports.page import add_axes, as_bytes, legend_above, new_page


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


def test_a_figure_is_drawn_with_the_ticks_it_was_measured_with(monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[list[str]] = []
    draw = YAxis.draw

    def recorded(axis: YAxis, *words: Any, **more: Any) -> None:
        draw(axis, *words, **more)
        seen.append([tick.get_text() for tick in axis.get_ticklabels()])

    monkeypatch.setattr(YAxis, "draw", recorded)
    random = Random(0)
    for _ in range(40):
        figure, top = new_page(3.6, 2.3, "t", None)
        axes = add_axes(figure, 0.6, top - 2.1, 2.35, 1.75)
        low, span = random.uniform(0.5, 2), random.uniform(0.02, 1)
        axes.plot([low + span * random.random() for _ in range(6)])
        limits = axes.get_ylim()
        seen.clear()
        as_bytes(figure, "pdf")
        assert len(seen) >= 2
        assert seen[0] == seen[-1]
        assert axes.get_ylim() == limits
