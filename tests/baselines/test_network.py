"""The network written out: its gradients are autograd's, and seeded mistakes in them are noticed."""

import subprocess
import sys
from collections.abc import Callable

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from glassformer.baselines import network
from glassformer.baselines.network import (
    Pass,
    Weights,
    backward,
    forward,
    initial_weights,
    loss,
    sigmoid,
    step,
)
from glassformer.errors import DataError

Backward = Callable[[Weights, Pass, np.ndarray], Weights]
ROWS, FEATURES, HIDDEN = 11, 5, 7
TOLERANCE = 1e-10


def example(rows: int = ROWS, features: int = FEATURES, hidden: int = HIDDEN, seed: int = 0):
    """Weights with biases that are not zero, features and labels of both classes."""
    generator = np.random.default_rng(seed)
    weights = Weights(
        *(w + generator.normal(size=w.shape) for w in initial_weights(features, hidden, generator))
    )
    y = generator.integers(2, size=rows)
    y[0] = 1 - y[-1]
    return weights, generator.normal(size=(rows, features)), y


def autograd(weights: Weights, X: np.ndarray, y: np.ndarray) -> tuple[float, list[np.ndarray]]:
    """Loss and gradients by torch, from its own sigmoid and its own cross-entropy."""
    leaves = [torch.tensor(w, dtype=torch.float64, requires_grad=True) for w in weights]
    W1, b1, W2, b2 = leaves
    logits = torch.sigmoid(torch.from_numpy(X) @ W1 + b1) @ W2 + b2
    value = torch.nn.functional.binary_cross_entropy_with_logits(logits[:, 0], torch.from_numpy(y).double())
    return value.item(), [grad.numpy() for grad in torch.autograd.grad(value, leaves)]


def assert_equals_autograd(candidate: Backward) -> None:
    """Every parameter's gradient, at sizes that are all distinct and prime."""
    weights, X, y = example()
    _, expected = autograd(weights, X, y)
    for name, found, true in zip(
        Weights._fields, candidate(weights, forward(weights, X), y), expected, strict=True
    ):
        assert found.shape == true.shape, name
        assert np.abs(found - true).max() <= TOLERANCE, name


def assert_equals_finite_differences(candidate: Backward) -> None:
    """(L(w + h) - L(w - h)) / 2h for every single number among the weights."""
    weights, X, y = example()
    h = 1e-5
    for place, found in enumerate(candidate(weights, forward(weights, X), y)):
        assert found.shape == weights[place].shape
        for index in np.ndindex(found.shape):
            values = []
            for sign in (1, -1):
                moved = [w.copy() for w in weights]
                moved[place][index] += sign * h
                values.append(loss(forward(Weights(*moved), X).Z2, y))
            assert abs(found[index] - (values[0] - values[1]) / (2 * h)) < 1e-8


def test_gradients_equal_autograds() -> None:
    assert_equals_autograd(backward)


def test_gradients_equal_finite_differences() -> None:
    assert_equals_finite_differences(backward)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 13), st.integers(1, 7), st.integers(1, 11), st.integers(0, 2**32 - 1))
def test_loss_and_gradients_equal_autograds_at_any_size(
    rows: int, features: int, hidden: int, seed: int
) -> None:
    weights, X, y = example(rows, features, hidden, seed)
    passed = forward(weights, X)
    value, expected = autograd(weights, X, y)
    assert loss(passed.Z2, y) == pytest.approx(value, abs=TOLERANCE)
    for found, true in zip(backward(weights, passed, y), expected, strict=True):
        np.testing.assert_allclose(found, true, rtol=0, atol=TOLERANCE)


# --- seeded mistakes --------------------------------------------------------------------------------------


def with_mistake(change: Callable[..., dict[str, np.ndarray]]) -> Backward:
    """`backward` with some of its gradients replaced: change(weights, passed, y, n, dZ2, dZ1) names which."""

    def wrong(weights: Weights, passed: Pass, y: np.ndarray) -> Weights:
        n = len(y)
        dZ2 = (sigmoid(passed.Z2) - y[:, None]) / n
        dZ1 = dZ2 @ weights.W2.T * passed.A1 * (1 - passed.A1)
        return backward(weights, passed, y)._replace(**change(weights, passed, y, n, dZ2, dZ1))

    return wrong


def all_times(factor: Callable[[int], float]) -> Backward:
    def wrong(weights: Weights, passed: Pass, y: np.ndarray) -> Weights:
        return Weights(*(dw * factor(len(y)) for dw in backward(weights, passed, y)))

    return wrong


def first_layer_from(dZ1_of: Callable[..., np.ndarray]) -> Backward:
    def change(weights, passed, y, n, dZ2, dZ1):
        wrong = dZ1_of(weights, passed, dZ2)
        return {"W1": passed.X.T @ wrong, "b1": wrong.sum(axis=0)}

    return with_mistake(change)


def squared_error(weights: Weights, passed: Pass, y: np.ndarray) -> Weights:
    p = sigmoid(passed.Z2)
    dZ2 = (p - y[:, None]) * p * (1 - p) / len(y)
    dZ1 = dZ2 @ weights.W2.T * passed.A1 * (1 - passed.A1)
    return Weights(passed.X.T @ dZ1, dZ1.sum(axis=0), passed.A1.T @ dZ2, dZ2.sum(axis=0))


MISTAKES: dict[str, Backward] = {
    "no 1/n": all_times(lambda n: n),
    "1/n twice": all_times(lambda n: 1 / n),
    "wrong sign": all_times(lambda n: -1.0),
    "half": all_times(lambda n: 0.5),
    "no sigmoid'": first_layer_from(lambda weights, passed, dZ2: dZ2 @ weights.W2.T),
    "sigmoid for sigmoid'": first_layer_from(lambda weights, passed, dZ2: dZ2 @ weights.W2.T * passed.A1),
    "sigmoid' of the activation": first_layer_from(
        lambda weights, passed, dZ2: dZ2 @ weights.W2.T * sigmoid(passed.A1) * (1 - sigmoid(passed.A1))
    ),
    "hidden layer not weighted by W2": first_layer_from(
        lambda weights, passed, dZ2: dZ2 * passed.A1 * (1 - passed.A1)
    ),
    "sigmoid' kept at the output": squared_error,
    "no gradient of b1": with_mistake(lambda weights, *_: {"b1": np.zeros_like(weights.b1)}),
    "no gradient of b2": with_mistake(lambda weights, *_: {"b2": np.zeros_like(weights.b2)}),
    "mean for the sum in b1": with_mistake(lambda w, p, y, n, dZ2, dZ1: {"b1": dZ1.mean(axis=0)}),
    "product of W1 transposed": with_mistake(lambda w, p, y, n, dZ2, dZ1: {"W1": (p.X.T @ dZ1).T}),
    "product of W2 transposed": with_mistake(lambda w, p, y, n, dZ2, dZ1: {"W2": (p.A1.T @ dZ2).T}),
    "W2 from the wrong layer's inputs": with_mistake(lambda w, p, y, n, dZ2, dZ1: {"W2": 1 - p.A1.T @ dZ2}),
    "first row alone": with_mistake(lambda w, p, y, n, dZ2, dZ1: {"W1": p.X[:1].T @ dZ1[:1]}),
}  # fmt: skip


def test_what_the_mistakes_are_made_of_is_right() -> None:
    right = with_mistake(lambda w, p, y, n, dZ2, dZ1: {
        "W1": p.X.T @ dZ1, "b1": dZ1.sum(axis=0), "W2": p.A1.T @ dZ2, "b2": dZ2.sum(axis=0)})  # fmt: skip
    for candidate in (right, all_times(lambda n: 1.0)):
        assert_equals_autograd(candidate)


@pytest.mark.parametrize("name", MISTAKES)
def test_a_seeded_mistake_is_noticed(name: str) -> None:
    for comparison in (assert_equals_autograd, assert_equals_finite_differences):
        with pytest.raises(AssertionError):
            comparison(MISTAKES[name])


# --- the parts --------------------------------------------------------------------------------------------


def test_sigmoid_is_its_formula_and_never_overflows() -> None:
    z = np.linspace(-20, 20, 101)
    np.testing.assert_allclose(sigmoid(z), 1 / (1 + np.exp(-z)), rtol=0, atol=1e-15)
    with np.errstate(all="raise"):
        assert sigmoid(np.array([-1e4, 0.0, 1e4])).tolist() == [0, 0.5, 1]


def test_loss_is_the_cross_entropy_and_never_overflows() -> None:
    z, y = np.array([-3.0, 0.5, 2.0]), np.array([0, 1, 0])
    p = sigmoid(z)
    expected = -np.mean(y * np.log(p) + (1 - y) * np.log(1 - p))
    assert loss(z[:, None], y) == pytest.approx(expected)
    with np.errstate(over="raise", invalid="raise", divide="raise"):
        assert loss(np.array([[-1e4], [1e4]]), np.array([1, 0])) == 1e4


def test_initial_weights_are_random_small_and_by_the_seed() -> None:
    weights = initial_weights(400, 300, np.random.default_rng(0))
    assert weights.W1.std() == pytest.approx(400**-0.5, rel=0.02)
    assert weights.W2.std() == pytest.approx(300**-0.5, rel=0.2)
    assert not weights.b1.any()
    assert not weights.b2.any()
    assert len(np.unique(weights.W1)) == weights.W1.size, "equal neurons stay equal"
    again = initial_weights(400, 300, np.random.default_rng(0))
    assert (weights.W1 == again.W1).all()


def test_equal_neurons_stay_equal() -> None:
    """Why the start is random: without that, all hidden neurons learn the same."""
    _, X, y = example()
    weights = Weights(np.ones((FEATURES, HIDDEN)), np.zeros(HIDDEN), np.ones((HIDDEN, 1)), np.zeros(1))
    for _ in range(20):
        weights = step(weights, backward(weights, forward(weights, X), y), 0.5)
    assert np.ptp(weights.W1, axis=1).max() < 1e-12


@settings(max_examples=25, deadline=None)
@given(st.integers(0, 2**32 - 1))
def test_a_small_step_lowers_the_loss(seed: int) -> None:
    weights, X, y = example(seed=seed)
    passed = forward(weights, X)
    after = step(weights, backward(weights, passed, y), 1e-3)
    assert loss(forward(after, X).Z2, y) < loss(passed.Z2, y)


@settings(max_examples=25, deadline=None)
@given(st.integers(1, 60), st.integers(1, 70))
def test_batches_hold_every_row_once(rows: int, size: int) -> None:
    found = network.batches(rows, size, np.random.default_rng(0))
    assert sorted(np.concatenate(found).tolist()) == list(range(rows))
    assert all(len(batch) == size for batch in found[:-1])
    assert 1 <= len(found[-1]) <= size


def test_batches_are_in_random_order() -> None:
    generator = np.random.default_rng(0)
    first, second = (np.concatenate(network.batches(50, 7, generator)).tolist() for _ in range(2))
    assert first != second != list(range(50))


def test_converged_looks_at_the_lowest_losses() -> None:
    falling = [1.0 / (epoch + 1) for epoch in range(900)]
    assert not network.converged(falling)
    assert not network.converged([*falling, *[0.0011] * (network.PATIENCE // 2)])
    assert network.converged([*falling, *[0.0011] * network.PATIENCE])
    assert not network.converged([1.0] * network.PATIENCE), "there is nothing before them yet"
    assert network.converged([1.0, 0.9 * network.TOLD_APART]), "told apart, it would fall for ever"
    # a jump is neither progress nor its end
    assert not network.converged([*falling[:850], 9.0, *falling[850:]])


# --- training ---------------------------------------------------------------------------------------------


def exclusive_or() -> tuple[np.ndarray, np.ndarray]:
    """One class where the two signs are equal: no line parts them."""
    X = np.random.default_rng(0).normal(size=(200, 2))
    return X, (X[:, 0] * X[:, 1] > 0).astype(np.int64)


def test_learns_what_no_line_can_part() -> None:
    X, y = exclusive_or()
    *_, last = network.train(X, y, 8, np.random.default_rng(0), learning_rate=3, batch_size=16, epochs=150)
    right = (forward(last.weights, X).Z2[:, 0] > 0) == y
    assert right.mean() > 0.9


def test_waits_where_the_loss_hardly_falls_at_first() -> None:
    """At the defaults exclusive or has a plateau of some hundred epochs, near the loss of a guess."""
    X, y = exclusive_or()
    losses, last = [], None
    for last in network.train(X, y, 8, np.random.default_rng(0), epochs=1500):
        losses.append(last.loss)
    assert min(losses[:60]) > 0.95 * np.log(2), "or there is no plateau to wait on"
    assert last is not None
    assert ((forward(last.weights, X).Z2[:, 0] > 0) == y).mean() > 0.9


def test_training_is_by_the_seed_and_ends_with_the_epochs() -> None:
    X, y = exclusive_or()
    runs = [
        [epoch.loss for epoch in network.train(X, y, 3, np.random.default_rng(seed), epochs=4)]
        for seed in (1, 1, 2)
    ]
    assert [len(run) for run in runs] == [5, 5, 5]
    assert runs[0] == runs[1] != runs[2]


def test_training_stops_once_it_has_converged() -> None:
    """Labels of coin flips: there is next to nothing to learn."""
    generator = np.random.default_rng(0)
    X, y = generator.normal(size=(300, 1)), generator.integers(2, size=300)
    losses = [epoch.loss for epoch in network.train(X, y, 1, generator, epochs=2500)]
    assert network.PATIENCE < len(losses) < 2000
    assert network.converged(losses)
    assert losses[-1] == pytest.approx(np.log(2), abs=0.02)


@pytest.mark.parametrize(
    ("rate", "message"),
    [(1e3, "at learning_rate=1000.0, too long a step; try --learning-rate 0.5"),
     (1e308, "to (nan|inf) in 1 epochs at learning_rate=1e[+]308")],
)  # fmt: skip
@pytest.mark.filterwarnings("error")
def test_too_long_steps_are_refused(rate: float, message: str) -> None:
    X, y = exclusive_or()
    with pytest.raises(DataError, match=message):
        list(network.train(X, y, 8, np.random.default_rng(0), learning_rate=rate, epochs=200))


def test_is_numpy_alone() -> None:
    code = (
        "import sys, glassformer.baselines.network; "
        "assert not {'torch', 'sklearn', 'scipy'} & set(sys.modules), 'NumPy alone'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
