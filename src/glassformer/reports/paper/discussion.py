"""What the figures say, in sentences that follow from them and hold no more than they do."""

from collections.abc import Mapping
from typing import Any
from unicodedata import bidirectional

from glassformer.evaluation import most_confused
from glassformer.experiments.comparison import ENOUGH_SEEDS, MORE, NO_MORE, UNDECIDED
from glassformer.experiments.comparison_table import interval_text
from glassformer.explain.explanation import Explanation

NAME_LETTERS = 40


def of_run(
    metrics: Mapping[str, Any], accuracy: str, explanation: Explanation | None, *, alone: bool
) -> list[str]:
    """Sentences about one run.

    accuracy: what the task calls it. alone: no study stands beside that has other seeds.
    """
    found = [*_against_baselines(metrics, accuracy), *_learning(metrics, accuracy), *_classes(metrics)]
    if explanation is not None and explanation.faithfulness:
        found.append(_looks(explanation))
    if alone:
        found.append(
            f"This is one run, of seed {metrics['seed']}: the intervals are those of the choice of test "
            "examples, and say nothing of what another seed would give (glassformer compare trains several)."
        )
    return found


def _against_baselines(metrics: Mapping[str, Any], accuracy: str) -> list[str]:
    test = metrics["test"]
    low, high = test["accuracy_ci95"]
    where: dict[str, list[str]] = {"above": [], "below": [], "across": []}
    for name, baseline in metrics["baselines"].items():
        its_low, its_high = baseline["test"]["accuracy_ci95"]
        place = "above" if low > its_high else "below" if high < its_low else "across"
        where[place].append(f"{name} ({baseline['test']['accuracy']:.4f})")
    found = []
    if where["above"]:
        found.append(
            f"With a test {accuracy} of {test['accuracy']:.4f} the model is better than "
            f"{_listed(where['above'])}: the intervals do not meet."
        )
    if where["below"]:
        found.append(
            f"It did not help against {_listed(where['below'])}, which {_is(where['below'])} better than the "
            f"model's {test['accuracy']:.4f}: the intervals do not meet."
        )
    if where["across"]:
        found.append(
            f"Against {_listed(where['across'])} nothing is decided: the intervals overlap, so that "
            f"{test['count']:,} test examples do not tell which is better."
        )
    return found or [
        f"Without baselines a test {accuracy} of {test['accuracy']:.4f} has nothing to stand beside."
    ]


def _learning(metrics: Mapping[str, Any], accuracy: str) -> list[str]:
    found = []
    history, best = metrics.get("history") or [], metrics.get("best_epoch")
    validation = metrics["validation"]
    interval = validation.get("accuracy_ci95")
    kept = next((entry for entry in history if entry["epoch"] == best), None)
    if kept and interval and kept.get("train_accuracy") is not None:
        train, (low, high) = kept["train_accuracy"], interval
        where = "above" if train > high else "below" if train < low else "within"
        found.append(
            f"In the kept epoch {accuracy} was {train:.4f} on train, a mean while the weights still moved, "
            f"{where} the interval of validation ({interval_text(interval)})."
        )
    if validation["accuracy"] == 1:
        found.append("On validation nothing is left to gain: every answer is right.")
    elif history and best is not None and len(history) > 1:
        found.append(_epochs(history, best))
    if interval:
        (low, high), (its_low, its_high) = interval, metrics["test"]["accuracy_ci95"]
        meet = "meet" if low <= its_high and its_low <= high else "do not meet"
        found.append(
            f"Validation, which chose the epoch, reads {validation['accuracy']:.4f}: its interval and that "
            f"of test ({interval_text([its_low, its_high])}) {meet}."
        )
    return found


def _epochs(history: list[dict[str, Any]], best: int) -> str:
    last = history[-1]["epoch"]
    reached = {entry["epoch"]: entry.get("validation_accuracy") for entry in history}
    if best != last:
        return f"Validation was best in epoch {best} of {last}: the epochs after it gained nothing."
    if any(value == reached[best] for epoch, value in reached.items() if epoch != best):
        return f"Validation was as good in an earlier epoch as in the last, {last}, whose loss was lower."
    return f"Validation was best in the last epoch, {last}: longer training may gain more."


def _classes(metrics: Mapping[str, Any]) -> list[str]:
    test = metrics["test"]
    if "per_class" not in test:
        return []
    found = []
    rows = {name: row for name, row in test["per_class"].items() if row["count"]}
    recalls = [row["recall"] for row in rows.values()]
    if rows and min(recalls) < max(recalls):
        ends = []
        for recall in (min(recalls), max(recalls)):
            names = [name for name, row in rows.items() if row["recall"] == recall]
            ends.append(f"{_quoted(names[0])}{' and others' * (len(names) > 1)} ({recall:.4f})")
        found.append(f"Recall is lowest for {ends[0]} and highest for {ends[1]}.")
    pairs = most_confused({"classes": test["classes"], "confusion": test["confusion"]})
    if len(test["classes"]) > 2 and pairs:
        true, predicted, errors, examples = pairs[0]
        tied = len(pairs) > 1 and pairs[1][2] == errors
        which = "One of the most frequent errors" if tied else "The most frequent error"
        found.append(
            f"{which} takes {_quoted(true)} for {_quoted(predicted)}, {errors:,} of {examples:,} times."
        )
    if "calibration_error" in test:
        found.append(
            f"The probabilities are off by {test['calibration_error']:.4f} on average (expected calibration "
            "error)."
        )
    return found


def _looks(explanation: Explanation) -> str:
    def of(*verdicts: str) -> list[str]:
        return [each.name for each in explanation.faithfulness if each.verdict in verdicts]

    good, little, bad = of("better"), of("little"), of("chance", "worse")
    parts = [
        f"{_listed(good)} {_point(good)} at what the model uses" if good else "",
        f"{_listed(little)} {_do(little)} little better than a random order" if little else "",
        f"{_listed(bad)} {_do(bad)} no better than a random order" if bad else "",
    ]
    text = "; ".join(part for part in parts if part)
    return f"Of the pictures, {text}, measured by deletion."


def of_study(result: Mapping[str, Any]) -> list[str]:
    """Sentences about a comparison: what helped, what did not, what is not decided."""
    models = [row for row in result["rows"] if row["kind"] == "model" and row["validation"]]
    rivals = [row for row in result["rows"] if row["kind"] == "baseline" and row["validation"]]
    found = []
    if models:
        best = models[0]
        found.append(
            f"The best configuration by validation is {best['label']}, {best['validation']['mean']:.4f} on "
            f"average over {_counted(len(best['seeds']), 'seed')}; on test it reads "
            f"{best['test']['mean']:.4f}."
        )
    if models and rivals:
        gap = models[0]["validation"]["mean"] - rivals[0]["validation"]["mean"]
        place = f"{abs(gap):.4f} {'above' if gap > 0 else 'below'} it" if gap else "exactly there"
        found.append(
            f"The best baseline, {rivals[0]['label']}, reaches {rivals[0]['validation']['mean']:.4f} on "
            f"validation: the model is {place}."
        )
    by = {
        word: [pair for pair in result["pairs"] if pair["verdict"] == word]
        for word in (MORE, NO_MORE, UNDECIDED)
    }
    for pair in by[MORE]:
        better, worse = pair["first"], pair["second"]
        gain, interval = pair["difference"], pair["ci95"]
        if gain < 0:
            better, worse, gain = worse, better, -gain
            interval = [-interval[1], -interval[0]]
        found.append(
            f"It helped to choose {pair['option']} {better} over {worse}: {gain:+.4f} on validation, 95% "
            f"interval {interval_text(interval, sign=True)}, more than the seeds explain "
            f"(p {pair['p_holm']:.3f} after Holm)."
        )
    if by[NO_MORE]:
        found.append(f"No more than the seeds explain: {_pairs(by[NO_MORE])}.")
    if by[UNDECIDED]:
        few = min(len(pair["seeds"]) for pair in by[UNDECIDED])
        why = f"; the fewest seeds that a pair has are {few}, and from {ENOUGH_SEEDS} on the test decides"
        found.append(f"Undecided: {_pairs(by[UNDECIDED])}{why}.")
    if failures := result["failures"]:
        found.append(f"Failed, and in no figure: {', '.join(failures)}.")
    return found


def _pairs(pairs: list[dict[str, Any]]) -> str:
    return "; ".join(
        f"{pair['option']} {pair['first']} against {pair['second']}"
        + (f" ({pair['difference']:+.4f})" if pair["difference"] is not None else "")
        for pair in pairs
    )


def _counted(count: int, word: str) -> str:
    return f"{count:,} {word}{'s' * (count != 1)}"


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def _quoted(name: str) -> str:
    plain = " ".join(name.split())
    short = plain if len(plain) <= NAME_LETTERS else plain[:NAME_LETTERS] + "…"
    if any(bidirectional(letter) in ("R", "AL") for letter in short):
        short = f"\u2068{short}\u2069"  # or the numbers that follow would be set as a part of it
    return f"'{short}'"


def _is(names: list[str]) -> str:
    return "is" if len(names) == 1 else "are"


def _do(names: list[str]) -> str:
    return "does" if len(names) == 1 else "do"


def _point(names: list[str]) -> str:
    return "points" if len(names) == 1 else "point"
