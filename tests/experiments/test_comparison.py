"""The figures of a comparison, against other ways to reach them."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy import stats

from glassformer.errors import UsageError
from glassformer.experiments.comparison import (
    MORE,
    NO_MORE,
    UNDECIDED,
    holm,
    mean_interval,
    paired_test,
    pairs,
    table_rows,
)
from glassformer.experiments.comparison_table import print_comparison
from glassformer.experiments.plan import Row, parse_vary, plan, run_name
from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.tasks import find_task

BASE = find_task("parity").preset(None, None)


def row(**changed: str) -> Row:
    settings = {"model.layers": "2", "model.pool": "mean"} | {f"model.{k}": v for k, v in changed.items()}
    return Row(settings, {f"model.{k}": v for k, v in changed.items()}, BASE)


def run(accuracy: float, count: int = 10_000, **more: Any) -> dict[str, Any]:
    rivals = {"majority": {"validation": {"accuracy": 0.5}, "test": {"accuracy": 0.51}}}
    split = {"accuracy": accuracy, "count": count}
    return {"validation": split, "test": {"accuracy": accuracy - 0.1}, "parameters": 7, "train_seconds": 3.0,
            "baselines": rivals} | more  # fmt: skip


def seeds(*accuracies: float, count: int = 10_000) -> dict[int, dict[str, Any]]:
    return {seed: run(accuracy, count) for seed, accuracy in enumerate(accuracies)}


def test_the_interval_is_students() -> None:
    values = [0.81, 0.84, 0.79, 0.88]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.95)
    assert mean_interval(values, 0.0) == pytest.approx((expected.low, expected.high))
    assert mean_interval([0.8], 0.0) is None
    low, high = mean_interval([0.01, 0.99], 0.0) or (9, 9)
    assert (low, high) == (0.0, 1.0), "an accuracy is a share"


def test_the_table_knows_how_much_an_example_is_worth() -> None:
    (entry, _) = table_rows([row()], [seeds(0.5, 0.5, 0.5, count=10)])
    low, high = entry["validation"]["ci95"]
    assert high - low == pytest.approx(2 * stats.t.ppf(0.975, 2) * 0.1 / 3**0.5)
    assert entry["validation"]["examples"] == 10


def test_a_difference_of_accuracies_is_at_most_one() -> None:
    assert paired_test([0.9, -0.9], resolution=0.01)[1] == (-1.0, 1.0)


def test_the_paired_test_is_scipys() -> None:
    a, b = np.array([0.81, 0.84, 0.79, 0.88, 0.83]), np.array([0.80, 0.81, 0.80, 0.84, 0.81])
    expected = stats.ttest_rel(a, b)
    p, interval = paired_test(list(a - b), resolution=1e-6)
    assert p == pytest.approx(expected.pvalue)
    assert interval == pytest.approx(tuple(expected.confidence_interval(0.95)))


def test_seeds_that_agree_to_the_last_example_prove_no_spread_of_zero() -> None:
    low, high = mean_interval([0.5, 0.5, 0.5], resolution=0.01) or (9, 9)
    assert high - 0.5 == pytest.approx(stats.t.ppf(0.975, 2) * 0.01 / 3**0.5)
    assert low == pytest.approx(1 - high)
    p, interval = paired_test([0.01, 0.01, 0.01], resolution=0.01)
    assert p > 0.05
    assert interval is not None
    assert interval[0] < 0 < interval[1]
    assert paired_test([0.2], 0.01) == (1.0, None)


def test_holm_by_hand() -> None:
    # sorted: 0.01 x 4, 0.02 x 3, 0.03 x 2, 0.9 x 1, and never below the one before
    assert holm([0.03, 0.01, 0.9, 0.02]) == pytest.approx([0.06, 0.04, 0.9, 0.06])
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def test_holm_rejects_what_bonferroni_does_and_no_more_than_no_correction() -> None:
    generator = np.random.default_rng(0)
    for _ in range(50):
        p = generator.uniform(0, 0.1, size=generator.integers(1, 7))
        corrected = np.array(holm(p.tolist()))
        assert (p <= corrected).all()
        assert (corrected <= np.minimum(1, len(p) * p) + 1e-12).all()
        assert (np.diff(corrected[np.argsort(p)]) >= 0).all(), "the order stays"


def test_the_table_ranks_by_validation_and_holds_the_baselines() -> None:
    worse, better = seeds(0.7, 0.8), seeds(0.9, 0.92)
    for metrics in worse.values():
        metrics["test"]["accuracy"] = 0.99  # which must not rank
    for metrics in [*worse.values(), *better.values()]:
        assert metrics["validation"]["accuracy"] > 0.5
    table = table_rows([row(), row(layers="1"), row(pool="max")], [worse, better, {}])
    assert [entry["label"] for entry in table] == ["model.layers=1", "base", "majority", "model.pool=max"]
    assert table[0]["validation"]["mean"] == pytest.approx(0.91)
    assert table[0]["validation"]["spread"] == pytest.approx(np.std([0.9, 0.92], ddof=1))
    assert table[0]["test"]["mean"] == pytest.approx(0.81)
    assert table[1]["test"]["mean"] == pytest.approx(0.99)
    assert table[2]["kind"] == "baseline"
    assert table[2]["validation"]["mean"] == 0.5
    assert table[3]["validation"] is None
    assert table[3]["seeds"] == []


def test_a_run_that_was_resumed_without_its_baselines_leaves_those_of_the_other_seeds() -> None:
    runs = seeds(0.7, 0.8)
    runs[0]["baselines"] = {}
    (_, rival) = table_rows([row()], [runs])
    assert (rival["label"], rival["seeds"], rival["validation"]["mean"]) == ("majority", [1], 0.5)


def verdict(*differences: float, count: int = 10_000) -> str:
    base = seeds(*[0.8] * len(differences), count=count)
    other = seeds(*[0.8 + difference for difference in differences], count=count)
    rows = [Row({"o": "2"}, {}, BASE), Row({"o": "1"}, {"o": "1"}, BASE)]
    (pair,) = pairs(rows, [base, other])
    assert pair["difference"] == pytest.approx(-np.mean(differences))
    return pair["verdict"]


def test_what_the_seeds_explain() -> None:
    assert verdict(0.03, 0.04, 0.03, 0.05, 0.04) == MORE
    assert verdict(0.03, -0.04, 0.03, -0.05, 0.04) == NO_MORE
    assert verdict(0.03, -0.04, 0.03) == UNDECIDED
    assert verdict(0.050, 0.051, 0.052) == MORE, "plain"
    assert verdict(0.0040, 0.0041, 0.0042) == UNDECIDED, "less than the choice of the examples explains"
    assert verdict(0.050, 0.051, 0.052, count=50) == UNDECIDED, "one example is 0.02"
    assert verdict(0.3) == UNDECIDED, "one seed has no spread"


def test_no_false_alarm_in_noise() -> None:
    """Two equal configurations, five values, many studies: Holm keeps the share of studies with any at 5%."""
    generator = np.random.default_rng(1)
    alarms = 0
    for _ in range(300):
        rows = [Row({"o": str(k)}, {"o": str(k)} if k else {}, BASE) for k in range(4)]
        outcomes = [seeds(*(0.8 + 0.02 * generator.normal(size=6))) for _ in rows]
        alarms += any(pair["verdict"] == MORE for pair in pairs(rows, outcomes))
    assert alarms < 0.09 * 300


def test_one_at_a_time_compares_with_the_base_alone() -> None:
    """pool=max and layers=1 differ in two options, so they tell of neither."""
    rows = [row(), row(layers="1"), row(pool="max")]
    found = {
        pair["option"]: pair for pair in pairs(rows, [seeds(0.8, 0.7), seeds(0.6, 0.6), seeds(0.1, 0.2)])
    }
    assert found["model.layers"]["each"] == pytest.approx([0.2, 0.1])
    assert found["model.pool"]["each"] == pytest.approx([0.7, 0.5])


def test_below_five_seeds_no_p_holds_where_the_sign_changes() -> None:
    """The most extreme case: all equal but one, which is just on the other side."""
    for n in (2, 3, 4):
        p, _ = paired_test([0.3] * (n - 1) + [-1e-9], resolution=1e-12)
        assert p > 0.05


def test_a_grid_compares_main_effects_on_equal_seeds() -> None:
    rows = [Row({"a": a, "b": b}, {"a": a, "b": b}, BASE) for a in "12" for b in "xy"]
    outcomes = [seeds(0.8, 0.7), seeds(0.6, 0.5), seeds(0.9, 0.75), seeds(0.7, 0.58)]
    found = {(pair["option"], pair["first"], pair["second"]): pair for pair in pairs(rows, outcomes)}
    assert set(found) == {("a", "1", "2"), ("b", "x", "y")}
    # seed 0: (0.8 - 0.9 + 0.6 - 0.7) / 2, seed 1: (0.7 - 0.75 + 0.5 - 0.58) / 2
    assert found["a", "1", "2"]["each"] == pytest.approx([-0.1, -0.065])
    del outcomes[3][1]
    found = {pair["option"]: pair for pair in pairs(rows, outcomes)}
    assert found["a"]["seeds"] == [0], "a seed that is missing somewhere compares nothing"


# --- the plan ---------------------------------------------------------------------------------------------


def configure(settings: Any) -> Any:
    model = replace(
        BASE.model, **{k.removeprefix("model."): int(v) if v.isdigit() else v for k, v in settings.items()}
    )
    return replace(BASE, model=model)


def test_one_at_a_time_and_grid() -> None:
    varied = {"model.layers": ["1", "2", "4"], "model.pool": ["mean", "max"]}
    rows = plan(varied, configure, grid=False)
    assert [each.label for each in rows] == ["base", "model.layers=1", "model.layers=4", "model.pool=max"]
    assert rows[0].settings == {"model.layers": "2", "model.pool": "mean"}
    assert rows[2].config.model.layers == 4
    grid = plan(varied, configure, grid=True)
    assert len(grid) == 6
    assert {(each.config.model.layers, each.config.model.pool) for each in grid} == {
        (layers, pool) for layers in (1, 2, 4) for pool in ("mean", "max")
    }


def test_the_base_is_there_though_it_is_not_listed() -> None:
    rows = plan({"model.layers": ["1", "4"]}, configure, grid=False)
    assert [each.label for each in rows] == ["base", "model.layers=1", "model.layers=4"]
    assert rows[0].settings["model.layers"] == "2"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["model.layers"], "no OPTION=VALUE,VALUE"),
        (["model.layers=1,,2"], "no OPTION=VALUE,VALUE"),
        (["model.layers=1,1"], "has 1 twice"),
        (["model.layers=1", "--model.layers=2"], "names model.layers twice"),
        (["seed=1,2"], "cannot be compared"),
    ],
)
def test_refuses_what_is_no_list(words: list[str], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_vary(words)


def test_refuses_a_value_before_anything_is_trained() -> None:
    with pytest.raises(UsageError, match=r"--vary model.heads=3: heads=3 does not divide"):
        plan({"model.heads": ["1", "3"]}, configure, grid=False)
    with pytest.raises(UsageError, match="says one thing twice"):
        plan({"model.layers": ["1", "01"]}, configure, grid=False)


def test_names_of_runs_are_readable_and_their_own() -> None:
    base, other = plan({"model.layers": ["1"]}, configure, grid=False)
    names = {
        run_name(each, seed, replace(each.config, seed=seed)) for each in (base, other) for seed in (0, 1)
    }
    assert len(names) == 4
    assert any(name.startswith("layers-1_seed-1_") for name in names)
    changed = replace(base.config, fit=replace(base.config.fit, epochs=1))
    assert run_name(base, 0, changed) != run_name(base, 0, base.config)
    odd = Row({}, {"data.train": "../a b/ü.csv"}, BASE)
    assert "/" not in run_name(odd, 0, BASE)


def test_an_option_that_the_base_lacks_is_refused_with_the_way_out() -> None:
    base = find_task("imdb").presets["cpu"].config
    other = replace(base, model=PretrainedClassifierConfig(pretrained="there"))
    with pytest.raises(
        UsageError, match=r"--vary model\.pretrained: transformer, .* model\.start=published,random"
    ):
        plan({"model.pretrained": ["there"]}, lambda settings: other if settings else base, grid=False)


def test_no_value_of_an_option_is_cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = [row(), row(pool="a" * 60 + "1"), row(pool="a" * 60 + "2")]
    outcomes = [seeds(0.7, 0.8), seeds(0.7, 0.8), seeds(0.7, 0.8)]
    shown = {
        "task": "parity",
        "seeds": [0, 1],
        "notes": [],
        "command": "",
        "rows": table_rows(rows, outcomes),
    }
    print_comparison(shown | {"pairs": pairs(rows, outcomes)}, tmp_path)
    lines = [line.split("│")[1:3] for line in capsys.readouterr().out.splitlines() if "│" in line]
    options, differences = ("".join(line[column].strip() for line in lines) for column in (0, 1))
    for value in ("a" * 60 + "1", "a" * 60 + "2"):
        assert value in options
        assert value in differences
