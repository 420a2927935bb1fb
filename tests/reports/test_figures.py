"""Figures: what they show, that nothing is clipped or overlaps, and what is refused."""

import itertools
import json
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import pytest
from matplotlib.figure import Figure
from matplotlib.text import Text
from PIL import Image

from glassformer.errors import DataError, UsageError
from glassformer.reports.figures import (
    draw_confusion,
    draw_examples,
    draw_learning_curves,
    examples_page,
    most_confused,
    run_figures,
)

CAPTION = "What it shows, how it was made and how to repeat it: " + "glassformer train digits --seed 0 " * 4


def history(epochs: int) -> list[dict[str, float]]:
    return [
        {
            "epoch": epoch,
            "train_loss": 2 / epoch,
            "train_accuracy": 1 - 1 / (epoch + 1),
            "validation_loss": 2.2 / epoch,
            "validation_accuracy": 1 - 1.1 / (epoch + 1),
        }
        for epoch in range(1, epochs + 1)
    ]


def judged(names: list[str], errors: int = 3) -> dict[str, Any]:
    """A confusion matrix in which class i is taken for class i + 1 `errors` + i times."""
    classes = len(names)
    counts = np.eye(classes, dtype=int) * 900
    for i in range(classes - 1):
        counts[i, i + 1] = errors + i if errors else 0
    return {
        "accuracy": float(np.trace(counts) / counts.sum()),
        "accuracy_ci95": [0.9, 0.99],
        "count": int(counts.sum()),
        "classes": names,
        "confusion": counts.tolist(),
    }


def shown_texts(figure: Figure) -> list[Text]:
    """The texts that are drawn; axes also own labels of ticks outside their limits."""
    drawn: list[Text] = []
    draw = Text.draw

    def record(text: Text, *words: Any, **options: Any) -> None:
        if text.get_visible() and text.get_text().strip():
            drawn.append(text)
        draw(text, *words, **options)

    with patch.object(Text, "draw", record):
        figure.draw_without_rendering()
    return drawn


def assert_nothing_clipped(figure: Figure) -> None:
    """Every text that is drawn lies inside the page."""
    width, height = figure.get_size_inches() * figure.dpi
    for text in shown_texts(figure):
        box = text.get_window_extent()
        inside = box.x0 >= -0.5 and box.y0 >= -0.5 and box.x1 <= width + 0.5 and box.y1 <= height + 0.5
        assert inside, f"{text.get_text()!r} at {box} leaves the page of {width:.0f} x {height:.0f}"


def assert_no_overlap(figure: Figure) -> None:
    boxes = [(text.get_text(), text.get_window_extent().shrunk(0.9, 0.7)) for text in shown_texts(figure)]
    for (one, a), (other, b) in itertools.combinations(boxes, 2):
        assert not a.overlaps(b), f"{one!r} lies on {other!r}"


@pytest.mark.parametrize(("caption", "panel", "height"), [(CAPTION, 4.3, 3.3), (None, 2.35, 1.75)])
def test_learning_curves_mark_the_epochs_of_smaller_images(
    caption: str | None, panel: float, height: float
) -> None:
    metrics = {"task": "cifar10", "history": history(9), "best_epoch": 9}
    early = {"early_images": {"height": 24, "width": 16, "epochs": 7}}
    figure = draw_learning_curves(metrics | early, caption=caption, panel=panel, height=height)
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["train", "validation", "24 x 16 pixels", "kept: epoch 9"]
    for axes in figure.axes:
        (shade,) = axes.patches
        assert (shade.get_x() < 1, shade.get_x() + shade.get_width()) == (True, 7.5)
    assert_no_overlap(figure)
    assert_nothing_clipped(figure)
    for axes in draw_learning_curves(metrics, caption=caption).axes:
        assert not axes.patches


LONG = [f"a class with a very long name, number {number} of all" for number in range(12)]


@pytest.mark.parametrize("epochs", [1, 2, 200])
def test_learning_curves_show_both_splits_and_the_kept_epoch(epochs: int) -> None:
    metrics = {"task": "digits", "history": history(epochs), "best_epoch": epochs}
    figure = draw_learning_curves(metrics, caption=CAPTION)
    loss, accuracy = figure.axes
    assert (loss.get_xlabel(), loss.get_ylabel()) == ("epoch", "loss (nats)")
    assert accuracy.get_ylabel() == "accuracy (share of examples)"
    legend = [text.get_text() for text in figure.legends[0].get_texts()]
    assert legend == ["train", "validation", f"kept: epoch {epochs}"]
    for axes, what in ((loss, "loss"), (accuracy, "accuracy")):
        for line, split in zip(axes.lines, ("train", "validation"), strict=False):
            assert list(line.get_ydata()) == [entry[f"{split}_{what}"] for entry in history(epochs)]
    assert_nothing_clipped(figure)
    assert_no_overlap(figure)


@pytest.mark.parametrize(
    ("figures", "label"),
    [
        ({"test": {"token_accuracy": 0.5}}, "exact match (share)"),
        ({"validation": {"perplexity": 9.0}}, "guessed (share of tokens left out)"),
    ],
)
def test_curves_say_what_the_share_is_of(figures: dict, label: str) -> None:
    figure = draw_learning_curves({"task": "t", "history": history(3)} | figures, caption=CAPTION)
    assert figure.axes[1].get_ylabel() == label
    assert_nothing_clipped(figure)
    assert_no_overlap(figure)


def test_curves_say_what_was_not_recorded_and_refuse_an_empty_history() -> None:
    entries = [entry | {"train_accuracy": None} for entry in history(3)]
    figure = draw_learning_curves({"task": "digits", "history": entries}, caption=CAPTION)
    assert "no train accuracy" in " ".join(text.get_text() for text in shown_texts(figure))
    with pytest.raises(ValueError, match="no epoch to draw"):
        draw_learning_curves({"task": "digits", "history": []}, caption=CAPTION)


@pytest.mark.parametrize(
    "names", [["no", "yes"], list("0123456789"), LONG, [f"class {i}" for i in range(100)]], ids=len
)
def test_confusion_names_its_axes_and_clips_nothing(names: list[str]) -> None:
    figure = draw_confusion(judged(names), caption=CAPTION)
    matrix = figure.axes[0]
    assert (matrix.get_xlabel(), matrix.get_ylabel()) == ("predicted class", "true class")
    shares = np.asarray(matrix.images[0].get_array())
    np.testing.assert_allclose(shares.sum(axis=1), 1)
    assert_nothing_clipped(figure)


def test_confusion_lists_the_worst_pairs_first() -> None:
    names = list("abcdefghijklmnop")
    figure = draw_confusion(judged(names), caption=CAPTION)
    lines = [text.get_text() for text in shown_texts(figure) if " -> " in text.get_text()]
    pairs = [line for line in lines if " of " in line]
    assert len(pairs) == 10
    assert "o -> p" in pairs[0]
    assert "17 of 917" in pairs[0]
    assert most_confused(judged(names))[0] == ("o", "p", 17, 917)


def test_no_confusion_at_all_is_said() -> None:
    figure = draw_confusion(judged(["cat", "dog"], errors=0), caption=CAPTION)
    assert any("no test example was confused" in text.get_text() for text in shown_texts(figure))


def test_numbers_in_the_matrix_can_be_read() -> None:
    """White on dark, black on light: the contrast of WCAG 2.1 is at least 4.5 in every cell."""
    figure = draw_confusion(judged(list("0123456789"), errors=60), caption=CAPTION)
    axes = figure.axes[0]
    image = axes.images[0]
    for text in axes.texts:
        column, row = (round(place) for place in text.get_position())
        shade = image.to_rgba(image.get_array())[row, column, :3]
        linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in shade]
        light = 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
        ink = {"black": 0.0, "white": 1.0}[str(text.get_color())]
        assert (max(light, ink) + 0.05) / (min(light, ink) + 0.05) >= 4.5


@pytest.mark.parametrize("channels", [1, 3])
def test_a_page_of_examples_shows_the_very_pixels(channels: int, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (channels, 5, 7), dtype=np.uint8)
    rows = [("as they are", [(pixels, "cat"), (pixels, "0.62 cat + 0.38 hippopotamus")]), ("crop 4", [])]
    figure = draw_examples(rows, title="pets", caption=CAPTION)
    for axes in figure.axes:
        shown = np.asarray(axes.images[0].get_array())
        assert (shown == (pixels[0] if channels == 1 else pixels.transpose(1, 2, 0))).all()
    assert_nothing_clipped(figure)
    assert_no_overlap(figure)
    examples_page(rows, tmp_path / "page.png", title="pets", caption=CAPTION)
    with Image.open(tmp_path / "page.png") as page:
        assert page.width > 500


@pytest.mark.parametrize(
    "wrong", [np.zeros((3, 4, 4)), np.zeros((4, 4), np.uint8), np.zeros((2, 4, 4), np.uint8)]
)
def test_what_is_no_picture_is_refused(wrong: np.ndarray) -> None:
    with pytest.raises(ValueError, match="a picture is uint8"):
        draw_examples([("as they are", [(wrong, "cat")])], title="pets", caption=CAPTION)


def test_labels_are_no_formulas(tmp_path: Path) -> None:
    figure = draw_confusion(judged(["$5 to $10", "_{x}^"]), caption="$caption$ with \\alpha")
    assert_nothing_clipped(figure)
    figure.savefig(tmp_path / "confusion.png")


def test_another_suffix_is_refused_and_nothing_written(tmp_path: Path) -> None:
    pixels = np.zeros((1, 4, 4), np.uint8)
    with pytest.raises(UsageError, match=r"choose \.png, \.svg or \.pdf"):
        examples_page([("a", [(pixels, "b")])], tmp_path / "page.gif", title="t", caption=CAPTION)
    assert not list(tmp_path.iterdir())


def test_a_run_that_is_none_or_broken_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="is not a run"):
        run_figures(tmp_path)
    (tmp_path / "config.yaml").write_text("task: digits\n", encoding="utf-8")
    (tmp_path / "provenance.json").write_text("{}", encoding="utf-8")
    (tmp_path / "metrics.json").write_text(json.dumps({"task": "digits"}), encoding="utf-8")
    with pytest.raises(DataError, match="broken or of another version"):
        run_figures(tmp_path)
    assert not list(tmp_path.glob("*.png"))
