"""The figures of `backprop`: what they show, and that nothing is clipped or overlaps."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.reports.test_figures import assert_no_overlap, assert_nothing_clipped, shown_texts

from glassformer.experiments.backprop import LOGISTIC, MAJORITY, NETWORK, Comparison, compare
from glassformer.experiments.config import BackpropConfig
from glassformer.reports.backprop_figures import draw_comparison, draw_regions, write_comparison

COMMAND = "glassformer backprop --data breast-cancer --epochs 4 --features 'mean radius' 'worst texture'"


@pytest.fixture(scope="module")
def compared() -> Comparison:
    return compare(BackpropConfig(data="breast-cancer", epochs=4, features=("mean radius", "worst texture")))


@pytest.fixture(scope="module")
def digits() -> Comparison:
    return compare(BackpropConfig(epochs=2, hidden=3))


@pytest.fixture(scope="module")
def drawn(compared: Comparison) -> dict[str, Figure]:
    return draw_comparison(compared, COMMAND)


@pytest.fixture(scope="module")
def drawn_digits(digits: Comparison) -> dict[str, Figure]:
    return draw_comparison(digits, COMMAND)


def test_nothing_is_clipped_and_nothing_overlaps(drawn, drawn_digits) -> None:
    for figure in (*drawn.values(), *drawn_digits.values()):
        assert_nothing_clipped(figure)
        assert_no_overlap(figure)
        assert "Repeat: glassformer backprop" in " ".join(text.get_text() for text in shown_texts(figure))


def test_long_names_and_formulas_are_no_trouble(compared) -> None:
    names = [f"$x_{number}$ a feature with a very long name, one of {number}" for number in range(30)]
    table = replace(
        compared.table,
        feature_names=names,
        class_names=["a class with a rather long name, the first", "$5 to $10 and more than that, second"],
        name="a table",
    )
    for figure in draw_comparison(replace(compared, table=table), COMMAND).values():
        assert_nothing_clipped(figure)
        assert_no_overlap(figure)


def test_the_data_by_class(drawn) -> None:
    figure = drawn["data.png"]
    balance, *telling = figure.axes
    assert [bar.get_height() for bar in balance.patches] == [212, 357]
    assert len(telling) == 5
    texts = [text.get_text() for text in shown_texts(figure)]
    assert "357 (62.7%)" in texts
    assert any(text.startswith("worst concave points, r = -0.7") for text in texts)
    for axes in telling:
        assert (axes.get_xlabel() != "", axes.get_ylabel()) == (True, "training rows")


def test_whole_numbers_get_a_bar_each(digits, drawn_digits) -> None:
    figure = drawn_digits["data.png"]
    assert figure.axes[1].get_xlabel() == "ink, 0 to 16"
    filled = [patch for patch in figure.axes[1].patches if hasattr(patch, "get_width")]
    assert {patch.get_width() for patch in filled} == {1.0}
    assert sum(patch.get_height() for patch in filled) == len(digits.train)


def test_the_loss_of_every_epoch(compared, drawn) -> None:
    axes = drawn["loss.png"].axes[0]
    values = {line.get_label(): list(line.get_ydata()) for line in axes.lines}
    assert values[NETWORK] == compared.models[NETWORK].losses
    assert len(values[NETWORK]) == 5
    for name in (LOGISTIC, MAJORITY):
        assert values[name] == [compared.models[name].losses[-1]] * 2
    assert (axes.get_xlabel(), axes.get_ylabel()) == ("epoch", "training loss (nats, logarithmic scale)")


def test_regions_are_those_of_the_models_on_the_two_features(compared, drawn) -> None:
    figure = drawn["regions.png"]
    X, y = compared.table.features[compared.test][:, compared.pair], compared.table.labels[compared.test]
    for axes, name in zip(figure.axes, (LOGISTIC, NETWORK), strict=False):
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("mean radius", "worst texture")
        mesh, *marks = axes.collections[0], axes.collections[-2], axes.collections[-1]
        for label, points in enumerate(marks):
            np.testing.assert_array_equal(points.get_offsets(), X[y == label])
        # the colour under a point of the grid is the probability there
        p = np.asarray(mesh.get_array()).reshape(201, 201)
        corner = np.array([[axes.get_xlim()[0], axes.get_ylim()[0]]])
        logit = compared.pair_models[name].logits(corner)[0]
        assert p[0, 0] == pytest.approx(1 / (1 + np.exp(-logit)), abs=0.01)
    texts = [text.get_text() for text in shown_texts(figure)]
    for name in (LOGISTIC, NETWORK):
        accuracy = compared.result["two_features"]["models"][name]["accuracy"]
        assert name in texts
        assert any(text.startswith(f"test accuracy {accuracy:.4f}, 95% interval") for text in texts)


def test_marks_at_one_place_are_moved_a_little_and_that_is_said(digits, drawn_digits) -> None:
    figure = drawn_digits["regions.png"]
    assert "moved a little" in " ".join(text.get_text() for text in shown_texts(figure))
    X, y = digits.table.features[digits.test][:, digits.pair], digits.table.labels[digits.test]
    drawn = np.asarray(figure.axes[0].collections[-1].get_offsets())
    assert 0 < np.abs(drawn - X[y == 1]).max() <= 0.3


def test_without_two_features_there_are_no_regions(compared) -> None:
    alone = replace(compared, pair=None)
    assert list(draw_comparison(alone, COMMAND)) == ["data.png", "loss.png"]
    with pytest.raises(ValueError, match="pair=None"):
        draw_regions(alone, caption="")


def test_a_folder_is_filled_whole(compared, tmp_path: Path) -> None:
    paths = write_comparison(compared, tmp_path / "new" / "out", COMMAND)
    assert sorted(path.name for path in paths) == ["data.png", "loss.png", "regions.png", "result.json"]
    assert sorted((tmp_path / "new").rglob("*")) == sorted([tmp_path / "new" / "out", *paths])
    with Image.open(paths[0]) as picture:
        assert picture.width > 500
