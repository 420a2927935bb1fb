"""A graph that is not the model is refused, whatever it does otherwise."""

import copy
from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glassformer.errors import DataError
from glassformer.export.check import TOLERANCE, require_equal
from glassformer.models.configs import TextClassifierConfig, VisionTransformerConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.models.vision_transformer import VisionTransformer
from tests.export.test_graph import IMAGE, LONGEST, TEXT, randomised

CONFIG = TextClassifierConfig(layers=1, positions="learned", pool="cls", **TEXT)


class Otherwise(nn.Module):
    def __init__(self, compute: Callable[[Tensor, Tensor | None], Tensor]) -> None:
        super().__init__()
        self.compute = compute

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        return self.compute(ids, mask)


def changed_weight(model: Any) -> nn.Module:
    other = copy.deepcopy(model)
    other.blocks[0].feed_forward.expand.weight.data[3, 5] += 0.05
    return other


def cut_at(tokens: int) -> Callable[[Any], Any]:
    return lambda model: lambda ids, mask: model(ids[:, :tokens], maybe(lambda m: m[:, :tokens], mask))


def maybe(change: Callable[[Tensor], Tensor], mask: Tensor | None) -> Tensor | None:
    return None if mask is None else change(mask)


MISTAKES: dict[str, Callable[[Any], Any]] = {
    "the mask is ignored": lambda model: lambda ids, mask: model(ids),
    "the mask is turned round": lambda model: lambda ids, mask: model(ids, maybe(torch.logical_not, mask)),
    "a weight changed": changed_weight,
    "one batch size only": lambda model: (
        lambda ids, mask: model(ids[:1], maybe(lambda rows: rows[:1], mask)).expand(len(ids), -1)
    ),
    "the longest input": cut_at(LONGEST - 1),
    "one token only": cut_at(1),
    "tokens reversed": lambda model: lambda ids, mask: model(ids.flip(1), maybe(lambda m: m.flip(1), mask)),
    "classes reversed": lambda model: lambda ids, mask: model(ids, mask).flip(1),
    "a class missing": lambda model: lambda ids, mask: model(ids, mask)[:, 1:],
    "not a number": lambda model: lambda ids, mask: model(ids, mask) * float("nan"),
    "a little off": lambda model: lambda ids, mask: model(ids, mask) + 20 * TOLERANCE,
}


@pytest.fixture(scope="module")
def model() -> TextClassifier:
    torch.manual_seed(1)
    return randomised(TextClassifier(CONFIG))


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_seen(mistake: str, model: TextClassifier) -> None:
    other = MISTAKES[mistake](model)
    with pytest.raises(
        DataError, match=r"the graph and the model differ by .* on a batch of \d+ x \d+.*nothing"
    ):
        require_equal(model, other if isinstance(other, nn.Module) else Otherwise(other), LONGEST)


def test_the_model_itself_is_equal(model: TextClassifier) -> None:
    checked = require_equal(model, model, LONGEST)
    assert checked.batches > 10
    assert checked.largest == 0
    rounded = Otherwise(lambda ids, mask: model(ids, mask) + 1e-6)
    assert 0 < require_equal(model, rounded, LONGEST).largest < TOLERANCE


def test_images() -> None:
    model = randomised(VisionTransformer(VisionTransformerConfig(layers=1, patch=4, **IMAGE)))
    assert require_equal(model, model, None).batches == 3
    with pytest.raises(DataError, match="on a batch of 1 x 3 x 8 x 12, more than"):
        require_equal(model, Otherwise(lambda images, _: model(images.flip(2))), None)
