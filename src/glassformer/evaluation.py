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


def grouped_interval(correct: ArrayLike, counts: ArrayLike) -> tuple[float, float]:
    """95% interval of sum_g c_g / sum_g n_g, where groups, and not single cases, were drawn at random.

    correct, counts: (groups,). r ± 1.96 s, s² = G/(G - 1) sum_g (c_g - r n_g)² / (sum_g n_g)²; within [0, 1],
    and all of it for a single group. The words of a text are no independent cases: its texts are the groups.
    Groups with no case, n_g = 0, are left out.

    Where all groups have one rate, of 0 and of 1 above all, s = 0 says nothing of those that were not drawn.
    Then it is Wilson's interval of r in G cases, as though each group were one: at r = 0 up to
    1.96² / (G + 1.96²). That is cautious, the widest for what groups may have in common.
    Source: Cochran 1977, 'Sampling Techniques', section 6.4, the ratio estimator; `wilson_interval`.
    """
    c, n = np.asarray(correct, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    c, n = c[n > 0], n[n > 0]
    if len(n) < 2:
        return 0.0, 1.0
    rate = c.sum() / n.sum()
    apart = c - rate * n
    if np.allclose(apart, 0.0, rtol=0.0, atol=1e-9):
        return _wilson(float(rate), len(n))
    spread = np.sqrt(len(n) / (len(n) - 1) * np.square(apart).sum()) / n.sum()
    return max(0.0, float(rate - 1.96 * spread)), min(1.0, float(rate + 1.96 * spread))


def student_interval(values: ArrayLike) -> tuple[float, float]:
    """Student's 95% interval of a mean: m ± t s / √n, with n - 1 degrees of freedom.

    Raises ValueError for fewer than two values, which have no spread.
    """
    each = np.asarray(values, dtype=np.float64)
    if len(each) < 2:
        raise ValueError(f"{len(each)} example has no interval; give two or more")
    from scipy.stats import t

    reach = t.ppf(0.975, len(each) - 1) * each.std(ddof=1) / np.sqrt(len(each))
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


def guesses_report(
    correct: ArrayLike, counts: ArrayLike, nats: ArrayLike, texts: ArrayLike
) -> dict[str, Any]:
    """How many of the tokens that were left out are guessed, and how surprising they are.

    All: (pieces,). correct, counts: tokens guessed, and left out; nats: the sum of -ln p(true token) over
    them; texts: equal numbers for pieces of one text. Ready for JSON: accuracy, accuracy_ci95 (of texts, see
    `grouped_interval`), count of tokens, texts, perplexity = exp(nats a token).
    Raises ValueError where nothing was left out.
    """
    c, n, loss = (np.asarray(each, dtype=np.float64) for each in (correct, counts, nats))
    if not n.sum():
        raise ValueError("no token was left out, so there is nothing to judge; give longer texts")
    _, group = np.unique(np.asarray(texts), return_inverse=True)
    interval = grouped_interval(np.bincount(group, c), np.bincount(group, n))
    return {
        "accuracy": float(c.sum() / n.sum()),
        "accuracy_ci95": list(interval),
        "count": int(n.sum()),
        "texts": int(group.max()) + 1,
        "perplexity": float(np.exp(loss.sum() / n.sum())),
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


def _wilson(rate: float, count: int) -> tuple[float, float]:
    """`wilson_interval` of a rate that is no number of whole cases."""
    z = 1.96
    middle, reach = rate + z**2 / (2 * count), z * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    low, high = ((middle + side * reach) / (1 + z**2 / count) for side in (-1, 1))
    return max(0.0, float(low)), min(1.0, float(high))


def _ratio(part: Any, whole: Any) -> float:
    return float(part / whole) if whole else 0.0
