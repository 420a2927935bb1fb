"""Runs from beginning to end, on small made-up data: what they write, repeat, resume and refuse."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from rich.console import Console
from rich.table import Table
from safetensors.torch import load_file, save_file
from tests.helpers import reviews, write_csv, write_jsonl

import glassformer
from glassformer.cli import main
from glassformer.errors import DataError, UsageError
from glassformer.evaluation import accuracy
from glassformer.tasks import find_task
from glassformer.training.callbacks import InterruptedRun, RunKeeper
from glassformer.training.fit import resume, train
from glassformer.training.judge import confusion_table, per_class_table
from glassformer.training.run_folder import claim, new_run_folder


def quiet(line: str) -> None:
    del line


def small(epochs: int = 3, seed: int = 0, **model: Any):
    """Parity of 8 bits: small, and with dropout and averaging, so that their states count."""
    config = find_task("parity").preset(None, None)
    sizes: dict[str, Any] = {"layers": 1, "d_model": 8, "heads": 2, "d_ff": 12, "dropout": 0.1}
    return replace(
        config,
        model=replace(config.model, **(sizes | model)),
        data=replace(config.data, bits=8, strings=256),
        fit=replace(config.fit, epochs=epochs, batch_size=16, average=0.9),
        device="cpu",
        threads=1,
        seed=seed,
    )


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return train("parity", small(), str(tmp_path_factory.mktemp("runs") / "whole"), report=quiet)


# --- what a run writes ------------------------------------------------------------------------------------


def test_a_run_folder_is_complete(run: Path) -> None:
    names = {path.name for path in run.iterdir()}
    assert {
        "config.yaml",
        "model.safetensors",
        "tokenizer.json",
        "metrics.json",
        "provenance.json",
        "checkpoints",
    } <= names
    assert any(name.startswith("events.out.tfevents") for name in names)
    assert not [path for path in run.rglob("*") if path.name.endswith(".tmp")]


def test_metrics_have_their_form(run: Path) -> None:
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["schema_version"] == 1
    assert metrics["task"] == "parity"
    assert metrics["seed"] == 0
    model = glassformer.load(run).model
    assert metrics["parameters"] == sum(p.numel() for p in model.parameters())
    assert len(metrics["epoch_seconds"]) == 3
    assert metrics["train_seconds"] == pytest.approx(sum(metrics["epoch_seconds"]))
    assert metrics["examples_per_second"] == pytest.approx(3 * 122 / metrics["train_seconds"])
    assert metrics["peak_memory_bytes"]["host"] > 1 << 20
    assert (metrics["validation"]["count"], metrics["test"]["count"]) == (6, 128)
    for figures in (metrics["validation"], metrics["test"], metrics["baselines"]["majority"]):
        low, high = figures["accuracy_ci95"]
        assert 0 <= low <= figures["accuracy"] <= high <= 1
    assert all(milestone.keys() == {"accuracy", "seconds", "epoch"} for milestone in metrics["milestones"])


def test_provenance_says_where_it_comes_from(run: Path) -> None:
    facts = json.loads((run / "provenance.json").read_text())
    assert facts["seed"] == 0
    assert facts["versions"]["torch"] == torch.__version__
    assert len(facts["data_sha256"]["train"]) == 64
    assert facts["choices"] == {"device": "cpu", "precision": "fp32", "threads": 1}


def test_tensorboard_has_train_and_validation(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run))
    events.Reload()
    assert {"validation/accuracy", "validation/loss", "train/loss", "train/accuracy"} <= set(
        events.Tags()["scalars"]
    )
    assert len(events.Scalars("validation/accuracy")) == 3


def test_kept_model_is_the_best_of_the_epochs(run: Path) -> None:
    from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

    events = EventAccumulator(str(run))
    events.Reload()
    best = max(event.value for event in events.Scalars("validation/accuracy"))
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["validation"]["accuracy"] == pytest.approx(best, abs=1e-6)


# --- repeating and resuming -------------------------------------------------------------------------------


def test_same_seed_same_weights_other_seed_other_weights(run: Path, tmp_path: Path) -> None:
    again = train("parity", small(), str(tmp_path / "again"), report=quiet)
    other = train("parity", small(seed=1), str(tmp_path / "other"), report=quiet)
    weights = load_file(run / "model.safetensors")
    assert all(
        torch.equal(tensor, weights[name]) for name, tensor in load_file(again / "model.safetensors").items()
    )
    assert any(not torch.equal(t, weights[n]) for n, t in load_file(other / "model.safetensors").items())


@pytest.mark.parametrize("stop_at", [1, 5, 8, 11])
def test_stopped_and_resumed_equals_never_stopped(
    run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, stop_at: int
) -> None:
    """Eight batches an epoch: within the first, the last of one, at its end, within the second."""
    heard = RunKeeper.on_train_batch_end

    def press(self, trainer, *args: Any) -> None:
        if trainer.global_step == stop_at:
            self._interrupted.set()
        heard(self, trainer, *args)

    folder = tmp_path / "stopped"
    with monkeypatch.context() as patch:
        patch.setattr(RunKeeper, "on_train_batch_end", press)
        with pytest.raises(InterruptedRun, match=f"go on with: glassformer train --resume {folder}"):
            train("parity", small(), str(folder), report=quiet)
    assert not (folder / "metrics.json").exists()
    resume(str(folder), report=quiet)
    for file in ("model.safetensors", "checkpoints/last.safetensors"):
        whole, parts = load_file(run / file), load_file(folder / file)
        assert whole.keys() == parts.keys()
        different = [name for name in whole if not torch.equal(whole[name], parts[name])]
        assert not different
    whole, parts = (json.loads((f / "metrics.json").read_text()) for f in (run, folder))
    assert parts["test"] == whole["test"]
    assert len(parts["epoch_seconds"]) == 3


def test_a_run_is_not_shown_as_a_task(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", str(run)]) == 2
    assert f"{run} is a run, and show takes a task" in capsys.readouterr().err


def test_a_run_of_a_tasks_name_is_not_in_its_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("digits").mkdir()
    Path("digits", "config.yaml").touch()
    assert main(["show", "digits", "--examples", "1"]) == 0
    assert Path("digits-examples.png").exists()


def test_a_finished_run_is_not_resumed(run: Path) -> None:
    with pytest.raises(UsageError, match="is finished"):
        resume(str(run), report=quiet)


def test_ctrl_c_keeps_the_best_model_and_says_how_to_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "run"
    command = (
        f"train parity --data.bits 12 --fit.epochs 500 --fit.stop-above 0 --threads 1 --run-dir {folder}"
    )
    process = subprocess.Popen(
        [sys.executable, "-m", "glassformer", *command.split()],
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    deadline = time.monotonic() + 120
    while not (folder / "model.safetensors").exists():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline
        time.sleep(0.1)
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 130
    assert "Traceback" not in errors
    assert f"go on with: glassformer train --resume {folder}" in errors
    assert glassformer.load(folder).predict(["010101010101"])[0].label in ("even", "odd")
    assert (folder / "checkpoints" / "last.safetensors").exists()


def test_an_epoch_is_one_line_of_a_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    train("parity", small(epochs=2), str(tmp_path / "run"), report=quiet)
    lines = [line for line in capsys.readouterr().err.splitlines() if line.startswith("epoch ")]
    assert len(lines) == 2
    assert all(line.endswith(" examples/s") for line in lines)


def test_early_stopping(tmp_path: Path) -> None:
    config = small(epochs=50)
    config = replace(
        config, fit=replace(config.fit, patience=2), optim=replace(config.optim, learning_rate=1e-9)
    )
    folder = train("parity", config, str(tmp_path / "run"), report=quiet)
    metrics = json.loads((folder / "metrics.json").read_text())
    assert len(metrics["epoch_seconds"]) == 3  # the first is the best, then two that are no better


def test_a_run_that_stopped_early_is_not_trained_on_when_resumed(tmp_path: Path) -> None:
    config = small(epochs=50)
    config = replace(
        config, fit=replace(config.fit, patience=1), optim=replace(config.optim, learning_rate=1e-9)
    )
    folder = train("parity", config, str(tmp_path / "run"), report=quiet)
    before = (folder / "model.safetensors").read_bytes()
    metrics = json.loads((folder / "metrics.json").read_text())
    (folder / "metrics.json").unlink()  # as after a Ctrl-C in the final evaluation
    resume(str(folder), report=quiet)
    assert (folder / "model.safetensors").read_bytes() == before
    assert json.loads((folder / "metrics.json").read_text())["epoch_seconds"] == metrics["epoch_seconds"]


def test_ctrl_c_in_the_final_evaluation_says_how_to_go_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def press(*args: Any, **kwargs: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("glassformer.training.fit.judge_baselines", press)
        with pytest.raises(InterruptedRun, match=r"the best model so far is .* go on with"):
            train("parity", small(), str(tmp_path / "run"), report=quiet)
        # they took too long, and are left out
        assert main(["train", "--resume", str(tmp_path / "run"), "--no-baselines"]) == 0
    path = tmp_path / "run" / "metrics.json"
    assert json.loads(path.read_text())["baselines"] == {}
    said = " ".join(capsys.readouterr().out.split())
    assert f"the baselines are left out; glassformer evaluate {tmp_path / 'run'} fits them" in said
    assert f"--config {tmp_path / 'run' / 'config.yaml'} --no-baselines" in said
    path.unlink()
    resume(str(tmp_path / "run"), report=quiet)
    assert json.loads(path.read_text())["baselines"]


def test_a_run_without_baselines_stays_one_when_resumed(tmp_path: Path) -> None:
    folder = train("parity", replace(small(), baselines=False), str(tmp_path / "run"), report=quiet)
    (folder / "metrics.json").unlink()
    resume(str(folder), report=quiet)
    assert json.loads((folder / "metrics.json").read_text())["baselines"] == {}


def test_divergence_is_said(tmp_path: Path) -> None:
    config = small()
    config = replace(config, optim=replace(config.optim, learning_rate=1e30, clip=0.0))
    with pytest.raises(DataError, match=r"the training diverged: in epoch 1 .* lower --optim\.learning-rate"):
        train("parity", config, str(tmp_path / "run"), report=quiet)


def test_after_a_run_that_fails_ctrl_c_is_as_it_was_and_nothing_is_left(tmp_path: Path) -> None:
    config = small()
    config = replace(config, optim=replace(config.optim, learning_rate=1e30, clip=0.0))
    numbers = (signal.SIGINT, signal.SIGTERM)
    before = [signal.getsignal(number) for number in numbers]
    with pytest.raises(DataError, match="diverged"):
        train("parity", config, str(tmp_path / "run"), report=quiet)
    assert [signal.getsignal(number) for number in numbers] == before
    assert not (tmp_path / "run").exists()


def test_two_runs_that_start_together_have_two_folders(tmp_path: Path) -> None:
    first, second = (claim(tmp_path / "stamp", given=False) for _ in range(2))
    assert first != second
    with pytest.raises(UsageError, match="was taken by another run just now"):
        claim(first, given=True)


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match=r"file is no folder, so .*/run cannot be made"):
        new_run_folder("parity", str(tmp_path / "file" / "run"))
    assert new_run_folder("parity", str(tmp_path / "new" / "run")) == tmp_path / "new" / "run"
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(
        "os.access", lambda path, mode: mode == os.W_OK and Path(path).absolute().name != "locked"
    )
    (tmp_path / "locked").mkdir()
    for folder in (tmp_path / "locked", tmp_path / "locked" / "run"):
        with pytest.raises(UsageError, match="locked may not be written to; choose --run-dir elsewhere"):
            new_run_folder("parity", str(folder))
    assert new_run_folder("parity", None).parent == Path("runs/parity")
    monkeypatch.chdir(tmp_path / "locked")
    with pytest.raises(UsageError, match="locked may not be written to"):
        new_run_folder("parity", None)


# --- evaluate and predict ---------------------------------------------------------------------------------


def test_evaluate_repeats_the_figures(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["evaluate", str(run), "--threads", "1", "--json", str(tmp_path / "figures.json")]) == 0
    metrics = json.loads((run / "metrics.json").read_text())
    again = json.loads((tmp_path / "figures.json").read_text())
    for split in ("validation", "test"):
        assert again[split] == metrics[split]
    assert again["baselines"] == metrics["baselines"]
    assert f"{metrics['test']['accuracy']:.4f}" in capsys.readouterr().out


def test_text_run_learns_and_predicts(text_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    metrics = json.loads((text_run / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.9
    assert metrics["baselines"]["tfidf_lr"]["accuracy"] > 0.9
    assert (
        main(["predict", str(text_run), "a great story", "boring and stupid", "--json", "--threads", "1"])
        == 0
    )
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["label"] for line in lines] == ["good", "bad"]
    for line, text in zip(lines, ["a great story", "boring and stupid"], strict=True):
        assert line.keys() == {"input", "label", "probabilities"}
        assert line["input"] == text
        assert sum(line["probabilities"].values()) == pytest.approx(1)
        assert max(line["probabilities"], key=line["probabilities"].get) == line["label"]


def test_predictions_do_not_depend_on_company(text_run: Path) -> None:
    loaded = glassformer.load(text_run)
    texts = ["a great story", "boring", "i loved it " * 50, "unknownword"]
    together = loaded.predict(texts)
    for text, prediction in zip(texts, together, strict=True):
        alone = loaded.predict([text])[0]
        assert alone.probabilities == pytest.approx(prediction.probabilities, abs=2e-2)
    assert loaded.predict([]) == []


@pytest.mark.parametrize("wrong", [None, b"good", 7, float("nan")])
def test_what_is_no_text_is_not_predicted(text_run: Path, wrong: Any) -> None:
    loaded = glassformer.load(text_run)
    with pytest.raises(UsageError, match=r"input 2 is .*, not a text"):
        loaded.predict(["good", wrong])
    with pytest.raises(UsageError, match="predict takes a list of inputs, not one alone"):
        loaded.predict("good")


def test_the_name_of_a_file_is_told_to_be_read_as_a_text(
    text_run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "in.txt"
    path.write_text("good\n")
    assert main(["predict", str(text_run), str(path)]) == 0
    assert f"note: {str(path)!r} is read as a text; for the lines of that file" in capsys.readouterr().err
    assert main(["predict", str(text_run), "good " * 1000]) == 0
    assert "is read as a text" not in capsys.readouterr().err


def test_a_text_that_is_cut_is_told(text_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    notes: list[str] = []
    loaded = glassformer.load(text_run)
    most = loaded.config.data.max_tokens
    loaded.predict(["good", "bad " * (most + 1)], report=notes.append)
    assert notes == [f"note: 1 of 2 texts reach {most:,} tokens, after which a text is cut"]
    assert main(["predict", str(text_run), "bad " * (most + 1), "--json"]) == 0
    said = capsys.readouterr()
    assert len(said.out.splitlines()) == 1
    assert "after which a text is cut" in said.err


def test_python_and_command_line_agree(text_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    python = glassformer.load(text_run).predict(["a dull story"])[0]
    main(["predict", str(text_run), "a dull story", "--json"])
    line = json.loads(capsys.readouterr().out)
    assert line["probabilities"] == pytest.approx(python.probabilities, abs=1e-3)


def test_evaluate_on_another_file(text_run: Path, tmp_path: Path) -> None:
    words, labels = reviews(50, seed=77)
    rows = [(text, ("bad", "good")[label]) for text, label in zip(words, labels, strict=True)]
    other = write_jsonl(tmp_path / "other.jsonl", rows)
    command = ["evaluate", text_run, "--data.test", other, "--json", tmp_path / "x.json", "--threads", "1"]
    assert main([str(word) for word in command]) == 0
    figures = json.loads((tmp_path / "x.json").read_text())
    loaded = glassformer.load(text_run)
    probabilities = np.array([list(p.probabilities.values()) for p in loaded.predict(words)])
    assert figures["test"]["count"] == 50
    assert figures["test"]["accuracy"] == pytest.approx(accuracy(probabilities, np.array(labels)))
    assert figures["baselines"]["nb_bigrams_lr"]["test"]["count"] == 50
    assert "validation" not in figures


def test_changed_data_is_refused(tmp_path: Path) -> None:
    words, labels = reviews(60)
    rows = list(zip(words, labels, strict=True))
    path = write_csv(tmp_path / "mine.csv", rows)
    command = f"train text --data.train {path} --fit.epochs 1 --threads 1 --run-dir {tmp_path / 'run'}"
    assert main(command.split()) == 0
    write_csv(path, rows[::-1])
    loaded = glassformer.load(tmp_path / "run")
    with pytest.raises(DataError, match=r"the train and validation and test data of .* has changed"):
        loaded.evaluate(report=quiet)
    metrics, notes = loaded.evaluate(str(path), report=quiet)
    assert metrics["baselines"] == {}
    assert "has changed" in notes[0]


def test_another_file_with_trained_texts_is_noted(text_run: Path) -> None:
    train_file = yaml.safe_load((text_run / "config.yaml").read_text())["data"]["train"]
    _, notes = glassformer.load(text_run).evaluate(train_file, report=quiet)
    assert "of 240 texts of" in notes[0]
    assert "stand in train too" in notes[0]
    assert "stand in validation too" in notes[1]
    _, notes = glassformer.load(text_run).evaluate(train_file, baselines=False, report=quiet)
    told = f"not looked at without baselines: whether texts of {train_file} stand in train too"
    assert notes[0] == told


def test_a_run_is_found_from_any_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words, labels = reviews(60)
    write_csv(tmp_path / "mine.csv", list(zip(words, labels, strict=True)))
    monkeypatch.chdir(tmp_path)
    assert (
        main(
            [
                "train",
                "text",
                "--data.train",
                "mine.csv",
                "--fit.epochs",
                "1",
                "--threads",
                "1",
                "--run-dir",
                "run",
            ]
        )
        == 0
    )
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert main(["evaluate", "../run", "--threads", "1"]) == 0


def test_labels_are_no_markup(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words, labels = reviews(60)
    rows = [(text, ("[/b]", "[red]")[label]) for text, label in zip(words, labels, strict=True)]
    path = write_csv(tmp_path / "a.csv", rows)
    command = f"train text --data.train {path} --fit.epochs 1 --threads 1 --run-dir {tmp_path / 'run[x]'}"
    assert main(command.split()) == 0
    assert "[/b]" in capsys.readouterr().out


def test_many_classes_show_the_worst_pairs() -> None:
    counts = [[5 if i == j else int((i, j) == (3, 7)) for j in range(40)] for i in range(40)]
    table = confusion_table({"classes": [f"class {i}" for i in range(40)], "confusion": counts})
    assert [list(column.cells) for column in table.columns] == [["class 3"], ["class 7"], ["1"]]


@pytest.mark.parametrize("sign", ["x", "字"])
@pytest.mark.parametrize("count", [1, 1_234_567])
def test_a_matrix_is_shown_whole_or_its_pairs(sign: str, count: int) -> None:
    shown = []
    for length in range(1, 16):
        names = [sign * length + str(number) for number in range(6)]
        table = confusion_table({"classes": names, "confusion": [[count] * 6] * 6}, width=110)
        shown.append(len(table.columns))
        console = Console(width=110)
        with console.capture() as captured:
            console.print(table)
        assert f"{count:,}" in captured.get()
        if len(table.columns) == 7:  # in one line each
            assert all(captured.get().count(name) == 2 for name in names)
    assert shown == sorted(shown, reverse=True)
    assert set(shown) == {7, 3}


def test_two_long_classes_keep_their_matrix_and_without_an_error_no_pair_is_shown() -> None:
    names = ["a" * 60, "b" * 60]
    table = confusion_table({"classes": names, "confusion": [[7, 0], [0, 8]]})
    assert [list(column.cells) for column in table.columns[1:]] == [["7", "0"], ["0", "8"]]
    right = [[5 * (i == j) for j in range(40)] for i in range(40)]
    table = confusion_table({"classes": [f"class {i}" for i in range(40)], "confusion": right})
    assert [list(column.cells) for column in table.columns] == [["none"], ["none"], ["0"]]


@pytest.mark.parametrize("table", [per_class_table, confusion_table])
def test_long_names_of_classes_are_not_cut(table: Callable[[dict[str, Any]], Table]) -> None:
    names = [f"{'long' * 30} {number}" for number in range(3)]
    row = {"precision": 0.5, "recall": 0.5, "f1": 0.5, "count": 2}
    console = Console(width=80)
    with console.capture() as captured:
        console.print(
            table({"classes": names, "confusion": [[1] * 3] * 3, "per_class": dict.fromkeys(names, row)})
        )
    assert "…" not in captured.get()


def test_the_rival_runs_too(tmp_path: Path) -> None:
    words = (
        f"train parity --model.name recurrent --data.bits 6 --data.strings 64 --fit.epochs 1 --threads 1 "
        f"--run-dir {tmp_path / 'run'}"
    )
    assert main(words.split()) == 0
    assert yaml.safe_load((tmp_path / "run" / "config.yaml").read_text())["model"]["name"] == "recurrent"
    assert glassformer.load(tmp_path / "run").predict(["010101"])[0].label in ("even", "odd")


# --- broken runs ------------------------------------------------------------------------------------------


@pytest.fixture
def copy(run: Path, tmp_path: Path) -> Path:
    for path in run.iterdir():
        if path.is_file() and "events" not in path.name:
            (tmp_path / "copy").mkdir(exist_ok=True)
            (tmp_path / "copy" / path.name).write_bytes(path.read_bytes())
    return tmp_path / "copy"


def test_no_run_at_all(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"is not a run \(it has no config\.yaml\)"):
        glassformer.load(tmp_path)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json"])
def test_an_incomplete_run(copy: Path, name: str) -> None:
    (copy / name).unlink()
    with pytest.raises(DataError, match=rf"is incomplete \(it has no {name}\)"):
        glassformer.load(copy)


@pytest.mark.parametrize("name", ["model.safetensors", "tokenizer.json", "config.yaml"])
@pytest.mark.parametrize("content", [b"", b"garbage \xff\xfe", b"{}"])
def test_a_corrupted_run(copy: Path, name: str, content: bytes) -> None:
    (copy / name).write_bytes(content)
    with pytest.raises(DataError, match=f"{name} is broken"):
        glassformer.load(copy)


def test_a_truncated_model(copy: Path) -> None:
    whole = (copy / "model.safetensors").read_bytes()
    (copy / "model.safetensors").write_bytes(whole[: len(whole) // 2])
    with pytest.raises(DataError, match=r"model\.safetensors is broken"):
        glassformer.load(copy)


def test_weights_of_another_model(copy: Path) -> None:
    save_file({"other": torch.ones(2)}, copy / "model.safetensors")
    with pytest.raises(DataError, match=r"model\.safetensors is broken or of another version"):
        glassformer.load(copy)


def test_a_run_of_another_version(copy: Path) -> None:
    content = yaml.safe_load((copy / "config.yaml").read_text())
    (copy / "config.yaml").write_text(yaml.safe_dump(content | {"schema_version": 99}))
    with pytest.raises(DataError, match="is of version 99, this glassformer reads version 1"):
        glassformer.load(copy)


def test_no_object_is_made_from_yaml(copy: Path) -> None:
    (copy / "config.yaml").write_text(f"!!python/object/apply:os.mkdir ['{copy / 'made'}']")
    with pytest.raises(DataError, match=r"config\.yaml is broken"):
        glassformer.load(copy)
    assert not (copy / "made").exists()


def test_a_taken_folder_is_refused_and_untouched(run: Path, tmp_path: Path) -> None:
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    with pytest.raises(UsageError, match="holds a finished run; choose another --run-dir"):
        train("parity", small(), str(run), report=quiet)
    assert before == {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    (tmp_path / "notes.txt").write_text("mine")
    with pytest.raises(UsageError, match="not an empty folder"):
        train("parity", small(), str(tmp_path), report=quiet)
    assert os.listdir(tmp_path) == ["notes.txt"]


@pytest.mark.parametrize(("by_loss", "kept"), [(False, [1]), (True, [1, 2])])
def test_an_epoch_is_kept_by_its_accuracy_or_by_its_loss(
    by_loss: bool, kept: list[int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[int] = []
    keeper = RunKeeper(tmp_path, SimpleNamespace(position={}), by_loss=by_loss)  # type: ignore[arg-type]
    module = SimpleNamespace(config=SimpleNamespace(fit=small().fit), best_guess=None)
    for epoch, (share, loss) in enumerate([(0.23, 5.4), (0.17, 5.2), (0.15, 5.3)]):
        figures = {"validation/accuracy": torch.tensor(share), "validation/loss": torch.tensor(loss)}
        trainer = SimpleNamespace(callback_metrics=figures, current_epoch=epoch)
        monkeypatch.setattr(
            "glassformer.training.callbacks.save_model", lambda *words, epoch=epoch: saved.append(epoch + 1)
        )
        keeper.on_validation_end(trainer, module)  # type: ignore[arg-type]
    assert saved == kept
    assert keeper.best_epoch == kept[-1]


def test_ctrl_c_before_the_first_file_leaves_no_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(*words: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("glassformer.training.fit.write_config", stop)
    with pytest.raises(KeyboardInterrupt):
        train("parity", small(), str(tmp_path / "run"), report=quiet)
    assert not (tmp_path / "run").exists()
