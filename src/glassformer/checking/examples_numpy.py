"""Examples: a network of one hidden layer, and what a mistake makes of its gradients."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from glassformer.checking.example_sides import Sides, table

X = np.array([[1.0, 2.0], [3.0, -1.0]])
Y = np.array([[1.0], [0.0]])
W1, B1 = np.array([[0.5, -1.0], [1.0, 0.5]]), np.zeros(2)
W2, B2 = np.array([[1.0], [-2.0]]), np.zeros(1)
GIVEN = "x = [1 2], [3 -1]; y = 1, 0; W1 = [0.5 -1], [1 0.5]; W2 = [1], [-2]"
RATE = 1.0


class Gradients(NamedTuple):
    W1: np.ndarray
    b1: np.ndarray
    W2: np.ndarray
    b2: np.ndarray


def sigmoid(z: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-z))


def gradients(squared: bool = False, *, slope: bool = True, flat: bool | None = None) -> Gradients:
    """Of the mean cross-entropy, or of half the mean squared error: dL/dW by the chain rule.

    slope: with the derivative of the hidden sigmoid; flat: with that of the output's, by default as the loss
    asks for it.
    """
    a1 = sigmoid(X @ W1 + B1)
    p = sigmoid(a1 @ W2 + B2)
    dz2 = (p - Y) / len(Y)
    if squared if flat is None else flat:
        dz2 = dz2 * p * (1 - p)
    dz1 = dz2 @ W2.T
    if slope:
        dz1 = dz1 * a1 * (1 - a1)
    return Gradients(X.T @ dz1, dz1.sum(0), a1.T @ dz2, dz2.sum(0))


def _hidden() -> Sides:
    return Sides(f"{GIVEN}; dW1", table(gradients().W1), table(gradients(slope=False).W1))


def _output() -> Sides:
    right, wrong = gradients(True), gradients(True, flat=False)
    return Sides(f"{GIVEN}; squared error; dW2", table(right.W2.T), table(wrong.W2.T))


def _summed() -> Sides:
    right = gradients().W1
    return Sides(f"{GIVEN}; dW1", table(right), table(right * len(Y)))


def _extra() -> Sides:
    return Sides(f"{GIVEN}; cross-entropy; dW2", table(gradients().W2.T), table(gradients(flat=True).W2.T))


def _twice() -> Sides:
    return Sides(f"{GIVEN}; dW1", table(gradients().W1), table(gradients().W1 / len(Y)))


def _at_activation() -> Sides:
    """The sigmoid's slope at its result."""
    a1 = sigmoid(X @ W1 + B1)
    again = sigmoid(a1)
    dz2 = (sigmoid(a1 @ W2 + B2) - Y) / len(Y)
    wrong = X.T @ (dz2 @ W2.T * again * (1 - again))
    return Sides(f"{GIVEN}; dW1", table(gradients().W1), table(wrong))


def _left_out() -> Sides:
    a1 = sigmoid(X @ W1 + B1)
    dz2 = (sigmoid(a1 @ W2 + B2) - Y) / len(Y)
    return Sides(f"{GIVEN}; dW1", table(gradients().W1), table(X.T @ (dz2 * a1 * (1 - a1))))


def _bias() -> Sides:
    a1 = sigmoid(X @ W1 + B1)
    dz2 = (sigmoid(a1 @ W2 + B2) - Y) / len(Y)
    dz1 = dz2 @ W2.T * a1 * (1 - a1)
    return Sides(f"{GIVEN}; db1", table(gradients().b1), table(dz1))


def _sign() -> Sides:
    return Sides(f"{GIVEN}; dW1", table(gradients().W1), table(-gradients().W1))


def _late() -> Sides:
    """W2 has taken its step already when the gradient goes back through it."""
    a1 = sigmoid(X @ W1 + B1)
    dz2 = (sigmoid(a1 @ W2 + B2) - Y) / len(Y)
    moved = W2 - RATE * a1.T @ dz2
    wrong = X.T @ (dz2 @ moved.T * a1 * (1 - a1))
    return Sides(f"{GIVEN}; dW1", table(gradients().W1, 3), table(wrong, 3))


EXAMPLES: dict[str, Callable[[], Sides]] = {
    "hidden-derivative-forgotten": _hidden,
    "output-derivative-forgotten": _output,
    "output-derivative-extra": _extra,
    "derivative-at-activation": _at_activation,
    "output-weights-left-out": _left_out,
    "gradient-not-averaged": _summed,
    "gradient-averaged-twice": _twice,
    "bias-gradient-not-summed": _bias,
    "gradient-ascent": _sign,
    "gradient-of-updated-weights": _late,
}
