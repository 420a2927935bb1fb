"""Searches: what they may choose, one study shared by two processes, and the preset they end with."""

import gc
import json
import subprocess
import sys
import weakref
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml
from tests.helpers import image_folder

from glassformer.cli import main
from glassformer.errors import UsageError
from glassformer.experiments import tune
from glassformer.experiments.space import Choices, Range, parse_search, usual_space
from glassformer.tasks import TASKS, find_task
from glassformer.training.module import TrainingModule

SIZES = "--data.bits 6 --model.d-model 8 --model.d-ff 8 --model.heads 2 --precision fp32"
TINY = SIZES.split()
SEARCH = ["--search", "model.layers=1,2", "--search", "optim.learning_rate=1e-3..1e-1"]


def test_searches_as_they_are_written() -> None:
    space = parse_search(["model.layers=1,2", "optim.learning-rate=1e-4..1e-2", "fit.epochs=2..5"])
    assert space["model.layers"] == Choices(("1", "2"))
    assert space["optim.learning_rate"] == Range(1e-4, 1e-2, log=True)
    assert space["fit.epochs"] == Range(2, 5, whole=True)
    assert parse_search(["model.dropout=0..0.3"])["model.dropout"] == Range(0.0, 0.3)


@pytest.mark.parametrize(
    ("word", "message"),
    [
        ("model.layers", "no OPTION=VALUES"),
        ("model.layers=1,,2", "empty value or one twice"),
        ("model.layers=1,1", "empty value or one twice"),
        ("optim.learning_rate=a..b", "no range of numbers"),
        ("optim.learning_rate=1e-2..1e-4", "no room between its ends"),
        ("optim.learning_rate=1..inf", "no room between its ends"),
    ],
)
def test_refuses_what_is_no_search(word: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_search([word])


@pytest.mark.parametrize("name", TASKS)
def test_the_usual_space_of_every_task_and_model_is_taken(name: str) -> None:
    """Each value, alone, is one that the configuration takes."""
    task = find_task(name)
    for model_name in task.default_preset:
        config = task.preset(None, model_name)
        space = usual_space(config)
        assert "optim.learning_rate" in space
        for option, values in space.items():
            part, field = option.split(".")
            for value in values.ends():
                kind = type(getattr(getattr(config, part), field))
                changed = replace(getattr(config, part), **{field: kind(value)})
                assert getattr(changed, field) == kind(value)


def test_two_processes_finish_one_study_together(tmp_path: Path) -> None:
    folder = tmp_path / "shared"
    words = [sys.executable, "-m", "glassformer", "tune", "parity", *TINY, *SEARCH, "--fit.epochs", "3",
             "--trials", "6", "--study", str(folder)]  # fmt: skip
    both = [subprocess.Popen(words, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) for _ in "ab"]
    said = [process.communicate(timeout=240) for process in both]
    assert [process.returncode for process in both] == [0, 0], said
    result = json.loads((folder / "tuning.json").read_text(encoding="utf-8"))
    assert sorted(trial["number"] for trial in result["trials"]) == list(range(6))
    assert {trial["state"] for trial in result["trials"]} <= {"complete", "pruned"}
    settings = [tuple(trial["settings"].values()) for trial in result["trials"]]
    assert len(set(settings)) == 6, "no trial doubled"
    told = "".join(err for _, err in said)
    assert all(told.count(f"trial {number}: ") == 1 for number in range(6))
    finished = [trial for trial in result["trials"] if trial["state"] == "complete"]
    assert result["best"]["validation_accuracy"] == max(trial["validation_accuracy"] for trial in finished)
    assert (folder / "tuning.png").stat().st_size > 10_000

    number = result["best"]["number"]
    metrics = json.loads((folder / "trials" / f"{number:04d}" / "metrics.json").read_text(encoding="utf-8"))
    assert metrics["validation"]["accuracy"] == result["best"]["validation_accuracy"]
    assert "test" not in metrics, "a search has no business with test"

    best = yaml.safe_load((folder / "best.yaml").read_text(encoding="utf-8"))
    assert best["model"]["layers"] == int(result["best"]["settings"]["model.layers"])
    run = tmp_path / "run"
    assert main(["train", "parity", "--config", str(folder / "best.yaml"), "--run-dir", str(run)]) == 0
    repeated = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
    assert repeated["validation"]["accuracy"] == metrics["validation"]["accuracy"]

    assert main(["tune", "reverse", "--trials", "1", "--study", str(folder)]) == 2


def test_hopeless_trials_end_early(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Rates far too small to learn with, after some that learn."""
    words = ["tune", "parity", *TINY, "--search", "optim.learning_rate=1e-9,0.03"]
    words += ["--fit.epochs", "8", "--fit.stop-above", "0"]
    assert main([*words, "--trials", "12", "--study", str(tmp_path / "pruned"), "--seed", "1"]) == 0
    result = json.loads((tmp_path / "pruned" / "tuning.json").read_text(encoding="utf-8"))
    early = [trial for trial in result["trials"] if trial["state"] == "pruned"]
    assert early
    assert all(3 <= len(trial["epochs"]) < 8 for trial in early), "a third of the epochs is left to each"
    assert f"12 trials, {len(early)} of them ended early" in capsys.readouterr().out


def test_a_trial_that_was_good_early_is_held_against_later_ones(tmp_path: Path) -> None:
    """Without it nothing is left at the later epochs to be worse than, and hopeless trials run on."""
    words = ["tune", "parity", *TINY, "--search", "optim.learning_rate=1e-9,0.03", "--fit.epochs", "30"]
    assert main([*words, "--trials", "12", "--study", str(tmp_path / "solved"), "--seed", "1"]) == 0
    result = json.loads((tmp_path / "solved" / "tuning.json").read_text(encoding="utf-8"))
    solved = [trial for trial in result["trials"] if trial["validation_accuracy"] == 1]
    assert solved
    assert all(len(trial["epochs"]) < 30 for trial in solved), "only what was trained is told"
    early = [trial for trial in result["trials"] if trial["state"] == "pruned"]
    assert early
    assert all(len(trial["epochs"]) >= 10 for trial in early)


def test_a_trial_leaves_no_model_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    modules: weakref.WeakSet[TrainingModule] = weakref.WeakSet()
    built, trained, alive = TrainingModule.__init__, tune.train, []

    def build(self: TrainingModule, *words: Any) -> None:
        built(self, *words)
        modules.add(self)

    def train(*words: Any, **more: Any) -> Any:
        alive.append(len(modules))
        return trained(*words, **more)

    monkeypatch.setattr(TrainingModule, "__init__", build)
    monkeypatch.setattr(tune, "train", train)
    words = ["tune", "parity", *TINY, *SEARCH, "--fit.epochs", "1", "--trials", "3"]
    gc.disable()  # nothing is collected by chance
    try:
        assert main([*words, "--study", str(tmp_path / "study")]) == 0
    finally:
        gc.enable()
    assert alive == [0, 0, 0]


def test_bad_data_end_a_search_at_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pets, study = image_folder(tmp_path / "pets", {"cat": 3, "dog": 3}), tmp_path / "study"
    (bad,) = pets.glob("dog/1.*")
    bad.write_bytes(b"no image")
    assert main(["tune", "images", "--data.train", str(pets), "--study", str(study)]) == 1
    assert capsys.readouterr().err.splitlines()[-1].startswith(f"glassformer: {bad} is no image")
    assert not study.exists()


def test_a_search_of_which_nothing_came_says_how_to_go_on(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", "parity", *TINY, "--search", "optim.learning_rate=1e30,1e31", "--trials", "1"]
    for why in ("see the lines above", "they ended before: give more --trials, or another --study"):
        assert main([*words, "--study", str(tmp_path / "study")]) == 1
        assert f"came to its end; {why}, or narrow the search" in capsys.readouterr().err


def test_a_search_is_refused_before_anything_is_trained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["tune", "parity", "--study", str(tmp_path / "new")]
    assert main([*words, "--search", "model.layerz=1,2"]) == 2
    assert "perhaps you meant --model.layers" in capsys.readouterr().err
    assert main([*words, "--search", "model.heads=3,4"]) == 2
    assert "heads=3 does not divide" in capsys.readouterr().err
    assert main([*words, "--trials", "0"]) == 2
    assert not (tmp_path / "new").exists()


def test_a_search_under_other_options_is_another_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    study = str(tmp_path / "study")
    words = ["tune", "parity", "--fit.epochs", "1", "--trials", "1", "--threads", "1", "--study", study]
    assert main([*words, "--data.bits", "6"]) == 0
    assert "note: validation has " in capsys.readouterr().out
    best = (tmp_path / "study" / "best.yaml").read_text(encoding="utf-8")
    assert main([*words, "--data.bits", "7"]) == 2
    assert (
        "is a study of another data.bits (6 there, 7 here); give another --study" in capsys.readouterr().err
    )
    assert (tmp_path / "study" / "best.yaml").read_text(encoding="utf-8") == best
    assert main([*words, "--data.bits", "6"]) == 0, "the same goes on"
    capsys.readouterr()
    assert main(["compare", "parity", "--vary", "model.layers=1,2", "--study", study]) == 2
    assert "is a search of glassformer tune" in capsys.readouterr().err
    assert not (tmp_path / "study" / "study.json").exists()


def test_the_folder_of_a_comparison_is_none_of_a_search(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "study.json").write_text("{}", encoding="utf-8")
    assert main(["tune", "parity", "--study", str(tmp_path)]) == 2
    assert "is a study of glassformer compare" in capsys.readouterr().err
    assert [each.name for each in tmp_path.iterdir()] == ["study.json"]
