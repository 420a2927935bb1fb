"""Deletion curves: known areas, a method that is right, one that is wrong, one that is chance."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pytest
import torch
from scipy import stats
from torch import Tensor

from glassformer.evaluation import student_interval
from glassformer.explain import faithfulness
from glassformer.explain.faithfulness import INTEGRATED, deletion_curve, measure_faithfulness
from glassformer.explain.questions import Question
from tests.explain.hand_built import marked_texts, marker_classifier


@dataclass(frozen=True)
class Known(Question):
    """p = the sum of the weights of the parts that are kept."""

    weights: Tensor

    def logits(self, kept: Tensor | None = None) -> Tensor:
        p = (self.weights * (self.real if kept is None else kept)).sum(1).double()
        return torch.stack([p.log(), (1 - p).log()], dim=1)

    def take(self, rows: Any) -> "Known":
        return replace(self, real=self.real[rows], answer=self.answer[rows], weights=self.weights[rows])

    def without_content(self, x: Tensor) -> Tensor:
        raise NotImplementedError


def test_the_largest_go_first_and_padding_never() -> None:
    weights = torch.tensor([[0.1, 0.5, 0.2, 0.0], [0.3, 0.4, 9.0, 9.0]])
    real = torch.tensor([[True] * 4, [True, True, False, False]])
    asked = Known(None, real, torch.zeros(2, dtype=torch.long), weights)
    curve = deletion_curve(asked, weights, 4)
    # of two parts, half of the first quarter is rounded up to one
    np.testing.assert_allclose(curve, [[0.8, 0.3, 0.1, 0, 0], [0.7, 0.3, 0.3, 0, 0]], atol=1e-7)


def test_a_mechanism_that_is_found_is_better_than_chance() -> None:
    asked, _ = marked_texts(marker_classifier())
    for each in measure_faithfulness([asked], seed=3):
        assert each.verdict == "better", each.sentence
        assert each.examples == len(asked)
        assert "points at what the model uses" in each.sentence


@pytest.mark.parametrize(("sign", "verdict"), [(-1.0, "worse"), (0.0, "chance")])
def test_what_is_no_better_than_chance_is_said_to_be(
    sign: float, verdict: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, _ = marked_texts(marker_classifier(), 60)
    own = faithfulness.FUNCTIONS[INTEGRATED]
    noise = torch.Generator().manual_seed(1)

    def spoiled(question: Question) -> Tensor:
        return sign * own(question) if sign else torch.rand(question.real.shape, generator=noise)

    monkeypatch.setitem(faithfulness.FUNCTIONS, INTEGRATED, spoiled)
    (found,) = (each for each in measure_faithfulness([asked], seed=3) if each.name == INTEGRATED)
    assert found.verdict == verdict
    assert "do not read its picture as the reason" in found.sentence
    assert ("no better than chance" if verdict == "chance" else "worse than chance") in found.sentence


def test_the_same_seed_gives_the_same_curves() -> None:
    asked, _ = marked_texts(marker_classifier())
    assert measure_faithfulness([asked], seed=3) == measure_faithfulness([asked], seed=3)
    assert measure_faithfulness([asked], seed=3) != measure_faithfulness([asked], seed=4)


def test_the_interval_is_that_of_scipy() -> None:
    values = np.random.default_rng(2).normal(size=13)
    wanted = stats.ttest_1samp(values, 0).confidence_interval(0.95)
    assert student_interval(values) == pytest.approx((wanted.low, wanted.high))
    with pytest.raises(ValueError, match="two or more"):
        student_interval(values[:1])


def test_there_must_be_something_to_measure_on() -> None:
    with pytest.raises(ValueError, match="nothing to measure"):
        measure_faithfulness([], seed=0)
