"""Studies that are stopped, killed, shared and broken."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
import torch
from filelock import FileLock
from tests.helpers import glassformer, image_folder, write_csv

from glassformer.cli import main
from glassformer.errors import UsageError
from glassformer.experiments.compare import _notes
from glassformer.experiments.study import Job, last_line
from glassformer.tasks import find_task

pytestmark = pytest.mark.xdist_group("study")  # its fixture takes long: made once
SIZES = "--data.bits 6 --fit.epochs 2 --model.d-model 8 --model.d-ff 8 --model.heads 2 --precision fp32"
TINY = SIZES.split()
VARIED = ["--vary", "model.layers=1,2", "--seeds", "3"]


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    folder = tmp_path_factory.mktemp("studies") / "whole"
    assert main(["compare", "parity", *TINY, *VARIED, "--study", str(folder)]) == 0
    return folder


def table(folder: Path) -> dict[str, Any]:
    """The table of a study, seconds aside."""
    content = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    for row in content["rows"]:
        del row["train_seconds"]
    return content


def test_the_table_is_of_the_runs(undisturbed: Path) -> None:
    content = table(undisturbed)
    models = [row for row in content["rows"] if row["kind"] == "model"]
    assert {row["label"] for row in models} == {"base", "model.layers=1"}
    for row in models:
        runs = [undisturbed / "runs" / name for name in content["runs"][row["label"]]]
        metrics = [json.loads((run / "metrics.json").read_text(encoding="utf-8")) for run in runs]
        assert row["validation"]["each"] == [each["validation"]["accuracy"] for each in metrics]
        assert row["test"]["each"] == [each["test"]["accuracy"] for each in metrics]
        assert row["parameters"] == metrics[0]["parameters"]
        assert [each["seed"] for each in metrics] == [0, 1, 2]
    assert [row["label"] for row in content["rows"] if row["kind"] == "baseline"] == ["majority"]
    assert {pair["option"] for pair in content["pairs"]} == {"model.layers"}
    assert (undisturbed / "effects.png").stat().st_size > 10_000


def test_the_command_of_a_run_repeats_it(undisturbed: Path, tmp_path: Path) -> None:
    name = table(undisturbed)["runs"]["model.layers=1"][1]
    run = undisturbed / "runs" / name
    command = json.loads((run / "provenance.json").read_text(encoding="utf-8"))["command"]
    assert command.endswith("--model.layers 1 --seed 1")
    assert main([*command.split()[1:], "--run-dir", str(tmp_path / "again")]) == 0
    again, first = (
        json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        for folder in (tmp_path / "again", run)
    )
    assert again["validation"] == first["validation"]
    assert again["test"] == first["test"]


def test_killed_and_started_again_it_ends_with_the_same_table(undisturbed: Path, tmp_path: Path) -> None:
    """Asked to end after the first of its six runs, killed after the next."""
    folder = tmp_path / "killed"
    words = [sys.executable, "-m", "glassformer", "compare", "parity", *TINY, *VARIED, "--study", str(folder)]

    def times() -> dict[Path, int]:
        return {path: path.stat().st_mtime_ns for path in folder.glob("runs/*/metrics.json")}

    finished: dict[Path, int] = {}
    for end in (signal.SIGTERM, signal.SIGKILL):
        with (tmp_path / "said").open("wb") as said:
            process = subprocess.Popen(words, stdout=said, stderr=said)
            deadline = time.monotonic() + 120
            while len(times()) <= len(finished) and time.monotonic() < deadline:
                time.sleep(0.05)
            os.kill(process.pid, end)
            process.wait(timeout=120)
        if end == signal.SIGTERM:
            assert process.returncode == 130
            assert f"stopped; the same command goes on with {folder}" in (tmp_path / "said").read_text()
        before, finished = finished, times()
        assert len(before) < len(finished) < 6
        assert finished.items() >= before.items(), "no finished run is repeated"
    again = glassformer(*words[3:])
    assert again.returncode == 0, again.stderr
    assert "of them finished before" in again.stderr
    assert again.stdout.count("base: ") == again.stdout.count("base: model.layers=2\n") == 1
    assert times().items() >= finished.items(), "no finished run is repeated"
    assert table(folder) == table(undisturbed) | {"command": table(folder)["command"]}


def test_a_run_that_fails_is_reported_and_stops_no_other(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "failing"
    words = ["compare", "parity", *TINY, "--vary", "optim.learning_rate=1e-3,1e30", "--seeds", "1"]
    assert main([*words, "--study", str(folder)]) == 1
    said = capsys.readouterr().err.splitlines()[-1]
    assert said.startswith("glassformer: 1 of 2 runs failed, ") or "1 of 3 runs failed" in said
    assert "the training diverged" in said
    rows = {row["label"]: row for row in table(folder)["rows"]}
    assert rows["optim.learning_rate=1e30"]["validation"] is None
    assert rows["base"]["validation"] is not None


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main([str(word) for word in words]) in (1, 2)
    said = capsys.readouterr().err.splitlines()
    assert "Traceback" not in "".join(said)
    return said[-1]


def test_refuses_in_one_line(undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    compare = ["compare", "parity", *TINY, "--study", tmp_path / "new"]
    assert "perhaps you meant --model.layers" in refused(capsys, *compare, "--vary", "model.layerz=1,2")
    assert "heads=3 does not divide" in refused(capsys, *compare, "--vary", "model.heads=2,3")
    assert "nothing to compare" in refused(capsys, *compare)
    assert "exclude each other" in refused(
        capsys, *compare, "--vary", "model.layers=1,2", "--grid", "--one-at-a-time"
    )
    assert not (tmp_path / "new").exists(), "before anything is trained"
    other = ["compare", "reverse", "--vary", "model.heads=1,2", "--study", undisturbed]
    assert "is a study of the task parity, not reverse" in refused(capsys, *other)
    with FileLock(undisturbed / "lock"):
        theirs = glassformer("compare", "parity", *TINY, *VARIED, "--study", undisturbed)
    assert theirs.returncode == 2
    assert "is being written by another process" in theirs.stderr
    file = tmp_path / "file"
    file.write_text("", encoding="utf-8")
    assert "is not a folder" in refused(capsys, "compare", "parity", *VARIED, "--study", file)
    broken = image_folder(tmp_path / "broken", {"a": 3, "b": 3})
    (bad,) = broken.glob("b/1.*")
    bad.write_bytes(b"no image")
    images = ["compare", "images", "--data.train", broken, *VARIED, "--study"]
    assert str(bad) in refused(capsys, *images, tmp_path / "new")
    assert not (tmp_path / "new").exists(), "bad data end the comparison, not each of its runs"
    assert "is a study of the task parity, not images" in refused(capsys, *images, undisturbed)
    (tmp_path / "mine").mkdir()
    refused(capsys, *images, tmp_path / "mine" / "more" / "new")
    assert not list((tmp_path / "mine").iterdir())
    (tmp_path / "mine" / "notes.txt").touch()
    said = refused(capsys, "compare", "parity", *TINY, *VARIED, "--study", tmp_path / "mine")
    assert "mine holds notes.txt, and no study; give another --study" in said
    assert [each.name for each in (tmp_path / "mine").iterdir()] == ["notes.txt"]
    if not torch.cuda.is_available():
        capsys.readouterr()
        assert "device=cuda is not there" in refused(capsys, *images, tmp_path / "new", "--device", "cuda")


def test_a_finished_study_needs_its_data_no_more(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pairs = write_csv(tmp_path / "pairs.csv", [("a", "x"), ("b", "y")] * 4, ("source", "target"))
    words = ["compare", "pairs", "--data.train", str(pairs), "--vary", "model.d-ff=4,8", "--seeds", "1"]
    words += ["--model.d-model", "8", "--model.heads", "2", "--fit.epochs", "1", "--precision", "fp32"]
    assert main([*words, "--study", str(tmp_path / "study")]) == 0
    pairs.unlink()
    assert main([*words, "--study", str(tmp_path / "study")]) == 0
    capsys.readouterr()
    assert "there is no file" in refused(capsys, *words, "--study", tmp_path / "other")
    assert not (tmp_path / "other").exists()


@pytest.mark.parametrize("words", [["compare", "parity", *VARIED], ["tune", "parity", "--trials", "1"]])
def test_stopped_before_it_began_there_is_nothing_to_go_on_with(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(type(find_task("parity")), "prepare", stop)
    assert main([*words, *TINY, "--study", str(tmp_path / "new")]) == 130
    assert capsys.readouterr().err.endswith("stopped; nothing was begun yet\n")
    assert not (tmp_path / "new").exists()


def test_a_broken_run_is_named(undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (broken,) = undisturbed.glob("runs/base_seed-0_*/metrics.json")
    whole = broken.read_text(encoding="utf-8")
    try:
        broken.write_text(whole[: len(whole) // 2], encoding="utf-8")
        said = refused(capsys, "compare", "parity", *TINY, *VARIED, "--study", undisturbed)
    finally:
        broken.write_text(whole, encoding="utf-8")
    assert broken.parent.name in said
    assert "delete that folder and start the study again" in said


def test_the_last_line_of_a_log(tmp_path: Path) -> None:
    assert last_line(tmp_path, "none") == ""
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "a.log").write_text("x" * 9000 + "\nlast one\n\n", encoding="utf-8")
    assert last_line(tmp_path, "a") == "last one"


def test_of_two_seeds_the_reader_is_told_how_little_that_is(tmp_path: Path) -> None:
    config = find_task("parity").preset(None, None)
    jobs = [Job(f"seed-{seed}", "parity", config, "") for seed in range(3)]
    assert not any("of two seeds" in note for note in _notes(config, [jobs[:1]], tmp_path))
    assert any("of two seeds" in note for note in _notes(config, [jobs[:2]], tmp_path))
    assert not any("of two seeds" in note for note in _notes(config, [jobs], tmp_path))


@pytest.mark.parametrize(
    ("words", "told"),
    [("compare text --grid --vary data.train=A,B", "reached"),
     ("compare images --data.train PETS --data.image-size 60 60 --grid --vary model.patch=10,12", "reached"),
     ("compare images --data.train PETS --data.image-size 60 60 --vary model.patch=10,12", "patch=8 does"),
     ("compare text --data.train A --vary data.label=label,lable", "has no column 'lable'"),
     ("tune text --search data.train=A,B", "reached"),
     ("tune images --data.train PETS --data.image-size 60 60 --search model.patch=10,12", "reached")],
)  # fmt: skip
def test_of_the_data_only_what_is_trained_on_is_asked_for(
    words: str, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def reached(*_: object, **__: object) -> None:
        raise UsageError("reached")

    monkeypatch.setattr("glassformer.experiments.compare.compare", reached)
    monkeypatch.setattr("glassformer.experiments.tune.train", reached)
    places = {
        "PETS": image_folder(tmp_path / "pets", {"cat": 4, "dog": 4}),
        **{name: write_csv(tmp_path / f"{name}.csv", [("a", "x"), ("b", "y")] * 3) for name in "AB"},
    }
    for name, place in places.items():
        words = re.sub(rf"\b{name}\b", str(place), words)
    assert told in refused(capsys, *words.split(), "--study", tmp_path / "study")
