"""Sentences say what the figures carry, and turn round when they do."""

from dataclasses import replace
from typing import Any

import pytest

from glassformer.experiments.comparison import MORE, NO_MORE, UNDECIDED
from glassformer.explain.explanation import Explanation
from glassformer.explain.faithfulness import Faithfulness
from glassformer.reports.paper.discussion import _quoted, of_run, of_study
from glassformer.reports.paper.look import LEAST_WORDS, chosen


def split(accuracy: float, low: float, high: float, **more: Any) -> dict[str, Any]:
    return {"accuracy": accuracy, "accuracy_ci95": [low, high], "count": 200, **more}


def run(**changed: Any) -> dict[str, Any]:
    history = [
        {"epoch": 1, "train_accuracy": 0.5, "validation_accuracy": 0.6},
        {"epoch": 2, "train_accuracy": 0.9, "validation_accuracy": 0.7},
    ]
    return {
        "seed": 3, "history": history, "best_epoch": 2,
        "validation": split(0.70, 0.65, 0.75), "test": split(0.72, 0.66, 0.78),
        "baselines": {
            "weak": {"test": split(0.5, 0.45, 0.55)}, "near": {"test": split(0.7, 0.64, 0.76)},
            "strong": {"test": split(0.9, 0.85, 0.95)},
        },
    } | changed  # fmt: skip


def said(metrics: dict[str, Any], *, alone: bool = True, explanation: Explanation | None = None) -> str:
    return " ".join(of_run(metrics, "accuracy", explanation, alone=alone))


def test_baselines_stand_above_below_or_across() -> None:
    text = said(run())
    assert "of 0.7200 the model is better than weak (0.5000): the intervals do not meet" in text
    assert "did not help against strong (0.9000), which is better than the model's 0.7200" in text
    assert "Against near (0.7000) nothing is decided" in text
    assert "has nothing to stand beside" in said(run(baselines={}))
    assert "better than" not in said(run(baselines={"near": {"test": split(0.7, 0.64, 0.76)}}))


@pytest.mark.parametrize(("train", "where"), [(0.9, "above"), (0.7, "within"), (0.6, "below")])
def test_train_is_held_against_the_interval_of_validation(train: float, where: str) -> None:
    history = [{"epoch": 1, "train_accuracy": train, "validation_accuracy": 0.7}]
    text = said(run(history=history, best_epoch=1))
    assert f"{train:.4f} on train, a mean while the weights still moved, {where} the interval" in text
    assert "epoch, 1" not in text  # of one epoch nothing can be said of longer training


def test_the_kept_epoch_says_whether_more_may_help() -> None:
    assert "best in the last epoch, 2: longer training may gain more" in said(run())
    assert "best in epoch 1 of 2: the epochs after it gained nothing" in said(run(best_epoch=1))
    assert "nothing is left to gain" in said(run(validation=split(1.0, 0.98, 1.0)))
    assert "its interval and that of test (0.6600 to 0.7800) meet" in said(run())
    assert "to 0.7800) do not meet" in said(run(validation=split(0.6, 0.55, 0.65)))
    equal = [{"epoch": epoch, "train_accuracy": 0.5, "validation_accuracy": 0.7} for epoch in (1, 2)]
    assert "as good in an earlier epoch as in the last, 2" in said(run(history=equal))


def test_one_seed_is_said_to_be_one() -> None:
    assert "one run, of seed 3" in said(run())
    assert "one run" not in said(run(), alone=False)


def test_classes_without_examples_and_ties_are_told_apart() -> None:
    classes = ["never", "low", "low too", "high"]
    counts = [[0, 0, 0, 0], [0, 1, 0, 3], [0, 0, 1, 3], [0, 0, 0, 4]]
    rows = {
        name: {"recall": recall, "count": sum(row)}
        for name, recall, row in zip(classes, (0.0, 0.25, 0.25, 1.0), counts, strict=True)
    }
    test = split(0.5, 0.4, 0.6, classes=classes, confusion=counts, per_class=rows, calibration_error=0.1234)
    text = said(run(test=test))
    assert "Recall is lowest for 'low' and others (0.2500) and highest for 'high' (1.0000)" in text
    assert "One of the most frequent errors takes 'low' for 'high', 3 of 4 times" in text
    counts[1] = [0, 2, 0, 2]
    assert "The most frequent error takes 'low too' for 'high', 3 of 4 times" in said(run(test=test))
    assert "off by 0.1234" in text
    assert "never" not in text


def test_a_name_written_from_the_right_keeps_to_itself() -> None:
    assert _quoted("شكوى") == "'\u2068شكوى\u2069'"
    assert _quoted("good") == "'good'"


def test_pictures_are_told_by_what_was_measured() -> None:
    def curve(name: str, low: float) -> Faithfulness:
        return Faithfulness(name, [0, 1], [0.9, 0.5], [0.9, 0.5], low + 0.1, (low, low + 0.2), 9)

    explanation = Explanation(
        task="t", run="r", told="t", answer="a", parts=["a"], attributions={}, maps=[],
        faithfulness=[curve("good", 0.1), curve("fine", 0.2), curve("bad", -0.1)],
    )  # fmt: skip
    text = said(run(), explanation=explanation)
    assert "good and fine point at what the model uses; bad does no better than a random order" in text
    explanation.faithfulness[1] = replace(explanation.faithfulness[1], gain=0.01)
    text = said(run(), explanation=explanation)
    assert "good points at what the model uses; fine does little better than a random order; bad does" in text


def pair(verdict: str, difference: float, seeds: int = 3) -> dict[str, Any]:
    return {
        "option": "model.pool", "first": "mean", "second": "cls", "difference": difference,
        "ci95": [difference - 0.01, difference + 0.02], "p_holm": 0.0123, "verdict": verdict,
        "seeds": list(range(seeds)),
    }  # fmt: skip


def study(*pairs: dict[str, Any], **changed: Any) -> dict[str, Any]:
    row = {"label": "base", "kind": "model", "seeds": [0, 1, 2],
           "validation": {"mean": 0.8}, "test": {"mean": 0.81}}  # fmt: skip
    rival = {"label": "cheap", "kind": "baseline", "validation": {"mean": 0.75}, "test": {"mean": 0.7}}
    return {"rows": [row, rival], "pairs": list(pairs), "failures": {}, "seeds": [0, 1, 2]} | changed


def test_a_study_says_what_helped_whichever_way_it_was_written() -> None:
    text = " ".join(of_study(study(pair(MORE, 0.05))))
    assert "It helped to choose model.pool mean over cls: +0.0500" in text
    assert "+0.0400 to +0.0700" in text
    assert "p 0.012" in text
    turned = " ".join(of_study(study(pair(MORE, -0.05))))
    assert "It helped to choose model.pool cls over mean: +0.0500" in turned
    assert "+0.0300 to +0.0600" in turned
    assert "0.0500 above it" in text


def test_a_study_says_what_is_not_decided_and_what_failed() -> None:
    text = " ".join(of_study(study(pair(UNDECIDED, 0.01), pair(NO_MORE, 0.02, seeds=5))))
    assert "No more than the seeds explain: model.pool mean against cls (+0.0200)" in text
    assert "Undecided: model.pool mean against cls (+0.0100); the fewest seeds that a pair has are 3" in text
    failed = study(failures={"base_seed-1": "out of memory"})
    assert "Failed, and in no figure: base_seed-1." in of_study(failed)
    tied = study()
    tied["rows"][1]["validation"]["mean"] = 0.8
    assert any("the model is exactly there" in sentence for sentence in of_study(tied))
    assert of_study(study(rows=[])) == []


def test_the_look_takes_the_shortest_that_is_long_enough() -> None:
    long, longer, short = ("w " * LEAST_WORDS, "w " * (LEAST_WORDS + 9), "too short")
    place, rule = chosen([longer, short, long])
    assert place == 2
    assert "the shortest of 3 validation examples" in rule
    assert chosen([short, "a"])[0] == 0
