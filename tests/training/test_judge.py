"""Answers are those of the model, whatever is made of it to compute them faster."""

import numpy as np
import pytest
import torch

from glassformer.data.batches import TextBatches
from glassformer.data.encoded import Encoded, Examples
from glassformer.models.configs import TextClassifierConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.nn.packed import PackedLinear, can_pack
from glassformer.tasks import find_task
from glassformer.training.judge import answers
from glassformer.training.machine import Machine

LENGTHS = [3, 11, 7, 2, 13]


def some_examples() -> Examples:
    ids = np.random.default_rng(0).integers(2, 23, sum(LENGTHS))
    none = np.zeros(len(LENGTHS), dtype=np.int64)
    return Examples(
        Encoded(ids, np.cumsum([0, *LENGTHS]), none.astype(np.uint64)), np.arange(len(LENGTHS)), none
    )


def test_in_bf16_they_are_near_those_in_fp32(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = {"vocab": 23, "d_model": 12, "heads": 3, "d_ff": 20, "layers": 2, "max_tokens": 17}
    model = TextClassifier(TextClassifierConfig(**sizes, classes=2, attention="tiled"))
    if not can_pack(model):
        pytest.skip("no products in bf16 here")
    used: list[int] = []
    forward = PackedLinear.forward
    monkeypatch.setattr(PackedLinear, "forward", lambda self, x: used.append(1) or forward(self, x))
    task, examples = find_task("imdb"), some_examples()

    def said(precision: str) -> np.ndarray:
        machine = Machine(torch.device("cpu"), precision, 1)
        return answers(task, model, TextBatches(examples, 2), machine)

    said("bf16")
    assert not used  # packing costs more than a few examples save
    monkeypatch.setattr("glassformer.training.judge.PACKED_FROM", len(LENGTHS))
    exact = said("fp32")
    assert not used
    near = said("bf16")
    assert used
    np.testing.assert_allclose(near, exact, atol=0.03)
    assert np.ptp(exact, axis=0).max() > 0.1  # or the answers of other examples would pass
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
