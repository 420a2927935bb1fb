"""glassformer explain, from the command line, on small runs."""

import re
from pathlib import Path

import pytest
import torch

import glassformer
from glassformer.cli import main
from glassformer.explain.explanation import explain
from glassformer.reports.explanation import draw_explanation
from glassformer.reports.explanation_html import as_html


def test_explain_writes_a_page_and_leaves_the_run_as_it_was(text_run: Path, tmp_path: Path, capsys) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in text_run.iterdir()}
    page = tmp_path / "page.html"
    words = ["explain", str(text_run), "a wonderful film", "--examples", "12", "--out", str(page)]
    assert main([*words, "--threads", "1"]) == 0
    said = capsys.readouterr().out
    assert re.match(r"good \d+\.\d% \(bad ", said)
    assert said.rstrip().endswith(str(page))
    assert "integrated gradients" in said
    assert "95% interval" in said
    assert "a wonderful film" not in page.read_text().split("<h2>")[0].replace("a wonderful film", "", 1)
    assert {path.name: path.stat().st_mtime_ns for path in text_run.iterdir()} == before


def test_weights_and_answers_are_unchanged_and_the_signal_word_is_found(text_run: Path) -> None:
    run = glassformer.load(text_run)
    weights = {name: value.clone() for name, value in run.model.state_dict().items()}
    (before,) = run.predict(["a wonderful film"])
    found = explain(run, "a wonderful film", examples=12)
    assert run.predict(["a wonderful film"]) == [before]
    assert all(torch.equal(value, weights[name]) for name, value in run.model.state_dict().items())
    assert found.parts == ["a", "wonderful", "film"]
    assert found.attributions["integrated gradients"][0].argmax() == 1
    assert found.judged == 12
    assert len(found.ablation) == sum(1 + len(each.weights) for each in found.maps)


def test_of_the_last_layer_the_token_that_is_read_asks_alone(text_run: Path, tmp_path: Path) -> None:
    data = text_run.parent / "reviews.csv"
    words = f"train text --data.train {data} --run-dir {tmp_path / 'run'} --model.pool cls --model.layers 2"
    brief = ["--fit.epochs", "1", "--threads", "1", "--no-baselines", "--precision", "bf16"]
    assert main([*words.split(), *brief]) == 0
    found = explain(glassformer.load(tmp_path / "run"), "a wonderful film", examples=4, ablation=False)
    assert [each.weights.shape[1:] for each in found.maps] == [(4, 4), (1, 4)]
    assert found.maps[0].queries == found.maps[1].keys == ["[CLS]", "a", "wonderful", "film"]
    assert found.maps[1].queries == ["[CLS]"]
    written = " ".join(text.get_text() for text in draw_explanation(found, "glassformer explain").texts)
    assert "In the last layer [CLS] alone asks" in written
    assert "In the last layer [CLS] alone asks" in as_html(found, "glassformer explain")


def test_only_validation_examples_are_looked_at(text_run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = glassformer.load(text_run)
    prepare = run.task.prepare

    def without_test(config, report):
        prepared = prepare(config, report)
        del prepared.examples["test"], prepared.examples["train"]
        return prepared

    monkeypatch.setattr(run.task, "prepare", without_test)
    assert explain(run, "a wonderful film", examples=8, ablation=False).faithfulness


@pytest.mark.parametrize(
    ("words", "status", "line"),
    [
        ([" "], 2, "an empty input cannot be explained"),
        (["a film", "--out", "page.docx"], 2, "ends in '.docx'; choose .html, .png or .pdf"),
        (["a film", "--examples", "1"], 2, "examples=1 has no interval"),
        (["film " * 2000], 2, "the text has 2,000 tokens, the model reads"),
    ],
)
def test_refuses_on_one_line(text_run: Path, capsys, words, status, line) -> None:
    files = set(text_run.iterdir())
    assert main(["explain", str(text_run), *words]) == status
    said = capsys.readouterr()
    assert said.out == ""
    assert line in said.err
    assert len(said.err.strip().splitlines()) == 1
    assert set(text_run.iterdir()) == files


def test_refuses_a_missing_run(tmp_path: Path, capsys) -> None:
    assert main(["explain", str(tmp_path / "none"), "a film"]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
