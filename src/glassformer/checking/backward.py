"""The checker's own backward pass of a network with one hidden layer, and the known mistakes.

    A1 = sigmoid(X W1 + b1)      p = sigmoid(A1 W2 + b2)      X (n, features), y (n, 1)

    D2 = dL/dZ2      dW2 = A1^T D2      db2 = sum_i D2_i
    D1 = D2 W2^T * A1 (1 - A1)      dW1 = X^T D1      db1 = sum_i D1_i

Source: Rumelhart, Hinton & Williams 1986. Tested against autograd.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from glassformer.checking.parts import Mistake, mistake

ROLES = ("W1", "b1", "W2", "b2")
Weights = Mapping[str, Tensor]


@dataclass(frozen=True)
class Loss:
    """squared: errors, else cross-entropy. factor: of the squares. mean: over the examples, not their sum."""

    squared: bool = False
    factor: float = 1.0
    mean: bool = True

    def __call__(self, p: Tensor, y: Tensor) -> Tensor:
        terms = self.factor * (p - y) ** 2 if self.squared else -(y * p.log() + (1 - y) * (1 - p).log())
        return terms.mean() if self.mean else terms.sum()

    @property
    def told(self) -> str:
        kind = "cross-entropy" if not self.squared else "squared error"
        return f"{kind}, {'mean' if self.mean else 'sum'}" + ("" if self.factor == 1 else ", halved")


LOSSES = (
    Loss(), Loss(squared=True), Loss(squared=True, factor=0.5),
    Loss(mean=False), Loss(squared=True, factor=0.5, mean=False), Loss(squared=True, mean=False),
)  # fmt: skip


def hidden(weights: Weights, X: Tensor) -> Tensor:
    return torch.sigmoid(_plus(X @ weights["W1"], weights.get("b1")))


def forward(weights: Weights, X: Tensor) -> Tensor:
    """p (n, 1)."""
    return torch.sigmoid(_plus(hidden(weights, X) @ weights["W2"], weights.get("b2")))


def _plus(z: Tensor, bias: Tensor | None) -> Tensor:
    return z if bias is None else z + bias


def _derivative(A: Tensor) -> Tensor:
    return A * (1 - A)


def _at_activation(A: Tensor) -> Tensor:
    """The derivative taken at the activation, not at what it is the sigmoid of."""
    return _derivative(torch.sigmoid(A))


def _once(A: Tensor) -> Tensor:
    return torch.ones_like(A)


@dataclass(frozen=True)
class Backward:
    """hidden, output: derivatives, given the activations. output is None where the loss's own is meant.

    scale: of a gradient, by role, n and whether the loss is a mean. sum: of a layer's errors, for a bias.
    through: whether errors come back through W2. updated: through a W2 that was updated already.
    """

    loss: Loss
    hidden: Callable[[Tensor], Tensor] = _derivative
    output: Callable[[Tensor], Tensor] | None = None
    scale: Callable[[str, int, bool], float] = lambda role, n, mean: 1 / n if mean else 1.0
    sum: Callable[[Tensor], Tensor] = lambda errors: errors.sum(0)
    transposed: tuple[str, ...] = ()
    through: bool = True
    updated: bool = False
    sign: float = 1.0

    def __call__(self, weights: Weights, X: Tensor, y: Tensor, rate: float) -> dict[str, Tensor]:
        """Gradients by role."""
        A1, p = hidden(weights, X), forward(weights, X)
        output = self.output or (_derivative if self.loss.squared else _once)
        factor = 2 * self.loss.factor if self.loss.squared else 1.0

        def scaled(role: str) -> float:
            return self.sign * factor * self.scale(role, len(X), self.loss.mean)

        D2 = (p - y) * output(p)
        dW2 = scaled("W2") * A1.T @ D2
        W2 = weights["W2"] - rate * dW2 if self.updated else weights["W2"]
        D1 = D2 @ W2.T if self.through else D2.expand(-1, len(W2))
        D1 = D1 * self.hidden(A1)
        found = {
            "W1": scaled("W1") * X.T @ D1,
            "b1": scaled("b1") * self.sum(D1),
            "W2": dW2,
            "b2": scaled("b2") * self.sum(D2),
        }
        return {role: each.T if role in self.transposed else each for role, each in found.items()}


def _divided(*roles: str) -> Callable[[str, int, bool], float]:
    return lambda role, n, mean: 1 / n if role in roles else 1.0


def _mistakes() -> Iterator[Mistake]:
    yield mistake("hidden-derivative-forgotten", hidden=_once)
    yield mistake("derivative-at-activation", hidden=_at_activation)
    yield mistake("derivative-at-activation", hidden=_at_activation, output=_at_activation)
    yield mistake("output-derivative-forgotten", output=_once)
    yield mistake("output-derivative-extra", output=_derivative)
    for roles in ((), ("W2", "b2"), ("W1", "b1"), ("W1", "W2"), ("b1", "b2")):
        yield mistake("gradient-not-averaged", scale=_divided(*roles))
    yield mistake("gradient-averaged-twice", scale=lambda role, n, mean: 1 / n**2)
    yield mistake("weights-transposed", transposed=("W1",))
    yield mistake("output-weights-left-out", through=False)
    yield mistake("bias-gradient-not-summed", sum=lambda errors: errors)
    yield mistake("bias-gradient-not-summed", sum=lambda errors: errors.sum(1))
    yield mistake("bias-gradient-not-summed", sum=lambda errors: errors.mean(0))
    yield mistake("bias-gradient-not-summed", sum=lambda errors: errors[0])
    yield mistake("gradient-of-updated-weights", updated=True)
    yield mistake("gradient-ascent", sign=-1.0)


MISTAKES: tuple[Mistake, ...] = tuple(_mistakes())
