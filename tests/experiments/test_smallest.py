"""The search for the smallest model, and the board that can be checked."""

import json
import shlex
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassformer.cli import main
from glassformer.errors import UsageError
from glassformer.experiments import smallest as search
from glassformer.experiments.config import SmallestConfig
from glassformer.tasks import find_task

pytestmark = pytest.mark.xdist_group("smallest")  # its fixture takes long: made once
# two bits of six decide nothing: 'is it odd?' of two bits, which any size learns
EASY = "smallest parity --data.bits 6 --data.train-share 0.5 --above 0.6 --batch-size 8 --steps 400 --seeds 6"


@pytest.fixture(scope="module")
def board(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("boards") / "parity"
    words = [
        *shlex.split(EASY),
        "--d-model",
        "4",
        "--d-ff",
        "1",
        "12",
        "--budget",
        "0.5",
        "--board",
        str(folder),
    ]
    assert main(words) == 0
    return folder


def entries(board: Path) -> list[dict[str, Any]]:
    return json.loads((board / "board.json").read_text())["entries"]


def test_an_entry_says_what_it_is_and_how_to_repeat_it(board: Path, tmp_path: Path) -> None:
    for entry in entries(board):
        weights = load_file(board / entry["run"] / "model.safetensors")
        assert entry["parameters"] == sum(each.numel() for each in weights.values())
        assert min(entry["accuracy_all"], entry["accuracy_unseen"]) > 0.6
        assert (entry["count_all"], entry["count_unseen"]) == (64, 32)
        assert 1 <= entry["seeds_made"] <= entry["seeds_tried"]
    first = entries(board)[0]
    words = shlex.split(first["command"])[1:]
    assert main([*words, "--budget", "0.01", "--board", str(tmp_path / "again")]) == 0
    again = next(each for each in entries(tmp_path / "again") if each["run"] == first["run"])
    same = set(first) - {"seconds", "date"}
    assert {key: first[key] for key in same} == {key: again[key] for key in same}
    ours, theirs = (
        load_file(folder / first["run"] / "model.safetensors") for folder in (board, tmp_path / "again")
    )
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_an_entry_is_a_run_like_any_other(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    entry = entries(board)[0]
    run = str(board / entry["run"])
    assert main(["evaluate", run, "--no-baselines"]) == 0
    assert f"{entry['accuracy_unseen']:.4f}" in capsys.readouterr().out
    assert main(["predict", run, "010101"]) == 0


def test_a_board_is_verified(board: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["verify-board", str(board)]) == 0
    said = capsys.readouterr()
    assert said.err.count("verified on 64 sequences") == len(entries(board))
    assert f"{entries(board)[0]['parameters']}" in said.out


@pytest.mark.parametrize(
    ("key", "value", "line"),
    [
        ("accuracy_all", 1.5, "accuracy_all is "),
        ("accuracy_unseen", 0.0, "accuracy_unseen is "),
        ("task", "reverse", "task is parity, not reverse"),
        ("data", {"bits": 16}, "not {'bits': 16}"),
        ("parameters", 7, "not 7"),
        ("count_all", 63, "count_all is 64, not 63"),
        ("above", 0.9999999, "not above 0.9999999"),
        ("run", "../../../etc", "not the name of a folder in the board"),
        ("run", "..", "not the name of a folder in the board"),
        ("run", "", "not the name of a folder in the board"),
    ],
)
def test_a_false_entry_is_noticed(board, tmp_path, capsys, key, value, line) -> None:
    content = json.loads((board / "board.json").read_text())
    content["entries"][0][key] = value
    copy = tmp_path / "copy"
    copy.mkdir()
    for each in board.iterdir():
        if each.is_dir():
            (copy / each.name).symlink_to(each)
    (copy / "board.json").write_text(json.dumps(content))
    assert main(["verify-board", str(copy)]) == 1
    said = capsys.readouterr().err.strip().splitlines()
    assert line in said[-1]
    assert said[-1].startswith("glassformer: the board is not what it says")


def test_a_board_of_fewer_sequences_is_noticed(board, tmp_path, capsys) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(board, copy)
    content = json.loads((copy / "board.json").read_text())
    entry = content["entries"][0] = content["entries"][0] | {"count_all": 32, "count_unseen": 16}
    entry["data"]["strings"] = 32
    (copy / "board.json").write_text(json.dumps(content))
    config = copy / entry["run"] / "config.yaml"
    config.write_text(config.read_text().replace("strings: 65536", "strings: 32"))
    assert main(["verify-board", str(copy)]) == 1
    assert "64 sequences exist and 32 would be judged" in capsys.readouterr().err


def test_what_steers_a_terminal_is_not_printed(board, tmp_path, capsys) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(board, copy)
    content = json.loads((copy / "board.json").read_text())
    content["entries"][0]["command"] = "\x1b[31mred"
    (copy / "board.json").write_text(json.dumps(content))
    assert main(["verify-board", str(copy)]) == 0
    assert "\x1b" not in capsys.readouterr().out


def test_other_weights_are_noticed(board, tmp_path, capsys) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(board, copy)
    for entry in entries(copy):
        path = copy / entry["run"] / "model.safetensors"
        save_file({name: torch.zeros_like(each) for name, each in load_file(path).items()}, path)
    assert main(["verify-board", str(copy)]) == 1
    assert "accuracy_all is 0.5" in capsys.readouterr().err


def test_candidates_come_smallest_first_and_without_impossible_ones() -> None:
    task = find_task("parity")
    base = task.preset(None, None)
    options = SmallestConfig(
        data=base.data, layers=(2, 1), heads=(2, 1), d_model=(3, 4), d_ff=(5, 2), learning_rate=(0.01, 0.1)
    )
    prepared = task.prepare(replace(base, data=replace(base.data, bits=5)), lambda line: None)
    found = search.candidates(task, prepared, base, options)
    assert len(found) == 2 * 2 * 2 * 3  # layers, d_ff, rates; d_model 3 with one head, 4 with one or two
    sizes = [each.parameters for each in found]
    assert sizes == sorted(sizes)
    smallest = found[0]
    # embedding, qkv, output, norms, feed-forward, last norm, head
    assert sizes[0] == 4 * 3 + (27 + 9) + (9 + 3) + 12 + (6 + 2 + 6 + 3) + 6 + (6 + 2)
    assert smallest.words["d-model"] == "3"
    assert smallest.model.dropout == 0.0


def test_hopeless_trials_are_given_up_and_promising_ones_are_not(monkeypatch, tmp_path) -> None:
    task = find_task("parity")
    base = task.preset(None, None)
    base = replace(base, data=replace(base.data, bits=6))
    prepared = task.prepare(base, lambda line: None)
    options = SmallestConfig(
        data=base.data, d_model=(4,), d_ff=(12,), seeds=4, steps=80, batch_size=8, above=0.9
    )
    (candidate,) = search.candidates(task, prepared, base, options)
    losses = {"now": torch.tensor([0.69, 0.70, 0.71, 0.72])}
    kept: list[int] = []

    class Fake:
        seeds = [1, 2, 3, 4]

        def __init__(self, *arguments: Any) -> None:
            pass

        def step(self, *arguments: Any) -> None:
            pass

        def judged(self, batches: Any) -> Any:
            return losses["now"], 1 - losses["now"]

        def keep(self, rows: torch.Tensor) -> None:
            kept.append(len(rows))
            losses["now"] = losses["now"][rows]

    monkeypatch.setattr(search, "Ensemble", Fake)
    trial = search.attempt("parity", task, prepared, base, candidate, options, tmp_path, None)
    assert (trial.given_up, trial.entry, kept) == (True, None, [])
    losses["now"] = torch.tensor([0.6, 0.2, 0.692, 0.3])
    trial = search.attempt("parity", task, prepared, base, candidate, options, tmp_path, None)
    assert (trial.given_up, trial.entry, kept) == (False, None, [3, 3, 2])
    assert trial.best == pytest.approx(0.8)
    # one that is already there is never given up, whatever its loss
    losses["now"], kept[:] = torch.tensor([0.69, 0.05]), []
    monkeypatch.setattr(search, "loss_of_a_guess", lambda batches: 0.0)
    config = replace(base, fit=replace(base.fit, batch_size=8))
    ended = search._train(Fake(), task, prepared, config, candidate, replace(options, above=0.94))
    assert ended[1] is False
    assert kept == [1, 1, 1]


def test_a_guess_costs_the_entropy_of_the_labels() -> None:
    batches = [
        {"labels": torch.tensor([[4, 3, -100], [5, 3, -100]])},
        {"labels": torch.tensor([[4, 3], [5, 3]])},
    ]
    assert search.loss_of_a_guess(batches) == pytest.approx(0.5 * torch.tensor(2.0).log().item())
    assert search.loss_of_a_guess([{"labels": torch.tensor([0, 1, 1, 0])}]) == pytest.approx(0.6931, abs=1e-4)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        ("imdb", "imdb has no finite number of inputs"),
        ("parity --data.bits 40", "would be judged; a board is verified on all"),
        ("parity --data.bits 6 --data.train-share 0.8", "more than half"),
        ("parity --d-model 3 --heads 2", "no combination of these sizes"),
        ("parity --above 1", "above=1.0 is not a share below 1"),
        ("parity --budget 0", "budget=0.0 leaves no time"),
        ("parity --d-model 0", "d_model=0 is not a size"),
        ("parity --positions rotary", "rotary is not tried here"),
        ("parity --learning-rate -1", "learning_rate=-1.0 is not positive"),
        ("nothing", "there is no task 'nothing'"),
    ],
)
def test_what_cannot_be_searched_is_refused_in_one_line(words, line, tmp_path, capsys, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["smallest", *words.split()]) == 2
    said = capsys.readouterr().err.strip().splitlines()
    assert len(said) == 1
    assert line in said[0]
    assert not list(tmp_path.iterdir())


def test_a_folder_that_cannot_be_a_board_is_refused_before_the_search(board, tmp_path, capsys) -> None:
    (tmp_path / "file").write_text("")
    assert main(["smallest", "parity", "--data.bits", "6", "--board", str(tmp_path / "file")]) == 2
    assert "is not a folder" in capsys.readouterr().err
    assert main(["smallest", "parity", "--data.bits", "8", "--board", str(board)]) == 2
    assert "is a board of another task, or of other sizes" in capsys.readouterr().err


def test_a_later_round_stops_at_its_first_success_too(monkeypatch, tmp_path) -> None:
    tried: list[tuple[int, int]] = []

    def attempt(name, task, prepared, base, candidate, options, *rest):
        tried.append((candidate.parameters, options.seeds))
        made = options.seeds == 4 and candidate.parameters > 120
        entry = {"parameters": candidate.parameters} if made else None
        return search.Trial(0.5, int(made), options.seeds, 0.0, not made, entry)

    monkeypatch.setattr(search, "attempt", attempt)
    data = replace(find_task("parity").preset(None, None).data, bits=6)
    options = SmallestConfig(data=data, d_model=(3,), d_ff=(2, 4, 6, 8), seeds=2, budget=0.02)
    found = search.smallest("parity", options, tmp_path / "b", report=lambda line: None)
    assert found == {"parameters": 131}
    assert tried[:7] == [(103, 2), (117, 2), (131, 2), (145, 2), (103, 4), (117, 4), (131, 4)]
    assert tried[7:9] == [(117, 8), (103, 8)]  # then the nearest below, never those above


def test_a_search_without_a_success_says_so(tmp_path, capsys) -> None:
    words = shlex.split(EASY.replace("--above 0.6", "--above 0.999").replace("--steps 400", "--steps 8"))
    assert (
        main([*words, "--d-model", "3", "--d-ff", "1", "--budget", "0.001", "--board", str(tmp_path / "b")])
        == 1
    )
    assert "no model made it above 0.999; try more seeds" in capsys.readouterr().err
    assert not (tmp_path / "b").exists()


@pytest.mark.parametrize("words", [[], ["--help"]])
def test_help_tells_how_to_call(words, capsys) -> None:
    for command in ("smallest", "verify-board"):
        assert main([command, *words]) == (0 if words else 2)
        assert f"usage: glassformer {command}" in capsys.readouterr().out


def test_no_board_no_verification(tmp_path, capsys) -> None:
    assert main(["verify-board", str(tmp_path)]) == 2
    assert "holds no board" in capsys.readouterr().err
    for broken in (
        "{}",
        "[]",
        '{"schema_version": 1, "entries": [1]}',
        '{"schema_version": 1, "entries": [{}]}',
    ):
        (tmp_path / "board.json").write_text(broken)
        assert main(["verify-board", str(tmp_path)]) == 1
        assert "is broken or of another version" in capsys.readouterr().err
    with pytest.raises(UsageError, match="above=0"):
        SmallestConfig(data=None, above=0.0)
