"""Runs on sequences from beginning to end."""

import json
from pathlib import Path

import pytest
import torch
from tests.helpers import write_csv

import glassformer
from glassformer.cli import main

pytestmark = pytest.mark.xdist_group("sequence_runs")  # its fixture takes long: made once
SMALL = "--data.length 3 --data.alphabet 6 --fit.batch-size 8 --threads 1 --precision fp32".split()  # noqa: SIM905


@pytest.fixture(scope="module")
def reverse_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("reverse") / "run"
    words = ["train", "reverse", *SMALL, "--fit.epochs", "30", "--run-dir", str(folder)]
    assert main(words) == 0
    return folder


def test_metrics_of_a_sequence_run(reverse_run: Path) -> None:
    metrics = json.loads((reverse_run / "metrics.json").read_text())
    assert [metrics[split]["count"] for split in ("train", "validation", "test")] == [97, 11, 108]
    test = metrics["test"]
    assert set(test) == {
        "accuracy", "accuracy_ci95", "count", "token_accuracy", "accuracy_all", "count_all"
    }  # fmt: skip
    assert test["count_all"] == 216
    exact = [
        metrics[split]["accuracy"] * metrics[split]["count"] for split in ("train", "validation", "test")
    ]
    assert test["accuracy_all"] == pytest.approx(sum(exact) / 216)
    assert test["accuracy"] > 0.8
    assert metrics["baselines"].keys() == {"majority", "places_lr"}
    assert metrics["baselines"]["majority"]["accuracy"] < 0.2
    assert metrics["example"]["input"] == "[3, 5, 2]"
    assert (reverse_run / "learning_curves.png").stat().st_size > 10_000


def test_teacher_forcing_counts_what_greedy_decoding_finds(reverse_run: Path) -> None:
    run = glassformer.load(reverse_run)
    prepared = run.task.prepare(run.config, lambda line: None)
    with torch.no_grad():
        for batch in run.task.batches(prepared.examples["test"], run.config, train=False):
            _, correct, count = run.task.loss(run.model, batch, 0.0)
    assert int(correct) / count == json.loads((reverse_run / "metrics.json").read_text())["test"]["accuracy"]


def test_predict_writes_the_answer(reverse_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = str(reverse_run)
    assert main(["predict", run, "1 2 4", "[1, 2, 4]"]) == 0
    plain, listed = capsys.readouterr().out.splitlines()
    assert listed == f"[{', '.join(plain.split())}]"
    assert main(["predict", run, "1 2 4", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"input": "1 2 4", "output": plain}
    (said,) = glassformer.load(run).predict(["1 2 4"])
    assert (said.input, said.output) == ("1 2 4", plain)


@pytest.mark.parametrize(
    ("text", "line"),
    [("1 2 7", "'7' in '1 2 7' is not in the alphabet"), ("1 2", "has 2 integers"), (" ", "is empty")],
)
def test_predict_refuses_what_has_no_answer(reverse_run, capsys, text, line) -> None:
    assert main(["predict", str(reverse_run), text]) == 2
    said = capsys.readouterr()
    assert said.out == ""
    assert len(said.err.strip().splitlines()) == 1
    assert line in said.err


def test_evaluate_finds_the_same_figures(reverse_run, tmp_path, capsys) -> None:
    path = tmp_path / "figures.json"
    assert main(["evaluate", str(reverse_run), "--no-baselines", "--json", str(path)]) == 0
    shown = capsys.readouterr().out
    metrics, again = (json.loads(file.read_text()) for file in (reverse_run / "metrics.json", path))
    for split in ("train", "validation", "test"):
        assert again[split] == metrics[split]
    assert f"{round(metrics['test']['accuracy'] * 108)} of 108 unseen" in shown
    assert main(["evaluate", str(reverse_run), "--data.test", str(path)]) == 2
    assert "makes its own sequences" in capsys.readouterr().err


def test_a_stopped_run_ends_with_the_same_weights(tmp_path, monkeypatch, capsys) -> None:
    from safetensors.torch import load_file

    from glassformer.training.callbacks import InterruptedRun, RunKeeper

    words = ["train", "sort", *SMALL, "--fit.epochs", "3", "--no-baselines", "--run-dir"]
    assert main([*words, str(tmp_path / "whole")]) == 0
    ended = RunKeeper.on_train_batch_end
    calls = []

    def stop(self, trainer, *arguments):
        calls.append(1)
        if len(calls) == 6:
            self._save_state(trainer)
            raise InterruptedRun
        return ended(self, trainer, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RunKeeper, "on_train_batch_end", stop)
        assert main([*words, str(tmp_path / "stopped")]) == 130
    capsys.readouterr()
    assert main(["train", "--resume", str(tmp_path / "stopped")]) == 0
    # what began it repeats it, and does not need its folder
    repeat = f"repeat: glassformer train sort {' '.join(SMALL)} --fit.epochs 3 --no-baselines"
    assert repeat in capsys.readouterr().out.splitlines()
    whole, stopped = (load_file(tmp_path / name / "model.safetensors") for name in ("whole", "stopped"))
    assert all(torch.equal(whole[name], stopped[name]) for name in whole)


def test_decoding_computes_each_token_once(reverse_run: Path) -> None:
    """No time is asserted here, but a cache must be at work: each step decodes one token."""
    from glassformer.decoding import greedy
    from glassformer.models.encoder_decoder import CachedSteps

    run = glassformer.load(reverse_run)
    source = torch.randint(4, 10, (1000, 3))
    steps = CachedSteps(run.model, source)
    seen: list[int] = []
    original = run.model.decode
    run.model.decode = lambda target, *rest, **more: (
        seen.append(target.shape[1]),
        original(target, *rest, **more),
    )[1]
    with torch.inference_mode():
        greedy(steps, torch.full((1000, 1), 2), end=3, max_tokens=4)
    assert set(seen) == {1}


def test_pairs_of_a_user(tmp_path, capsys) -> None:
    letters = "abcdefg"
    rows = [(x + y, y + x) for x in letters for y in letters]
    path = write_csv(tmp_path / "pairs.csv", rows, ("from", "to"))
    columns = ["--data.source", "from", "--data.target", "to"]
    words = [
        "train",
        "pairs",
        "--data.train",
        str(path),
        *columns,
        "--threads",
        "1",
        "--run-dir",
        str(tmp_path / "run"),
    ]
    words += ["--model.d-model", "32", "--model.d-ff", "32", "--model.dropout", "0"]
    words += ["--optim.learning-rate", "5e-3"]
    words += ["--fit.epochs", "60", "--fit.batch-size", "8", "--fit.patience", "0"]
    assert main(words) == 0
    assert "pairs, 5 test examples" in capsys.readouterr().out
    assert main(["predict", str(tmp_path / "run"), "ab"]) == 0
    assert capsys.readouterr().out.strip() == "ba"
    assert main(["predict", str(tmp_path / "run"), "az"]) == 2
    assert "'z' in 'az' is not in the vocabulary" in capsys.readouterr().err
    other = write_csv(tmp_path / "other.csv", [("ab", "ba"), ("cd", "xx")], ("from", "to"))
    figures = tmp_path / "figures.json"
    assert main(["evaluate", str(tmp_path / "run"), "--data.test", str(other), "--json", str(figures)]) == 0
    assert json.loads(figures.read_text())["test"]["accuracy"] == 0.5
    assert main(["evaluate", str(tmp_path / "run"), "--data.test", str(other), "--data.text", "x"]) == 2
    assert "has no column called text; its files have --data.source, --data.target" in capsys.readouterr().err
    bad = write_csv(tmp_path / "bad.csv", [("ab", "ba"), ("cd", "")], ("from", "to"))
    assert main(["evaluate", str(tmp_path / "run"), "--data.test", str(bad)]) == 1
    assert "row 2 has no 'to'" in capsys.readouterr().err
