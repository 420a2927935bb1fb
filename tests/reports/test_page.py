"""What every page of figures has: nothing of it runs over the edge."""

import pytest

from glassformer.reports.page import add_axes, legend_above, new_page


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
