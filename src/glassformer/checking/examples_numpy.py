"""Examples: a network of one hidden layer, and what a mistake makes of its gradients."""

from collections.abc import Callable

from torch import Tensor

from glassformer.checking.backward import MISTAKES, Backward, Loss
from glassformer.checking.example_sides import Sides, floats, table
from glassformer.checking.parts import with_mistakes

X, Y = floats([1, 2], [3, -1]), floats([1], [0])
WEIGHTS = {
    "W1": floats([0.5, -1], [1, 0.5]), "b1": floats([0, 0])[0], "W2": floats([1], [-2]), "b2": floats([0])[0],
}  # fmt: skip
GIVEN = "x = [1 2], [3 -1]; y = 1, 0; W1 = [0.5 -1], [1 0.5]; W2 = [1], [-2]"
RATE = 1.0


def gradients(squared: bool = False, *slugs: str) -> dict[str, Tensor]:
    """By role, of the mean cross-entropy or of half the mean squared error; with these mistakes."""
    right = Backward(Loss(squared, factor=0.5 if squared else 1.0))
    return with_mistakes(right, MISTAKES, *slugs)(WEIGHTS, X, Y, RATE)


def _of(slug: str, role: str = "W1", squared: bool = False, more: str = "", digits: int = 2) -> Sides:
    right, wrong = (gradients(squared, *slugs)[role] for slugs in ((), (slug,)))
    shown = [table(each.T if role == "W2" else each, digits) for each in (right, wrong)]
    return Sides(f"{GIVEN}{more}; d{role}", *shown)


ABOUT_W1 = (
    "hidden-derivative-forgotten",
    "derivative-at-activation",
    "output-weights-left-out",
    "gradient-not-averaged",
    "gradient-averaged-twice",
    "gradient-ascent",
)
EXAMPLES: dict[str, Callable[[], Sides]] = {
    **{slug: (lambda slug=slug: _of(slug)) for slug in ABOUT_W1},
    "output-derivative-forgotten": lambda: _of(
        "output-derivative-forgotten", "W2", squared=True, more="; squared error"
    ),
    "output-derivative-extra": lambda: _of("output-derivative-extra", "W2", more="; cross-entropy"),
    "bias-gradient-not-summed": lambda: _of("bias-gradient-not-summed", "b1"),
    "gradient-of-updated-weights": lambda: _of("gradient-of-updated-weights", digits=3),
}
