"""From the runs of a study to its table: means, spreads, intervals, and which differences are more than luck.

Everything that ranks or is tested is validation accuracy; the test figures stand beside.
"""

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy import stats

from glassformer.evaluation import student_interval
from glassformer.experiments.plan import Row

SIGNIFICANT = 0.05
ENOUGH_SEEDS = 5
MORE, NO_MORE, UNDECIDED = "more than the seeds explain", "no more than the seeds explain", "undecided"

Outcomes = Mapping[int, dict[str, Any]]
"""Seed -> the metrics of its run, of the seeds that finished."""


def mean_interval(values: Sequence[float], resolution: float) -> tuple[float, float] | None:
    """The 95% interval of the mean over seeds: m ± t s/√n, Student's t with n - 1 degrees; shares, in [0, 1].

    resolution: what s is at least, as in `paired_test`. None for a single seed, which has no spread.
    """
    if len(values) < 2:
        return None
    low, high = student_interval(values, resolution)
    return max(0.0, low), min(1.0, high)


def holm(p_values: Sequence[float]) -> list[float]:
    """Holm's correction: the p-values as they count among so many tests, in the order given.

    p'_(i) = max over j ≤ i of min(1, (m - j + 1) p_(j)), from the smallest up.

    Source: Holm 1979, 'A simple sequentially rejective multiple test procedure'.
    """
    corrected = [0.0] * len(p_values)
    largest = 0.0
    for rank, place in enumerate(np.argsort(p_values, kind="stable").tolist()):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[place]))
        corrected[place] = largest
    return corrected


def paired_test(differences: Sequence[float], resolution: float) -> tuple[float, tuple[float, float] | None]:
    """(p, 95% interval of the mean) of a paired t-test over seeds; p is 1 for a single seed.

    resolution: the smallest difference that a split can show, one example's share. Seeds that happen to agree
    to the last example are no proof of a spread of zero, so it is taken to be no less.
    """
    if len(differences) < 2:
        return 1.0, None
    mean, error = float(np.mean(differences)), max(float(np.std(differences, ddof=1)), resolution)
    error /= float(np.sqrt(len(differences)))
    low, high = student_interval(differences, resolution)
    p = float(2 * stats.t.sf(abs(mean) / error, len(differences) - 1))
    return p, (max(-1.0, low), min(1.0, high))


def table_rows(rows: Sequence[Row], outcomes: Sequence[Outcomes]) -> list[dict[str, Any]]:
    """One entry a configuration and one a baseline, best validation mean first; those without a run last."""
    found = [
        {"label": row.label, "kind": "model", "settings": row.settings, "changed": row.changed}
        | _summary(runs)
        for row, runs in zip(rows, outcomes, strict=True)
    ]
    # every configuration of a seed has the same rivals, unless the data itself is varied: those of the first;
    # none where a run was resumed without them
    rivals = next((runs for runs in outcomes if runs), {})
    slugs = list(dict.fromkeys(slug for metrics in rivals.values() for slug in metrics["baselines"]))
    for slug in slugs:
        of_slug = {seed: m["baselines"][slug] for seed, m in rivals.items() if slug in m["baselines"]}
        found.append({"label": slug, "kind": "baseline", "settings": {}, "changed": {}} | _summary(of_slug))
    mean = lambda entry: entry["validation"]["mean"] if entry["validation"] else -1.0  # noqa: E731
    return sorted(found, key=mean, reverse=True)


def _summary(runs: Outcomes) -> dict[str, Any]:
    seconds = [metrics["train_seconds"] for metrics in runs.values() if "train_seconds" in metrics]
    parameters = {metrics["parameters"] for metrics in runs.values() if "parameters" in metrics}
    return {
        "seeds": list(runs),
        "parameters": max(parameters) if parameters else None,
        "train_seconds": float(np.mean(seconds)) if seconds else None,
        "validation": _of_split(runs, "validation"),
        "test": _of_split(runs, "test"),
    }


def _of_split(runs: Outcomes, split: str) -> dict[str, Any] | None:
    each = [metrics[split]["accuracy"] for metrics in runs.values() if metrics.get(split)]
    if not each:
        return None
    count = min(
        (metrics[split]["count"] for metrics in runs.values() if "count" in metrics.get(split, {})), default=0
    )
    interval = mean_interval(each, 1 / count if count else 0.0)
    return {
        "mean": float(np.mean(each)),
        "spread": float(np.std(each, ddof=1)) if len(each) > 1 else None,
        "ci95": None if interval is None else list(interval),
        "each": each,
        "examples": count or None,
    }


def pairs(rows: Sequence[Row], outcomes: Sequence[Outcomes]) -> list[dict[str, Any]]:
    """For each option and each two of its values: is the difference more than the seeds explain?

    Two configurations that differ in this option alone are compared on equal seeds; in a grid a seed's
    difference is the mean over all such pairs, the option's main effect. p is that of a paired t-test, then
    corrected after Holm over all tests of the study. Below five seeds a difference counts only where it is
    plain: p holds, which so few seeds reach only where all agree on the sign, and it is larger than what the
    choice of the validation examples explains too, 1.96 √(2 p̂ (1 - p̂) / examples).
    """
    found: list[dict[str, Any]] = []
    for option in rows[0].settings if rows else ():
        values = list(dict.fromkeys(row.settings[option] for row in rows))
        for first, second in itertools.combinations(values, 2):
            found.append({"option": option, "first": first, "second": second} | _difference(
                _matched(rows, outcomes, option, first, second)
            ))  # fmt: skip
    for entry, p in zip(found, holm([entry["p"] for entry in found]), strict=True):
        entry["p_holm"] = p
        entry["verdict"] = _verdict(entry)
    return found


def _matched(
    rows: Sequence[Row], outcomes: Sequence[Outcomes], option: str, first: str, second: str
) -> list[tuple[Outcomes, Outcomes]]:
    """The outcomes of each two configurations that differ in `option` alone, (first, second)."""
    others = lambda row: {k: v for k, v in row.settings.items() if k != option}  # noqa: E731
    return [
        (of_a, of_b)
        for a, of_a in zip(rows, outcomes, strict=True)
        for b, of_b in zip(rows, outcomes, strict=True)
        if a.settings[option] == first and b.settings[option] == second and others(a) == others(b)
    ]


def _difference(matched: list[tuple[Outcomes, Outcomes]]) -> dict[str, Any]:
    accuracy = lambda metrics: metrics["validation"]["accuracy"]  # noqa: E731
    seeds = [seed for seed in dict.fromkeys(s for a, _ in matched for s in a)
             if all(seed in a and seed in b for a, b in matched)]  # fmt: skip
    each = [float(np.mean([accuracy(a[seed]) - accuracy(b[seed]) for a, b in matched])) for seed in seeds]
    looked_at = [runs[seed]["validation"] for pair in matched for runs in pair for seed in seeds]
    examples = min((split["count"] for split in looked_at), default=1)
    p, interval = paired_test(each, 1 / examples)
    share = float(np.mean([split["accuracy"] for split in looked_at])) if looked_at else 0.0
    return {
        "seeds": seeds,
        "difference": float(np.mean(each)) if each else None,
        "ci95": None if interval is None else list(interval),
        "each": each,
        "of_examples": 1.96 * float(np.sqrt(2 * share * (1 - share) / examples)),
        "p": p,
    }


def _verdict(entry: dict[str, Any]) -> str:
    holds = entry["p_holm"] < SIGNIFICANT
    if len(entry["seeds"]) >= ENOUGH_SEEDS:
        return MORE if holds else NO_MORE
    plain = holds and abs(entry["difference"]) > entry["of_examples"]
    return MORE if plain else UNDECIDED
