"""What the benchmarks make of the figures of their forms, whichever forms are compared."""

import importlib
from pathlib import Path
from typing import Any

import pytest

VARIANTS = {
    "ours a": {"side": "ours"},
    "ours b": {"side": "ours"},
    "rival": {"side": "rival"},
    "other": {"side": "other"},
    "as shipped": {"side": "shipped"},
    "newcomer": {"side": "newcomer"},
}


@pytest.fixture(scope="module")
def compare() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        yield importlib.import_module("side_by_side").compare


def compared(compare: Any, *names: str, **how: Any) -> dict[str, Any]:
    """Rounds of 80, 90 and 100% of each form's figure; the look is of the whole."""
    whole = {
        "ours a": 30.0, "ours b": 60.0, "rival": 20.0, "other": 40.0, "as shipped": 50.0, "newcomer": 5.0,
    }  # fmt: skip
    shares = {name: (share for share in (1.0, 0.8, 0.9, 1.0)) for name in names}
    return compare(VARIANTS, names, 3, lambda name: whole[name] * next(shares[name]), **how)


def test_the_fastest_form_is_compared_with_each_rival(compare: Any) -> None:
    report = compared(compare, *VARIANTS)
    medians = {rival: round(figure["median"], 6) for rival, figure in report["ratios"].items()}
    assert medians == {"newcomer": 12.0, "rival": 3.0, "other": 1.5}
    assert {rival: round(figure["median"], 6) for rival, figure in report["defaults"].items()} == {
        "newcomer": 10.0
    }
    assert report["contenders"]["ours"] == "ours b"


def test_what_is_not_there_is_left_out(compare: Any) -> None:
    report = compared(compare, "ours b", "rival")
    assert (list(report["ratios"]), report["defaults"]) == (["rival"], {})
    report = compared(compare, "ours b", "rival", "newcomer")
    assert (list(report["ratios"]), report["defaults"]) == (["newcomer", "rival"], {})
    report = compared(compare, "as shipped", "newcomer")
    assert (report["ratios"], list(report["defaults"])) == ({}, ["newcomer"])


def test_a_rival_may_have_a_counterpart_and_the_newcomer_a_name_of_its_own(compare: Any) -> None:
    report = compared(compare, *VARIANTS, same_as={"rival": "other"}, documented="as documented")
    medians = {rival: round(figure["median"], 6) for rival, figure in report["ratios"].items()}
    assert medians == {"as documented": 12.0, "rival": 2.0}
    assert report["same_as"] == {"rival": "other"}
    assert list(report["defaults"]) == ["as documented"]


def test_of_forms_that_look_alike_the_median_of_three_looks_counts(compare: Any) -> None:
    looks = {"ours a": [60.0, 40.0, 40.0], "ours b": [59.0, 58.0, 57.0], "rival": [10.0]}
    turns = {name: iter([*each, *[1.0] * 3]) for name, each in looks.items()}
    report = compare(VARIANTS, list(looks), 3, lambda name: next(turns[name]))
    assert report["contenders"]["ours"] == "ours b"
    assert report["variants"]["ours a"] == {"looks": [60.0, 40.0, 40.0], "rounds": []}


def test_a_ratio_is_the_median_of_its_rounds_beside_its_extremes(compare: Any) -> None:
    figures = {"ours a": [9.0, 10.0, 60.0, 20.0], "rival": [9.0, 10.0, 10.0, 10.0]}
    turns = {name: iter(each) for name, each in figures.items()}
    report = compare(VARIANTS, ["ours a", "rival"], 3, lambda name: next(turns[name]))
    assert report["ratios"] == {"rival": {"min": 1.0, "median": 2.0, "max": 6.0}}


def test_a_rival_without_its_like_is_refused(compare: Any) -> None:
    with pytest.raises(SystemExit, match="rival is compared with ours, of which no form is there; add one"):
        compared(compare, "rival", "other")
