"""The effects of options: the order of values, and what the caption says of what is drawn."""

from typing import Any

from glassformer.reports.comparison_figures import baseline_is_near, draw_effects, explained


def row(value: str, *each: float, kind: str = "model") -> dict[str, Any]:
    settings = {"model.layers": value} if kind == "model" else {}
    return {
        "label": value, "kind": kind, "settings": settings, "changed": settings if value != "4" else {},
        "seeds": list(range(len(each))),
        "validation": {"mean": sum(each) / len(each), "each": list(each), "examples": 50},
    }  # fmt: skip


def result(baseline: float, *rows: dict[str, Any]) -> dict[str, Any]:
    seeds = rows[0]["seeds"]
    rival = row("cheap", baseline, kind="baseline")
    return {"task": "t", "seeds": seeds, "rows": [*rows, rival], "command": "glassformer compare t"}


def test_values_stand_in_the_order_of_their_sizes() -> None:
    of = result(0.8, row("4", 0.8, 0.82), row("10", 0.81, 0.83), row("2", 0.8, 0.81))
    (axes,) = draw_effects(of, caption=None).axes
    assert [label.get_text() for label in axes.get_xticklabels()] == ["2", "4", "10"]


def test_the_caption_speaks_of_a_baseline_that_is_drawn() -> None:
    for baseline, near in ((0.805, True), (0.1, False)):
        of = result(baseline, row("4", 0.8, 0.82), row("2", 0.79, 0.81))
        assert baseline_is_near(of) is near
        assert ("Dashed" in explained(of)) is near
        (axes,) = draw_effects(of, caption=None).axes
        assert any(line.get_linestyle() == "--" for line in axes.lines) is near


def test_one_seed_has_no_interval_and_two_that_agree_have_one() -> None:
    (alone,) = draw_effects(result(0.1, row("4", 0.8), row("2", 0.7)), caption=None).axes
    assert "mean" in alone.get_legend_handles_labels()[1]
    assert not alone.collections, "no bar"
    (agreed,) = draw_effects(result(0.1, row("4", 0.8, 0.8), row("2", 0.7, 0.7)), caption=None).axes
    assert "mean, 95% interval" in agreed.get_legend_handles_labels()[1]
    low, high = agreed.get_ylim()
    assert high - low > 0.3, "an example more or less is 0.02, times 12.7 / sqrt(2)"
