"""Runs on images from beginning to end: what they write, print, resume and predict."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file
from tests.helpers import image_folder, python

from glassformer.cli import main
from glassformer.data.digits import digits_images
from glassformer.errors import DataError
from glassformer.tasks import find_task
from glassformer.tasks.images import ImagesTask
from glassformer.training.callbacks import InterruptedRun, RunKeeper
from glassformer.training.fit import resume, train
from glassformer.training.judge import per_class_table
from glassformer.training.loaded import load


def quiet(line: str) -> None:
    del line


def small(**data: Any):
    """A few digits, smaller at first, every augmentation, Muon, averaging: what has to survive a restart."""
    config = find_task("digits").preset("cpu", None)
    varied: dict[str, Any] = {"crop": 1, "flip": True, "erase": 0.5, "mixup": 0.4, "cutmix": 1.0}
    varied |= {"early_scale": 0.5, "early_share": 0.67}
    return replace(
        config,
        model=replace(config.model, layers=2, heads=2, d_model=16, d_ff=24, stochastic_depth=0.2),
        data=replace(config.data, fraction=0.2, **(varied | data)),
        optim=replace(config.optim, decay="one-cycle", label_smoothing=0.1),
        fit=replace(config.fit, epochs=3, batch_size=32, average=0.9),
        baselines=False,
        device="cpu",
        threads=1,
    )


def test_stopped_and_resumed_equals_never_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = train("digits", small(), str(tmp_path / "whole"), report=quiet)
    keep, seen = RunKeeper.on_train_batch_end, []

    def interrupt(self: RunKeeper, *words: Any) -> None:
        seen.append(1)
        if len(seen) == 12:  # of 9 batches an epoch: in the second
            self._interrupted.set()
        keep(self, *words)

    monkeypatch.setattr(RunKeeper, "on_train_batch_end", interrupt)
    with pytest.raises(InterruptedRun):
        train("digits", small(), str(tmp_path / "stopped"), report=quiet)
    assert not (tmp_path / "stopped" / "metrics.json").exists()
    resume(str(tmp_path / "stopped"), report=quiet)
    ours, theirs = (load_file(folder / "model.safetensors") for folder in (tmp_path / "stopped", whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)
    (whole / "metrics.json").unlink()  # as if it had been stopped while it was judged
    said: list[str] = []
    resume(str(whole), report=said.append)
    assert "going on after the last epoch" in said
    stopped, never = (json.loads((tmp_path / n / "metrics.json").read_text()) for n in ("stopped", "whole"))
    assert stopped["history"] == never["history"]
    assert stopped["early_images"] == never["early_images"] == {"height": 4, "width": 4, "epochs": 2}


def test_digits_learn_and_are_written_printed_drawn_and_predicted(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run = tmp_path / "run"
    command = f"train digits --run-dir {run} --fit.epochs 16 --threads 1 --model.layers 2"
    assert main(command.split()) == 0
    printed = capsys.readouterr().out
    assert "each class on test" in printed
    assert "validation accuracy passed 25% after" in printed
    for name in ("small_cnn", "pixels_lr", "majority"):
        assert name in printed
    metrics = json.loads((run / "metrics.json").read_text())
    assert metrics["test"]["accuracy"] > 0.85
    assert set(metrics["baselines"]) == {"majority", "pixels_lr", "small_cnn"}
    assert metrics["baselines"]["pixels_lr"]["test"]["accuracy"] > 0.85
    seconds = [each["seconds"] for each in metrics["milestones"]]
    assert seconds == sorted(seconds)
    assert {0.25, 0.5, 0.7} <= {each["accuracy"] for each in metrics["milestones"]}
    assert len(metrics["history"]) == 16
    for name in ("learning_curves.png", "confusion.png"):
        with Image.open(run / name) as figure:
            assert figure.width > 800

    images, labels = digits_images()
    files = []
    for number in range(10):
        pixels = images.pixels[int(np.flatnonzero(labels == number)[0]), 0]
        files.append(str(tmp_path / f"{number}.png"))
        Image.fromarray(pixels).save(files[-1])
    assert main(["predict", str(run), *files, "--json", "--threads", "1"]) == 0
    answers = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [answer["input"] for answer in answers] == files
    assert sum(answer["label"] == str(number) for number, answer in enumerate(answers)) >= 8
    for answer in answers:
        assert sum(answer["probabilities"].values()) == pytest.approx(1, abs=1e-5)


def test_evaluate_on_a_folder_of_images(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    train_folder = image_folder(tmp_path / "pets", {"cat": 30, "dog": 30})
    other = image_folder(tmp_path / "other", {"cat": 7, "dog": 9}, seed=5)
    command = (
        f"train images --data.train {train_folder} --data.image-size 16 16 --run-dir {tmp_path / 'run'} "
        "--fit.epochs 6 --fit.batch-size 8 --threads 1 --no-baselines --model.layers 1 --model.d-model 24"
    )
    assert main(command.split()) == 0
    assert "validation has 4 examples, each worth 0.250 of its accuracy" in capsys.readouterr().out
    words = ["evaluate", str(tmp_path / "run"), "--data.test", str(other), "--threads", "1"]
    assert main(words) == 0
    assert "16 test examples" in capsys.readouterr().out
    gone = image_folder(tmp_path / "more", {"cat": 2, "cow": 2})
    assert main([*words[:3], str(gone), "--threads", "1"]) == 1
    refused = capsys.readouterr().err.strip().splitlines()
    assert len(refused) == 1
    assert "cow" in refused[0]
    with monkeypatch.context() as patched:  # it is told before the training images are read
        patched.setattr(ImagesTask, "prepare", None)
        with pytest.raises(DataError, match="cow"):
            load(tmp_path / "run").evaluate(str(gone))
    for command in ("predict", "explain"):  # asked before what takes seconds is loaded
        code = (
            "import sys; from glassformer.cli import main\n"
            f"assert main([{command!r}, {words[1]!r}, 'gone.png']) == 2\n"
            "assert 'torch' not in sys.modules"
        )
        done = python(code)
        assert "there is no image file gone.png" in done.stderr
    (other / "cat" / "bad.png").write_bytes(b"no image")
    assert main(words) == 1
    assert "leave bad images out with --skip-bad" in capsys.readouterr().err
    monkeypatch.setenv("HOME", str(tmp_path))
    assert main([*words[:3], "~/other", "--threads", "1", "--skip-bad"]) == 0
    shown = capsys.readouterr().out
    assert "16 test examples" in shown
    assert "1 image was left out as unreadable: " in shown
    assert main(["evaluate", str(tmp_path / "run"), "--skip-bad"]) == 2
    capsys.readouterr()
    files = [str(other / "cat" / name) for name in ("bad.png", "gone.png", "0.png")]
    assert main(["predict", str(tmp_path / "run"), *files, "--skip-bad", "--json", "--threads", "1"]) == 0
    printed = capsys.readouterr()
    assert json.loads(printed.out)["input"] == files[2]
    assert f"2 images were left out as unreadable: {files[0]}, {files[1]}" in printed.err
    config = tmp_path / "run" / "config.yaml"
    config.write_text(config.read_text().replace("skip_bad: false", "skip_bad: true"))
    assert main(["predict", str(tmp_path / "run"), *files, "--threads", "1"]) == 0, "as trained"


def test_show_draws_a_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "digits", "--out", str(tmp_path / "page.png"), "--examples", "4"]) == 0
    assert str(tmp_path / "page.png") in capsys.readouterr().out
    with Image.open(tmp_path / "page.png") as page:
        assert page.height > page.width / 2


def test_of_a_class_without_examples_nothing_is_claimed() -> None:
    row = {"precision": 0.0, "recall": 0.0, "f1": 0.0, "count": 0}
    table = per_class_table({"per_class": {"not there": row, "there": row | {"count": 2}}})
    assert [list(column.cells) for column in table.columns[1:4]] == [["-", "0.0000"]] * 3
    many = {str(i): row for i in range(20)} | {"there": row | {"count": 2}}
    assert next(iter(per_class_table({"per_class": many}).columns[0].cells)) == "there"


def test_many_classes_show_those_recalled_worst() -> None:
    rows = {f"class {i}": {"precision": 0.5, "recall": i / 40, "f1": 0.5, "count": 1000} for i in range(40)}
    table = per_class_table({"per_class": rows})
    cells = [list(column.cells) for column in table.columns]
    assert cells[0] == [f"class {i}" for i in range(10)]
    assert cells[2][1] == "0.0250"
    assert cells[4][0] == "1,000"
