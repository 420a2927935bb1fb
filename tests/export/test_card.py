"""A card's figures are the run's, and a user's words stay words."""

import json
import re
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import onnx
import pytest
import yaml

from glassformer.commands.task_options import TaskOptions, task_options
from glassformer.export.card import _options, code, escape
from glassformer.models.configs import TextClassifierConfig, hidden_fields
from glassformer.training.loaded import load
from tests.export.test_onnx_folder import CPU, refused


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
    opset = onnx.load(exported / "model.onnx").opset_import[0].version
    assert f"wherever ONNX's operators of opset {opset} do" in card
    assert "A text is cut after 24 tokens." in card
    better = [
        slug for slug, each in metrics["baselines"].items() if each["accuracy"] > metrics["test"]["accuracy"]
    ]
    assert ("Cheaper models did better" in card) == bool(better)


def test_its_options_are_those_that_make_the_run(text_run: Path, exported: Path) -> None:
    card, config = (exported / "README.md").read_text(), load(text_run, CPU).config
    typed = [
        word for options in re.findall("`(--(?:data|model)[^`]*)`", card) for word in shlex.split(options)
    ]
    again = task_options(TaskOptions, "train", "text", typed)
    assert again.data == config.data
    facts = {name: getattr(config.model, name) for name in hidden_fields(type(config.model))}
    assert replace(again.model, **facts) == config.model


@pytest.mark.parametrize("form", ["onnx", "hub"])
@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("metrics.json", {}, "(KeyError: 'test')"),
        ("provenance.json", {}, "(KeyError: 'versions')"),
        ("metrics.json", [], "(TypeError: list indices"),
        ("metrics.json", {"test": {"accuracy": 0.5, "accuracy_ci95": [0]}}, "(ValueError: not enough values"),
    ],
)
def test_figures_that_are_missing_are_told_before_anything_is_computed(
    form: str, name: str, content: object, reason: str, image_run: Path, tmp_path: Path, capsys, monkeypatch
) -> None:
    run = Path(shutil.copytree(image_run, tmp_path / "run"))
    (run / name).write_text(json.dumps(content))
    for computes in ("to_onnx.onnx_graph", "hub.loads_equal"):
        monkeypatch.setattr(f"glassformer.export.{computes}", lambda *given: pytest.fail("it was computed"))
    said = refused(capsys, 1, "export", run, "--format", form, "--threads", 1, "--out", tmp_path / "folder")
    assert f"metrics.json or provenance.json of {run} is broken or incomplete {reason}" in said
    assert not (tmp_path / "folder").exists()


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


def test_options_that_are_zero_or_off_are_said_too() -> None:
    config = SimpleNamespace(model=TextClassifierConfig(dropout=0.0), data=None)
    said = _options(cast(Any, SimpleNamespace(config=config)), "model")
    assert "--model.dropout 0.0" in said
