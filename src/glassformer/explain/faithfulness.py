"""Is an attribution true to the model? Deletion curves, beside deleting in a random order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from glassformer.evaluation import student_interval
from glassformer.explain.attribution import gradient_x_input, integrated_gradients
from glassformer.explain.capture import attention_places
from glassformer.explain.questions import Question, SequenceQuestion
from glassformer.explain.rollout import attention_rollout, cross_attention
from glassformer.models.encoder_decoder import EncoderDecoder
from glassformer.progress import with_progress

ROLLOUT, CROSS = "attention rollout", "cross-attention"
GRADIENT, INTEGRATED = "gradient x input", "integrated gradients"
FUNCTIONS = {
    ROLLOUT: attention_rollout,
    CROSS: cross_attention,
    GRADIENT: gradient_x_input,
    INTEGRATED: integrated_gradients,
}
LITTLE = 0.05
"""A gain below this share of the area under the random order's curve is called little, however sure it is."""
DRAWS = 5
"""Random orders of each row."""
MOST_STEPS = 10
"""Points of a curve but the first; inputs of fewer parts have one a part."""
TOGETHER = 1 << 12
"""Parts at once, padding included: it bounds the memory."""


@dataclass(frozen=True)
class Faithfulness:
    """The deletion curve of one attribution, and how it differs from a random order.

    curve, random: the mean probability of the answer when this share of the parts, `shares`, is deleted, the
    most important first. gain: area under random minus area under curve, a mean over examples; interval: 95%,
    Student's t over the paired differences.
    """

    name: str
    shares: list[float]
    curve: list[float]
    random: list[float]
    gain: float
    interval: tuple[float, float]
    examples: int

    @property
    def verdict(self) -> str:
        """better, little (better, by less than LITTLE), chance or worse: where the interval lies."""
        low, high = self.interval
        if low > 0:
            return "better" if self.share >= LITTLE else "little"
        return "worse" if high < 0 else "chance"

    @property
    def share(self) -> float:
        """`gain` as a share of the area under the random order's curve; 0 where there is none."""
        area = float(np.trapezoid(self.random, self.shares))
        return self.gain / area if area else 0.0

    @property
    def sentence(self) -> str:
        """What the curve says, for people."""
        low, high = self.interval
        figures = (
            f"area between the curves {self.gain:+.3g}, 95% interval {low:+.3g} to {high:+.3g}, "
            f"{self.examples:,} validation examples"
        )
        if self.verdict == "better":
            return (
                f"{self.name}: deleting what it marks lowers the probability of the answer more than "
                f"deleting at random ({figures}), so it points at what the model uses."
            )
        if self.verdict == "little":
            return (
                f"{self.name}: little better than chance. Deleting what it marks lowers the probability of "
                f"the answer more than deleting at random, by {self.share:.1%} of the random curve's area "
                f"({figures}): read its picture with care."
            )
        if self.verdict == "worse":
            return (
                f"{self.name}: worse than chance. Deleting what it marks lowers the probability of the "
                f"answer less than deleting at random ({figures}): do not read its picture as the reason."
            )
        return (
            f"{self.name}: no better than chance. Deleting what it marks lowers the probability of the "
            f"answer no more than deleting at random ({figures}): do not read its picture as the reason."
        )


def methods(model: object) -> list[str]:
    """The attributions that a model has: those by attention only where it has any."""
    if isinstance(model, EncoderDecoder):
        return [CROSS, GRADIENT, INTEGRATED]
    assert isinstance(model, torch.nn.Module)
    return [ROLLOUT, GRADIENT, INTEGRATED] if attention_places(model) else [GRADIENT, INTEGRATED]


def attribute(name: str, question: Question) -> Float[Tensor, "rows parts"]:
    """One of `methods`, by name."""
    return FUNCTIONS[name](question)  # pyrefly: ignore[bad-argument-type]


def in_pieces(question: Question, parts: int = TOGETHER) -> list[Question]:
    """The same rows, in their order, as few at once as the memory allows."""
    rows = max(1, parts // max(1, question.real.shape[1]))
    return [question.take(slice(i, i + rows)) for i in range(0, len(question), rows)]


def measure_faithfulness(questions: Sequence[Question], *, seed: int) -> list[Faithfulness]:
    """Of every attribution of the model, over these questions. Raises ValueError for fewer than two examples.

    The rows of a sequence, its written tokens, are averaged before examples are compared: they are no
    independent draws.
    """
    pieces = [piece for question in questions for piece in in_pieces(question)]
    if not pieces:
        raise ValueError("there is nothing to measure on; give two examples or more")
    names = methods(pieces[0].model)
    steps = min(MOST_STEPS, max(int(piece.real.sum(1).max()) for piece in pieces))
    generator = torch.Generator().manual_seed(seed)
    of_method: dict[str, list[np.ndarray]] = {name: [] for name in names}
    at_random: list[np.ndarray] = []
    total = sum(len(piece) for piece in pieces)
    for piece in with_progress(pieces, len, total, "deleting what is marked"):
        for name in names:
            of_method[name].append(deletion_curve(piece, attribute(name, piece), steps))
        draws = [
            deletion_curve(piece, torch.rand(piece.real.shape, generator=generator), steps)
            for _ in range(DRAWS)
        ]
        at_random.append(np.mean(draws, axis=0))
    examples = _example_numbers(questions)
    random = _by_example(np.concatenate(at_random), examples)
    shares = [step / steps for step in range(steps + 1)]
    return [
        _compared(name, shares, _by_example(np.concatenate(of_method[name]), examples), random)
        for name in names
    ]


@torch.no_grad()
def deletion_curve(
    question: Question, attribution: Float[Tensor, "rows parts"], steps: int
) -> Float[np.ndarray, "rows points"]:
    """The probability of each row's answer when the first 0, 1/steps, ... 1 of its parts are deleted.

    The parts with the largest attribution go first, of equals the earlier one; a share of parts is rounded.
    Source: Petsiuk et al. 2018, 'RISE', section 4.1; of texts, DeYoung et al. 2020, 'ERASER', section 5.
    """
    ranked = attribution.to(question.real.device).masked_fill(~question.real, -torch.inf)
    rank = ranked.argsort(dim=1, descending=True, stable=True).argsort(dim=1)
    parts = question.real.sum(1, keepdim=True)
    points = []
    for step in range(steps + 1):
        deleted = rank < (parts * step / steps + 0.5).floor()
        points.append(question.probability(None if step == 0 else question.real & ~deleted))
    return torch.stack(points, dim=1).cpu().numpy()


def _example_numbers(questions: Sequence[Question]) -> np.ndarray:
    numbers, first = [], 0
    for question in questions:
        if isinstance(question, SequenceQuestion):
            own = question.example.cpu().numpy()
        else:
            own = np.arange(len(question))
        numbers.append(own + first)
        first += 1 + int(own.max(initial=-1))
    return np.concatenate(numbers)


def _by_example(rows: np.ndarray, examples: np.ndarray) -> np.ndarray:
    """The mean of each example's rows."""
    _, places = np.unique(examples, return_inverse=True)
    sums = np.zeros((places.max() + 1, rows.shape[1]))
    np.add.at(sums, places, rows)
    return sums / np.bincount(places)[:, None]


def _compared(name: str, shares: list[float], own: np.ndarray, random: np.ndarray) -> Faithfulness:
    gains = np.trapezoid(random, shares, axis=1) - np.trapezoid(own, shares, axis=1)
    low, high = student_interval(gains)
    return Faithfulness(
        name,
        shares,
        own.mean(0).tolist(),
        random.mean(0).tolist(),
        float(gains.mean()),
        (low, high),
        len(gains),
    )
