"""The comparison and its command: what it finds, what it prints, what it refuses."""

import json
import os
import warnings
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from tests.helpers import python

from glassformer.baselines import network
from glassformer.cli import main
from glassformer.data.tables import load_table
from glassformer.experiments.backprop import (
    LOGISTIC,
    MAJORITY,
    NETWORK,
    Scaling,
    compare,
    correlations,
    described,
    fit_logistic,
    most_telling,
    verdict,
)
from glassformer.experiments.config import BackpropConfig

FILES = ["data.png", "loss.png", "regions.png", "result.json"]


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


def rings(path: Path, rows: int = 120, extra: str = "") -> Path:
    """One class about the middle, the other around it: no line parts them."""
    X = np.random.default_rng(0).normal(size=(rows, 2))
    lines = [f"{a},{b},{'in' if a * a + b * b < 1.4 else 'out'}" for a, b in X.tolist()]
    path.write_text("\n".join(["left,up,where", *lines]) + "\n" + extra, encoding="utf-8")
    return path


# --- the comparison ---------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def digits():
    """Stopped after a fifth of the epochs it takes to converge: it wins by then, in a fifth of the time."""
    return compare(BackpropConfig(epochs=200))


def test_on_digits_the_network_wins_and_the_intervals_do_not_overlap(digits) -> None:
    result = digits.result
    logistic, ours = (result["models"][name]["test"] for name in (LOGISTIC, NETWORK))
    assert ours["accuracy"] > 0.97
    assert ours["accuracy_ci95"][0] > logistic["accuracy_ci95"][1]
    assert result["intervals_overlap"] is False
    assert result["mcnemar"]["p_value"] < 0.01
    assert result["network"]["hidden"] == result["data"]["features"] == 61
    assert result["models"][NETWORK]["parameters"] == 61 * 61 + 61 + 61 + 1
    assert result["models"][LOGISTIC]["parameters"] == 62
    assert result["models"][MAJORITY]["test"]["accuracy"] == pytest.approx(0.504, abs=0.002)
    assert result["data"]["classes"] == {"even": 891, "odd": 906}
    assert json.loads(json.dumps(result, allow_nan=False)) == result
    lines = "\n".join(described(result) + verdict(result))
    assert "891 even (49.6%) and 906 odd (50.4%): balanced" in lines
    assert "ahead of logistic regression; their 95% intervals do not overlap" in lines
    assert "the difference is larger than chance explains" in lines


def test_the_test_rows_are_a_fifth_of_either_class_and_nobody_learned_from_them(digits) -> None:
    assert sorted([*digits.train, *digits.test]) == list(range(1797))
    labels = digits.table.labels
    assert np.bincount(labels[digits.test]).tolist() == [178, 181]
    scaled = Scaling.of(digits.table.features[digits.train])
    for fitted in digits.models.values():
        assert (fitted.scaling.mean == scaled.mean).all()
        assert (fitted.scaling.deviation == scaled.deviation).all()


def test_figures_are_those_of_the_models(digits) -> None:
    X, y = digits.table.features[digits.test], digits.table.labels[digits.test]
    right = {name: (fitted.logits(X) > 0) == y for name, fitted in digits.models.items()}
    for name, model in digits.result["models"].items():
        assert model["test"]["accuracy"] == pytest.approx(right[name].mean())
    assert digits.result["mcnemar"]["only_first"] == (right[LOGISTIC] & ~right[NETWORK]).sum()
    assert digits.result["mcnemar"]["only_second"] == (right[NETWORK] & ~right[LOGISTIC]).sum()
    train = digits.table.features[digits.train], digits.table.labels[digits.train]
    logits = digits.models[NETWORK].logits(train[0])[:, None]
    assert network.loss(logits, train[1]) == pytest.approx(digits.result["models"][NETWORK]["train_loss"])


def test_the_features_that_tell_most(digits) -> None:
    X, y = digits.table.features[digits.train], digits.table.labels[digits.train]
    varies = np.ptp(X, axis=0) > 0
    expected = [np.corrcoef(column, y)[0, 1] for column in X.T[varies]]
    np.testing.assert_allclose(correlations(X, y)[varies], expected)
    assert not correlations(X, y)[~varies].any()
    best = sorted(most_telling(X, y)[:2])
    assert digits.pair == best
    assert digits.result["two_features"]["features"] == [digits.table.feature_names[i] for i in best]


def test_scaling_leaves_a_constant_its_size() -> None:
    X = np.array([[1.0, 5.0], [3.0, 5.0]])
    scaling = Scaling.of(X)
    assert scaling(X).tolist() == [[-1, 0], [1, 0]]
    assert scaling(np.array([[2.0, 6.0]])).tolist() == [[0, 1]]


def test_logistic_regression_is_scikit_learns() -> None:
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import StandardScaler

    table = load_table("breast-cancer", None)
    X, y = table.features, table.labels
    scaled = StandardScaler().fit_transform(X)
    expected = LogisticRegression(max_iter=1000).fit(scaled, y).decision_function(scaled)
    np.testing.assert_allclose(fit_logistic(Scaling.of(X), X, y).logits(X), expected)


def test_what_is_not_balanced_is_said_and_balanced_on_request() -> None:
    quick = {"data": "breast-cancer", "epochs": 2, "hidden": 3}
    result = compare(BackpropConfig(**quick)).result
    assert any("always saying benign is right for 62.7% of the rows; --balance" in n for n in result["notes"])
    assert "not balanced" in described(result)[1]
    assert any("after 2 epochs the network's loss still falls; --epochs" in n for n in result["notes"])
    result = compare(BackpropConfig(**quick, balance=True)).result
    assert result["data"]["classes"] == {"malignant": 212, "benign": 212}
    assert any("--balance left out 145 rows of benign" in note for note in result["notes"])
    assert not any("always saying" in note for note in result["notes"])


def test_the_verdict_is_honest_whichever_it_is() -> None:
    def told(logistic: float, ours: float, p: float) -> str:
        models = {name: {"test": {"accuracy": a}} for name, a in ((LOGISTIC, logistic), (NETWORK, ours))}
        test = {"only_first": 3, "only_second": 1, "p_value": p}
        return "\n".join(verdict({"models": models, "intervals_overlap": True, "mcnemar": test}))

    worse = told(0.98, 0.97, 0.6)
    assert "the network is 0.0100 behind logistic regression; their 95% intervals overlap" in worse
    assert "3 of the test rows only logistic regression has right, 1 only the network" in worse
    assert "p = 0.6, the difference is not larger than chance explains" in worse
    assert "both are right equally often" in told(0.98, 0.98, 1.0)
    assert "the difference is larger than chance explains" in told(0.9, 0.98, 0.01)


def test_rows_on_both_sides_are_noted(tmp_path: Path) -> None:
    path = rings(tmp_path / "a.csv", 60)
    lines = path.read_text().splitlines()
    path.write_text("\n".join([*lines, *lines[1:]]) + "\n")
    result = compare(BackpropConfig(data=str(path), target="where", epochs=2)).result
    assert any(
        "of the test rows have the very features of a training row" in note for note in result["notes"]
    )


def test_the_defaults_are_those_that_were_chosen() -> None:
    config = BackpropConfig()
    assert (config.learning_rate, config.batch_size) == (network.LEARNING_RATE, network.BATCH_SIZE)


# --- the command ------------------------------------------------------------------------------------------


def test_a_file_from_the_command_to_the_figures(tmp_path: Path, capsys, here: Path) -> None:
    path = rings(tmp_path / "rings.csv")
    command = f"backprop --data {path} --target where --epochs 150 --learning-rate 3 --hidden 5 --seed 3"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main([*command.split(), "--out", "out", "--json", "here.json"]) == 0
    captured = capsys.readouterr()
    assert captured.err == ""
    assert f"repeat: glassformer {command} --json here.json" in captured.out.splitlines()
    assert "network, 5 hidden neurons" in captured.out
    assert "McNemar's exact test: p = " in captured.out
    assert sorted(os.listdir("out")) == FILES
    assert f"written: {Path('out', 'regions.png')}" in captured.out
    result = json.loads(Path("out/result.json").read_text())
    models = result["models"]
    assert models[NETWORK]["test"]["accuracy"] > models[LOGISTIC]["test"]["accuracy"]
    assert result.pop("command") == f"glassformer {command} --json here.json"
    assert json.loads(Path("here.json").read_text()) == result
    # the same again, but for the time it took
    assert main([*command.split(), "--out", "again"]) == 0
    again = json.loads(Path("again/result.json").read_text())
    assert again["network"] == result["network"]
    assert again["mcnemar"] == result["mcnemar"]


def test_default_folder_and_one_feature(tmp_path: Path, capsys) -> None:
    path = rings(tmp_path / "rings.csv")
    words = ["backprop", "--data", str(path), "--target", "where", "--ignore", "up", "--epochs", "3"]
    assert main(words) == 0
    assert main(words) == 0, "in the same second, perhaps"
    assert "there is one feature, so no decision regions of two are drawn" in capsys.readouterr().out
    folders = list(Path("runs/backprop/rings").iterdir())
    assert len(folders) == 2
    for folder in folders:
        assert sorted(os.listdir(folder)) == ["data.png", "loss.png", "result.json"]


def test_two_features_by_name(tmp_path: Path) -> None:
    path = rings(tmp_path / "rings.csv")
    words = ["backprop", "--data", str(path), "--target", "where", "--epochs", "3", "--out", "out"]
    assert main([*words, "--features", "up", "left"]) == 0
    assert json.loads(Path("out/result.json").read_text())["two_features"]["features"] == ["up", "left"]


def refused(words: list[str], status: int, capsys) -> str:
    """The one line of an answer; nothing may have been written where the user stands."""
    before = sorted(Path().rglob("*"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert main(["backprop", *words]) == status
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.startswith("glassformer: ")
    assert captured.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before
    return captured.err


@pytest.mark.parametrize(
    ("words", "message"),
    [
        ("--data nowhere.csv --target y", "there is no file nowhere.csv"),
        ("--data digits", "no data set and no file 'digits'; did you mean digits-parity?"),
        ("--target y", "--target 'y' names a column of a file, and digits-parity has its own label"),
        ("--features pixel_1_1", "--features"),
        ("--features pixel_1_1 pixel_1_1", "--features 'pixel_1_1' is given twice"),
        ("--features pixel_1_1 pixel_9_9", "digits-parity has no feature 'pixel_9_9'; did you mean pixel_"),
        ("--ignore pixle_1_1", "digits-parity has no column 'pixle_1_1'; did you mean pixel_1_1?"),
        ("--hidden 0", "hidden=0 is not a size; choose 1 or more"),
        ("--hidden few", "--hidden"),
        ("--epochs 0", "epochs=0 is not a size"),
        ("--batch-size -3", "batch_size=-3 is not a size"),
        ("--learning-rate 0", "learning_rate=0.0 is not a positive number; try 0.5"),
        ("--learning-rate nan", "learning_rate=nan is not a positive number"),
        ("--learning-rate inf", "learning_rate=inf is not a positive number"),
        ("--learning-rate fast", "--learning-rate wants a number, not 'fast'"),
        ("--seed -1", "seed=-1 is out of range"),
        ("--threads -1", "threads=-1 is negative"),
        ("--hiden 3", "perhaps you meant --hidden"),
    ],
)  # fmt: skip
def test_what_was_typed_gets_one_line_and_status_2(words: str, message: str, capsys) -> None:
    assert message in refused(words.split(), 2, capsys)


@pytest.mark.parametrize(
    ("extra", "more", "message"),
    [
        (",1,in\n", "", "row 121 has no value in 'left'"),
        ("wide,1,in\n", "", "row 121 of 'left' is 'wide', which is no number"),
        ("1,inf,in\n", "", "row 121 of 'up' is inf, too large"),
        ("1,1,beside\n", "", "has 3 classes (beside, in, out)"),
        ("", "--learning-rate 1e308", "too long a step; try --learning-rate 0.5"),
        ("", "--learning-rate 2000 --seed 1", "rate=2000.0, too long a step; try --learning-rate 0.5"),
    ],
)  # fmt: skip
def test_what_failed_gets_one_line_and_status_1(extra, more, message, tmp_path: Path, capsys) -> None:
    path = rings(tmp_path / "rings.csv", extra=extra)
    assert message in refused(["--data", str(path), "--target", "where", *more.split()], 1, capsys)


def test_a_folder_that_is_taken(tmp_path: Path, capsys, here: Path) -> None:
    (here / "out").mkdir()
    (here / "out" / "mine.txt").write_text("mine")
    (here / "file").write_text("mine")
    for name in ("out", "file"):
        answer = refused(["--out", name], 2, capsys)
        assert f"{name} is there and not an empty folder; choose another --out" in answer


def test_interrupted_it_leaves_nothing(tmp_path: Path, capsys, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C while the second figure is written."""
    from glassformer.reports import backprop_figures

    save, saved = backprop_figures.save, []

    def interrupted(figure, path) -> None:
        saved.append(path)
        if len(saved) == 2:
            raise KeyboardInterrupt
        save(figure, path)

    monkeypatch.setattr(backprop_figures, "save", interrupted)
    path = rings(tmp_path / "rings.csv")
    words = ["--data", str(path), "--target", "where", "--epochs", "3", "--out", "out", "--json", "a.json"]
    assert "stopped" in refused(words, 130, capsys)
    assert saved


def test_help_explains_every_option_and_needs_no_numpy() -> None:
    code = (
        "import sys; from glassformer.cli import main\n"
        "try: main(['backprop', '--help'])\n"
        "except SystemExit as stop: assert not stop.code\n"
        "heavy = {'torch', 'sklearn', 'scipy', 'pyarrow', 'numpy', 'matplotlib'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    done = python(code)
    options = [f"--{field.name.replace('_', '-')}" for field in fields(BackpropConfig)]
    assert not [option for option in (*options, "--out", "--json") if option not in done.stdout]
