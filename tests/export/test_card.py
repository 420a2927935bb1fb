"""A card's figures are the run's, and a user's words stay words."""

import json
from pathlib import Path

import pytest
import yaml

from glassformer.export.card import code, escape


def test_every_figure_is_the_run_s(text_run: Path, exported: Path) -> None:
    card = (exported / "README.md").read_text()
    metrics = json.loads((text_run / "metrics.json").read_text())
    provenance = json.loads((text_run / "provenance.json").read_text())
    assert metrics["baselines"]
    for figures in (metrics["test"], *(each["test"] for each in metrics["baselines"].values())):
        low, high = figures["accuracy_ci95"]
        assert (
            f"| {figures['accuracy']:.4f} | {low:.4f} to {high:.4f} | {figures['calibration_error']:.4f} |"
            in card
        )
    assert f"of {metrics['parameters']:,} parameters for the task `text`" in card
    assert provenance["command"] in card
    assert provenance["data_sha256"]["test"] in card
    assert provenance["versions"]["torch"] in card
    assert "INT8" not in card
    assert "A text is cut after 24 tokens." in card
    better = [
        slug for slug, each in metrics["baselines"].items() if each["accuracy"] > metrics["test"]["accuracy"]
    ]
    assert ("Cheaper models did better" in card) == bool(better)


def test_the_front_matter_is_yaml(exported: Path) -> None:
    _, front, _ = (exported / "README.md").read_text().split("---\n", 2)
    assert yaml.safe_load(front) == {
        "library_name": "onnx",
        "pipeline_tag": "text-classification",
        "tags": ["glassformer", "onnx"],
    }


def test_names_of_classes_are_no_markdown(exported: Path) -> None:
    """The classes are called '*good*', 'bad' and 'so | so'; every row of a table keeps its columns."""
    from markdown_it import MarkdownIt

    html = MarkdownIt("commonmark").enable("table").render((exported / "README.md").read_text())
    assert "<em>good</em>" not in html
    assert "*good*, bad, so | so" in html
    assert "<td>so | so</td>" in html


@pytest.mark.parametrize("words", ["a\nb", "<b>", "[x](y)", "a|b", "`", "#1", "snake_case", "\\"])
def test_escaped_words_read_as_they_are(words: str) -> None:
    from html import escape as as_html

    from markdown_it import MarkdownIt

    rendered = MarkdownIt("commonmark").enable("table").render(f"x {escape(words)}")
    assert rendered == f"<p>x {as_html(' '.join(words.split()), quote=False)}</p>\n"
    rendered = MarkdownIt("commonmark").render(code(words))
    assert rendered == f"<p><code>{as_html(' '.join(words.split()), quote=False)}</code></p>\n"
