"""How good are these probabilities, or these sequences? Pure functions on NumPy arrays.

Throughout, `probabilities` has shape (n, classes) with rows summing to one, and `labels` shape (n,) with
values 0 .. classes - 1. The prediction is the most probable class, the first of equals. Each function
raises ValueError for arrays that break this.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

# Wide enough for probabilities rounded to half precision, narrow enough to catch logits.
_ROW_SUM_TOLERANCE = 1e-2


def accuracy(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """(1/n) sum_i [argmax_c p_ic = y_i], a fraction."""
    p, y = check(probabilities, labels)
    return float((p.argmax(axis=1) == y).mean())


def wilson_interval(correct: int, count: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's score interval (low, high) for a rate of `correct` out of `count`.

    (k/n + z²/2n ± z sqrt((k/n)(1 - k/n)/n + z²/4n²)) / (1 + z²/n), z the normal quantile: 1.96 for 95 %.

    Source: Wilson 1927, 'Probable Inference, the Law of Succession, and Statistical Inference'. It stays
    within [0, 1] and does not collapse at 0 or n correct, as the normal interval does.
    """
    if count < 1 or not 0 <= correct <= count:
        raise ValueError(
            f"an interval needs 0 <= correct <= count and count >= 1, got correct={correct}, count={count}; "
            "pass numbers of examples, not fractions"
        )
    # scipy.stats takes a while to import
    from scipy.stats import binomtest

    interval = binomtest(int(correct), int(count)).proportion_ci(confidence, method="wilson")
    return float(interval.low), float(interval.high)


def student_interval(values: ArrayLike, least_spread: float = 0.0) -> tuple[float, float]:
    """Student's 95% interval of a mean: m ± t s / √n, with n - 1 degrees of freedom.

    least_spread: what s is taken to be at least. Raises ValueError for fewer than two values, which have no
    spread.
    """
    each = np.asarray(values, dtype=np.float64)
    if len(each) < 2:
        raise ValueError(f"{len(each)} example has no interval; give two or more")
    from scipy.stats import t

    spread = max(each.std(ddof=1), least_spread)
    reach = t.ppf(0.975, len(each) - 1) * spread / np.sqrt(len(each))
    return float(each.mean() - reach), float(each.mean() + reach)


def mcnemar(first_right: ArrayLike, second_right: ArrayLike) -> dict[str, float | int]:
    """Do two classifiers, judged on the same examples, differ by more than chance? McNemar's exact test.

    first_right, second_right: (n,) booleans, whether each of them was right. Only examples on which one alone
    was right can tell: b = `only_first` and c = `only_second` of them. Were the two equally good, each of
    these would fall to either with probability 1/2, so that

    p_value = min(1, 2 · sum_{k <= min(b, c)} C(b + c, k) / 2^(b + c)).

    Source: McNemar 1947, 'Note on the sampling error of the difference between correlated proportions or
    percentages', with the binomial distribution itself where he takes its normal limit.
    """
    first, second = np.asarray(first_right), np.asarray(second_right)
    if first.shape != second.shape or first.ndim != 1 or first.dtype != bool or second.dtype != bool:
        raise ValueError(
            f"the two need one boolean an example each, got shapes {first.shape} of {first.dtype} and "
            f"{second.shape} of {second.dtype}; compare predictions with the labels first"
        )
    from scipy.stats import binomtest

    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    p_value = float(binomtest(b, b + c).pvalue) if b + c else 1.0
    return {"only_first": b, "only_second": c, "p_value": p_value}


def confusion_matrix(probabilities: ArrayLike, labels: ArrayLike) -> NDArray[np.int64]:
    """M[t, p] = number of examples of true class t predicted as p: rows true, columns predicted."""
    p, y = check(probabilities, labels)
    matrix = np.zeros((p.shape[1], p.shape[1]), dtype=np.int64)
    np.add.at(matrix, (y, p.argmax(axis=1)), 1)
    return matrix


def expected_calibration_error(probabilities: ArrayLike, labels: ArrayLike, bins: int = 15) -> float:
    """ECE = sum_m |B_m| / n · |acc(B_m) - conf(B_m)|.

    B_m holds the examples whose confidence max_c p_ic lies in ((m - 1)/M, m/M], M = `bins`; acc is the
    accuracy in the bin, conf the mean confidence.

    Source: Guo et al. 2017, 'On Calibration of Modern Neural Networks', section 2, equation (3), which takes
    M = 15.
    """
    if bins < 1:
        raise ValueError(f"bins={bins} leaves no bin; choose at least 1")
    p, y = check(probabilities, labels)
    confidence = p.max(axis=1)
    right = (p.argmax(axis=1) == y).astype(np.float64)
    inner_edges = np.linspace(0.0, 1.0, bins + 1)[1:-1]
    bin_of = np.digitize(confidence, inner_edges, right=True)
    # |B_m| cancels: the mean of right - confidence over a bin, times |B_m|, is its sum
    gaps = np.bincount(bin_of, weights=right - confidence, minlength=bins)
    return float(np.abs(gaps).sum() / len(y))


def negative_log_likelihood(probabilities: ArrayLike, labels: ArrayLike) -> float:
    """-(1/n) sum_i ln p_i,y_i, in nats.

    Deviation: a probability below the machine epsilon of its own type counts as that epsilon, as in
    sklearn.metrics.log_loss; one underflow would otherwise make the mean infinite, which JSON cannot hold.
    """
    given = np.asarray(probabilities)
    p, y = check(given, labels)
    epsilon = np.finfo(given.dtype if np.issubdtype(given.dtype, np.floating) else np.float64).eps
    return float(-np.log(np.clip(p[np.arange(len(y)), y], epsilon, 1.0)).mean())


def per_class(confusion: ArrayLike) -> list[dict[str, float | int]]:
    """For each class c of a confusion matrix M: precision, recall, f1, and count, its true examples.

    precision = M_cc / sum_t M_tc, recall = M_cc / sum_p M_cp, f1 = 2 M_cc / (sum_t M_tc + sum_p M_cp), the
    harmonic mean of the two; 0/0 counts as 0. Source: Van Rijsbergen 1979, 'Information Retrieval',
    chapter 7.
    """
    matrix = np.asarray(confusion)
    if matrix.ndim != 2 or matrix.shape[0] != matrix.shape[1]:
        raise ValueError(
            f"a confusion matrix is square, got shape {matrix.shape}; pass the result of confusion_matrix"
        )
    hits, predicted, true = np.diagonal(matrix), matrix.sum(axis=0), matrix.sum(axis=1)
    return [
        {
            "precision": _ratio(hit, of_predicted),
            "recall": _ratio(hit, of_true),
            "f1": _ratio(2 * hit, of_predicted + of_true),
            "count": int(of_true),
        }
        for hit, of_predicted, of_true in zip(hits, predicted, true, strict=True)
    ]


def most_confused(figures: Mapping[str, Any], count: int = 10) -> list[tuple[str, str, int, int]]:
    """The ordered pairs of classes confused most: (true, predicted, errors, examples of the true class).

    figures: the keys `classes` and `confusion` of `classification_report`. At most `count` pairs, the most
    errors first, equals in the order of the classes; pairs never confused are left out.
    """
    if count < 1:
        raise ValueError(f"count={count} asks for no pair; choose at least 1")
    classes = figures["classes"]
    pairs = [
        (true, predicted, errors, sum(row))
        for true, row in zip(classes, figures["confusion"], strict=True)
        for predicted, errors in zip(classes, row, strict=True)
        if errors and true != predicted
    ]
    return sorted(pairs, key=lambda pair: -pair[2])[:count]


def summary(probabilities: ArrayLike, labels: ArrayLike) -> dict[str, Any]:
    """The figures of a split that fit on a line, ready for JSON.

    Keys: accuracy, accuracy_ci95 [low, high] (Wilson), count, calibration_error (15 bins), nll.
    """
    p, y = check(probabilities, labels)
    correct = int((p.argmax(axis=1) == y).sum())
    return {
        "accuracy": correct / len(y),
        "accuracy_ci95": list(wilson_interval(correct, len(y))),
        "count": len(y),
        "calibration_error": expected_calibration_error(p, y),
        "nll": negative_log_likelihood(probabilities, y),
    }


def classification_report(
    probabilities: ArrayLike, labels: ArrayLike, class_names: Sequence[str]
) -> dict[str, Any]:
    """`summary`, and class by class, ready for JSON.

    Adds to its keys: confusion (nested list, rows true, columns predicted), classes (the names), per_class
    (name -> precision, recall, f1, count).
    """
    matrix = confusion_matrix(probabilities, labels)
    names = [str(name) for name in class_names]
    if len(names) != len(matrix) or len(set(names)) != len(names):
        raise ValueError(
            f"each of the {len(matrix)} classes needs a name of its own, got {names}; "
            "pass one name a column of the probabilities"
        )
    return {
        **summary(probabilities, labels),
        "confusion": matrix.tolist(),
        "classes": names,
        "per_class": dict(zip(names, per_class(matrix), strict=True)),
    }


def sequence_report(answers: ArrayLike, labels: ArrayLike) -> dict[str, Any]:
    """How many sequences are right from the first token to the last, and how many tokens are.

    answers, labels: (n, tokens) whole numbers; a label below 0 counts for nothing. An answer is right as a
    whole where it equals every label that counts. Ready for JSON: accuracy, accuracy_ci95 (Wilson), count,
    token_accuracy, the share of all labels that count.
    Raises ValueError for shapes that differ, for no rows, and for a row in which nothing counts.
    """
    given, wanted = np.asarray(answers), np.asarray(labels)
    if given.shape != wanted.shape or given.ndim != 2 or len(given) == 0:
        raise ValueError(
            f"answers and labels must be of one shape (n, tokens), n >= 1, got {given.shape} and "
            f"{wanted.shape}; fill the answers behind their end"
        )
    counts = wanted >= 0
    if not counts.any(axis=1).all():
        raise ValueError("a row has no label that counts; give every sequence at least its end")
    right = given == wanted
    correct = int((right | ~counts).all(axis=1).sum())
    return {
        "accuracy": correct / len(given),
        "accuracy_ci95": list(wilson_interval(correct, len(given))),
        "count": len(given),
        "token_accuracy": float(right[counts].mean()),
    }


def check(probabilities: ArrayLike, labels: ArrayLike) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Both as arrays of doubles and of whole numbers; ValueError where they break the module's rules."""
    p, y = np.asarray(probabilities, dtype=np.float64), np.asarray(labels)
    if p.ndim != 2 or p.shape[0] == 0 or p.shape[1] < 2:
        raise ValueError(
            f"probabilities must have shape (n, classes), n >= 1 and classes >= 2, got {p.shape}; "
            "give two columns for two classes"
        )
    if y.shape != p.shape[:1] or not np.issubdtype(y.dtype, np.integer):
        raise ValueError(
            f"labels must be {p.shape[0]} whole numbers, one a row, got shape {y.shape} of {y.dtype}; "
            "number the classes from 0"
        )
    if y.min() < 0 or y.max() >= p.shape[1]:
        wrong = y.min() if y.min() < 0 else y.max()
        raise ValueError(
            f"label {wrong} is outside 0..{p.shape[1] - 1}; "
            "give a column for every class and number the classes from 0"
        )
    sums = p.sum(axis=1)
    # written so that NaN fails it
    good = (p >= 0).all(axis=1) & (np.abs(sums - 1) <= _ROW_SUM_TOLERANCE)
    if not good.all():
        row = int(np.argmin(good))
        raise ValueError(
            f"probabilities must be at least 0 and each row sum to 1, got row {row} = {p[row].tolist()}; "
            "apply softmax to logits first"
        )
    return p, y.astype(np.int64)


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0
