import json
import math
import subprocess
import sys

import numpy as np
import pytest
from sklearn import metrics

from glassformer import evaluation

NAMES = ["bee", "cat", "dog", "elk", "fox"]


@pytest.fixture
def judged():
    """97 examples of 5 classes; predictions lean towards the truth, and errors are not symmetric."""
    generator = np.random.default_rng(3)
    labels = generator.choice(5, size=97, p=[0.1, 0.15, 0.2, 0.25, 0.3])
    logits = generator.normal(size=(97, 5)) + 1.5 * np.eye(5)[labels]
    logits[:, 4] += 0.9
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return probabilities, labels


def test_accuracy_is_sklearns(judged):
    probabilities, labels = judged
    expected = metrics.accuracy_score(labels, probabilities.argmax(axis=1))
    assert 0.3 < expected < 0.9
    assert evaluation.accuracy(probabilities, labels) == pytest.approx(expected, abs=1e-15)


def test_confusion_matrix_is_sklearns_with_true_rows(judged):
    probabilities, labels = judged
    expected = metrics.confusion_matrix(labels, probabilities.argmax(axis=1))
    assert not np.array_equal(expected, expected.T), "a symmetric matrix would hide swapped axes"
    np.testing.assert_array_equal(evaluation.confusion_matrix(probabilities, labels), expected)


def test_confusion_matrix_keeps_classes_nobody_saw():
    matrix = evaluation.confusion_matrix([[0.7, 0.2, 0.1], [0.1, 0.8, 0.1]], [1, 1])
    assert matrix.tolist() == [[0, 0, 0], [1, 1, 0], [0, 0, 0]]


@pytest.mark.parametrize(
    ("correct", "count", "low", "high"),
    [
        # by hand with z = 1.959964, z² = 3.841459
        (0, 10, 0.0, 3.841459 / 13.841459),
        (10, 10, 10 / 13.841459, 1.0),
        (8, 10, 0.490162, 0.943318),
        # Newcombe 1998, 'Two-sided confidence intervals for the single proportion', table I, method 3
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (1, 29, 0.0061, 0.1718),
    ],
)
def test_wilson_interval_by_hand(correct, count, low, high):
    assert evaluation.wilson_interval(correct, count) == pytest.approx((low, high), abs=5.1e-5)


def test_wilson_interval_narrows_with_less_confidence():
    low, high = evaluation.wilson_interval(31, 47)
    inner_low, inner_high = evaluation.wilson_interval(31, 47, confidence=0.68)
    assert low < inner_low < 31 / 47 < inner_high < high


@pytest.mark.parametrize(("b", "c"), [(0, 0), (0, 1), (0, 6), (5, 5), (1, 9), (9, 1), (150, 86)])
def test_mcnemar_by_hand(b, c):
    """The sum of the docstring in whole numbers; b, c, and examples on which both are right or both wrong."""
    first = np.array([True] * b + [False] * c + [True] * 13 + [False] * 4)
    second = np.array([False] * b + [True] * c + [True] * 13 + [False] * 4)
    tail = sum(math.comb(b + c, k) for k in range(min(b, c) + 1))
    expected = min(1.0, 2 * tail / 2 ** (b + c))
    found = evaluation.mcnemar(first, second)
    assert found == {"only_first": b, "only_second": c, "p_value": pytest.approx(expected, rel=1e-9)}


def test_mcnemar_of_known_numbers():
    # 0 of 6: 2 / 64; 1 of 10: 2 (1 + 10) / 1024
    assert evaluation.mcnemar([False] * 6, [True] * 6)["p_value"] == pytest.approx(1 / 32)
    one_of_ten = evaluation.mcnemar([True] + [False] * 9, [False] + [True] * 9)
    assert one_of_ten["p_value"] == pytest.approx(22 / 1024)
    # Agresti 2013, 'Categorical Data Analysis', section 11.1: 150 against 86, z = 4.17 in the normal limit
    large = evaluation.mcnemar([True] * 150 + [False] * 86, [False] * 150 + [True] * 86)
    assert large["p_value"] == pytest.approx(math.erfc(4.166 / math.sqrt(2)), rel=0.3)


def test_mcnemar_refuses_what_is_not_one_boolean_an_example():
    for first, second in (([True], [True, False]), ([1, 0], [1, 1]), ([[True]], [[True]])):
        with pytest.raises(ValueError, match="one boolean an example each"):
            evaluation.mcnemar(first, second)


@pytest.mark.parametrize("bins", [1, 7, 15])
def test_calibration_error_is_a_plain_loop(judged, bins):
    probabilities, labels = judged
    expected = 0.0
    for m in range(1, bins + 1):
        members = [
            (max(row), list(row).index(max(row)) == label)
            for row, label in zip(probabilities.tolist(), labels, strict=True)
            if (m - 1) / bins < max(row) <= m / bins
        ]
        if members:
            confidence = sum(c for c, _ in members) / len(members)
            rate = sum(right for _, right in members) / len(members)
            expected += len(members) / len(labels) * abs(rate - confidence)
    assert expected > 0.01
    assert evaluation.expected_calibration_error(probabilities, labels, bins) == pytest.approx(expected)


def test_calibration_bins_are_closed_on_the_right():
    # Halves: 0.75 and 1.0 share the upper of two bins, and 0.5 alone belongs to the lower one.
    probabilities = np.array([[0.5, 0.5], [0.75, 0.25], [1.0, 0.0]])
    # lower: |1 - 0.5|; upper: |0 - 0.75 + 1 - 1|
    expected = (0.5 + 0.75) / 3
    assert evaluation.expected_calibration_error(probabilities, [0, 1, 0], bins=2) == pytest.approx(expected)


def test_calibration_of_a_calibrated_answer_is_zero():
    probabilities = np.tile([0.75, 0.25], (4, 1))
    assert evaluation.expected_calibration_error(probabilities, [0, 0, 1, 0]) == pytest.approx(0)
    assert evaluation.expected_calibration_error(probabilities, [1, 1, 1, 1]) == pytest.approx(0.75)


def test_negative_log_likelihood_is_sklearns(judged):
    probabilities, labels = judged
    expected = metrics.log_loss(labels, probabilities)
    assert evaluation.negative_log_likelihood(probabilities, labels) == pytest.approx(expected)
    # natural logarithms
    assert evaluation.negative_log_likelihood([[0.5, 0.5]], [1]) == pytest.approx(math.log(2))


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_negative_log_likelihood_of_a_certain_mistake_is_finite(dtype):
    found = evaluation.negative_log_likelihood(np.array([[1, 0]], dtype=dtype), [1])
    assert found == pytest.approx(-math.log(np.finfo(dtype).eps))


def test_per_class_is_sklearns(judged):
    probabilities, labels = judged
    precision, recall, f1, count = metrics.precision_recall_fscore_support(
        labels, probabilities.argmax(axis=1)
    )
    assert not np.allclose(precision, recall), "equal rates would hide swapped axes"
    found = evaluation.per_class(evaluation.confusion_matrix(probabilities, labels))
    for key, expected in {"precision": precision, "recall": recall, "f1": f1, "count": count}.items():
        np.testing.assert_allclose([entry[key] for entry in found], expected, err_msg=key)


def test_per_class_counts_nothing_over_nothing_as_zero():
    found = evaluation.per_class([[3, 0], [0, 0]])
    assert found[0] == {"precision": 1.0, "recall": 1.0, "f1": 1.0, "count": 3}
    assert found[1] == {"precision": 0.0, "recall": 0.0, "f1": 0.0, "count": 0}


def test_report_has_its_keys_and_agrees_with_the_parts(judged):
    probabilities, labels = judged
    report = evaluation.classification_report(probabilities, labels, NAMES)
    assert json.loads(json.dumps(report, allow_nan=False)) == report
    correct = int((probabilities.argmax(axis=1) == labels).sum())
    matrix = evaluation.confusion_matrix(probabilities, labels)
    assert report == {
        "accuracy": pytest.approx(evaluation.accuracy(probabilities, labels), abs=1e-15),
        "accuracy_ci95": list(evaluation.wilson_interval(correct, 97)),
        "count": 97,
        "calibration_error": evaluation.expected_calibration_error(probabilities, labels),
        "nll": evaluation.negative_log_likelihood(probabilities, labels),
        "confusion": matrix.tolist(),
        "classes": NAMES,
        "per_class": dict(zip(NAMES, evaluation.per_class(matrix), strict=True)),
    }


@pytest.mark.parametrize(
    ("probabilities", "labels", "message"),
    [
        ([0.5, 0.5], [0, 1], r"got \(2,\)"),
        (np.zeros((0, 2)), np.zeros(0, int), r"got \(0, 2\)"),
        ([[1.0]], [0], r"got \(1, 1\)"),
        ([[0.5, 0.5]], [0, 1], r"one a row, got shape \(2,\)"),
        ([[0.5, 0.5]], [1.0], "whole numbers.*float64"),
        ([[0.5, 0.5]], [2], r"label 2 is outside 0\.\.1"),
        ([[0.5, 0.5]], [-1], r"label -1 is outside"),
        ([[0.5, 0.5], [3.2, -1.0]], [0, 1], r"row 1 = \[3\.2, -1\.0\]; apply softmax"),
        ([[1.5, -0.5]], [0], "at least 0"),
        ([[0.9, 0.2]], [0], "each row sum to 1"),
        ([[0.5, math.nan]], [0], "row 0"),
    ],
)
def test_what_is_not_a_probability_is_refused(probabilities, labels, message):
    for judge in (
        evaluation.accuracy,
        evaluation.confusion_matrix,
        evaluation.expected_calibration_error,
        evaluation.negative_log_likelihood,
        evaluation.summary,
    ):
        with pytest.raises(ValueError, match=message):
            judge(probabilities, labels)


@pytest.mark.parametrize(("correct", "count"), [(0, 0), (3, 2), (-1, 2)])
def test_impossible_counts_are_refused(correct, count):
    with pytest.raises(ValueError, match=f"correct={correct}, count={count}"):
        evaluation.wilson_interval(correct, count)


@pytest.mark.parametrize("names", [["a"], ["a", "a"]])
def test_report_needs_a_name_a_class(names):
    with pytest.raises(ValueError, match="name of its own"):
        evaluation.classification_report([[0.5, 0.5]], [0], names)


def test_odd_arguments_are_refused():
    with pytest.raises(ValueError, match="bins=0"):
        evaluation.expected_calibration_error([[0.5, 0.5]], [0], bins=0)
    with pytest.raises(ValueError, match=r"square, got shape \(1, 2\)"):
        evaluation.per_class([[1, 2]])


def test_needs_no_torch_and_no_sklearn():
    code = (
        "import sys, glassformer.evaluation as e; e.summary([[.5, .5]], [0]); "
        "assert not {'torch', 'sklearn'} & set(sys.modules), 'slow import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
