"""A neural network with nothing but NumPy: forward pass, loss, backward pass, gradient descent.

One hidden layer and one output, both with sigmoids, for two classes:

    Z1 = X W1 + b1      A1 = sigmoid(Z1)      Z2 = A1 W2 + b2      p = sigmoid(Z2)

Row i of X is an example, y_i is 0 or 1, and p_i the probability the network gives to class 1. Without the
hidden layer, p = sigmoid(X w + b), it would be logistic regression. Everything is float64.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64, Int64

from glassformer.errors import DataError

LEARNING_RATE, BATCH_SIZE = 0.5, 64
"""Chosen on a fifth of the training rows of digits-parity and breast-cancer, never on test rows. Rates from
0.1 to 2 and batches of 16 to 64 did as well; this pair is quick and its loss is smooth."""
PATIENCE, TOLERANCE = 500, 0.02
"""Converged: the lowest loss of the last 500 epochs is not 2% below the lowest before them. Where
neurons have yet to part, as on exclusive or, the loss hardly falls for a hundred epochs, and then it does."""
TOLD_APART = 0.001
"""Converged too: a loss, in nats, at which the rows are told apart, and which would fall for ever."""


class Weights(NamedTuple):
    """All that the network learns. A gradient has the same four shapes, so it is a `Weights` too."""

    W1: Float64[np.ndarray, "features hidden"]
    b1: Float64[np.ndarray, " hidden"]
    W2: Float64[np.ndarray, "hidden 1"]
    b2: Float64[np.ndarray, "1"]


class Pass(NamedTuple):
    """One forward pass: what it was given and what it found on the way. The backward pass needs them all."""

    X: Float64[np.ndarray, "rows features"]
    A1: Float64[np.ndarray, "rows hidden"]
    Z2: Float64[np.ndarray, "rows 1"]


class Epoch(NamedTuple):
    """Where training stands after a pass over all rows: the weights, and the loss on all rows with them."""

    weights: Weights
    loss: float


def sigmoid(z: Float64[np.ndarray, "..."]) -> Float64[np.ndarray, "..."]:
    """1 / (1 + e^-z), written as (1 + tanh(z / 2)) / 2, the same number: e^-z overflows for z below -709."""
    return (1 + np.tanh(z / 2)) / 2


def initial_weights(features: int, hidden: int, generator: np.random.Generator) -> Weights:
    """W ~ Normal(0, 1 / inputs), inputs = the rows of W; b = 0.

    Random, since equal neurons would have equal gradients and stay equal for ever; small, since a sigmoid
    far from 0 is flat and learns nothing. The variance keeps Z as wide as standardised inputs are.

    Source: LeCun et al. 1998, 'Efficient BackProp', section 4.6.
    """
    return Weights(
        W1=generator.normal(0, features**-0.5, (features, hidden)),
        b1=np.zeros(hidden),
        W2=generator.normal(0, hidden**-0.5, (hidden, 1)),
        b2=np.zeros(1),
    )


def forward(weights: Weights, X: Float64[np.ndarray, "rows features"]) -> Pass:
    """Z1 = X W1 + b1, A1 = sigmoid(Z1), Z2 = A1 W2 + b2; the logits Z2 are ln(p / (1 - p))."""
    W1, b1, W2, b2 = weights
    Z1 = X @ W1 + b1
    A1 = sigmoid(Z1)
    Z2 = A1 @ W2 + b2
    return Pass(X, A1, Z2)


def loss(Z2: Float64[np.ndarray, "rows 1"], y: Int64[np.ndarray, " rows"]) -> float:
    """Binary cross-entropy L = -(1/n) sum_i [y_i ln p_i + (1 - y_i) ln(1 - p_i)], in nats.

    With p = sigmoid(z) a term is ln(1 + e^z) - y z, which takes no logarithm of a p rounded to 0.
    """
    z = Z2[:, 0]
    return float((np.logaddexp(0, z) - y * z).mean())


def backward(weights: Weights, passed: Pass, y: Int64[np.ndarray, " rows"]) -> Weights:
    """The gradient of L: the chain rule, from the loss back to the weights. dV stands for ∂L/∂V.

    Each layer does the same: dW = inputsᵀ dZ and db = sum_i dZ_i for itself, dA = dZ Wᵀ for the layer before.
    sigmoid' = sigmoid (1 - sigmoid); at the output it cancels in the derivative of the loss, p - y is left.

    Source: Rumelhart, Hinton & Williams 1986, 'Learning representations by back-propagating errors', in
    matrices, and with the cross-entropy where they take squares.
    """
    X, A1, Z2 = passed
    n = len(y)

    dZ2 = (sigmoid(Z2) - y[:, None]) / n  # (rows, 1)
    dW2 = A1.T @ dZ2  # (hidden, 1)
    db2 = dZ2.sum(axis=0)  # (1,)

    dA1 = dZ2 @ weights.W2.T  # (rows, hidden)
    dZ1 = dA1 * A1 * (1 - A1)  # (rows, hidden)
    dW1 = X.T @ dZ1  # (features, hidden)
    db1 = dZ1.sum(axis=0)  # (hidden,)

    return Weights(dW1, db1, dW2, db2)


def step(weights: Weights, gradient: Weights, learning_rate: float) -> Weights:
    """W ← W - η ∂L/∂W: gradient descent, the same for all four."""
    return Weights(*(w - learning_rate * dw for w, dw in zip(weights, gradient, strict=True)))


def batches(rows: int, batch_size: int, generator: np.random.Generator) -> list[Int64[np.ndarray, " batch"]]:
    """All row numbers in random order, cut into batches; the last one may be smaller."""
    return np.array_split(generator.permutation(rows), range(batch_size, rows, batch_size))


def train(
    X: Float64[np.ndarray, "rows features"],
    y: Int64[np.ndarray, " rows"],
    hidden: int,
    generator: np.random.Generator,
    *,
    learning_rate: float = LEARNING_RATE,
    batch_size: int = BATCH_SIZE,
    epochs: int,
) -> Iterator[Epoch]:
    """Yields the random start and then every epoch, until the loss has `converged` or there were `epochs`.

    Batches are noise, so that where the rows cannot all be learned the last loss is seldom the lowest: the
    weights to keep are those of the epoch with the lowest loss.

    Raises DataError where the loss overflows, or ends at more than twice the start's: the steps are too long.
    """
    weights = initial_weights(X.shape[1], hidden, generator)
    losses = [loss(forward(weights, X).Z2, y)]
    yield Epoch(weights, losses[0])
    while len(losses) <= epochs and not converged(losses):
        # far too long a step ends in infinities, which the loss shows; NumPy's warnings would say no more
        with np.errstate(over="ignore", invalid="ignore"):
            for batch in batches(len(y), batch_size, generator):
                passed = forward(weights, X[batch])
                gradient = backward(weights, passed, y[batch])
                weights = step(weights, gradient, learning_rate)
            losses.append(loss(forward(weights, X).Z2, y))
        if not np.isfinite(losses[-1]):
            break
        yield Epoch(weights, losses[-1])
    if not losses[-1] <= 2 * losses[0]:  # written so that NaN fails it
        raise DataError(_too_long_steps(losses, learning_rate))


def converged(losses: Sequence[float]) -> bool:
    """Whether the loss has stopped falling: min of the last P losses > (1 - T) · min of all before them.

    P = PATIENCE, T = TOLERANCE. On rows that the network tells apart without an error the loss falls for
    ever, about as 1 / epochs; it then counts as converged below TOLD_APART.
    """
    if losses[-1] < TOLD_APART:
        return True
    before, recent = losses[:-PATIENCE], losses[-PATIENCE:]
    return len(before) > 0 and min(recent) > (1 - TOLERANCE) * min(before)


def _too_long_steps(losses: Sequence[float], learning_rate: float) -> str:
    return (
        f"the loss went from {losses[0]:.3g} to {losses[-1]:.3g} in {len(losses) - 1} epochs at "
        f"learning_rate={learning_rate}, too long a step; try --learning-rate "
        f"{min(learning_rate / 10, LEARNING_RATE):g}"
    )
