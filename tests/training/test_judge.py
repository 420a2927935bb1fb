"""Answers are those of the model, whatever is made of it to compute them faster."""

from pathlib import Path

import numpy as np
import pytest
import torch

from glassformer.data.batches import TextBatches
from glassformer.data.encoded import Encoded, Examples
from glassformer.models.configs import TextClassifierConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.nn.packed import PackedLinear, can_pack
from glassformer.tasks import find_task
from glassformer.training.judge import answers, print_table
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


@pytest.mark.parametrize(("classes", "shown"), [(2, "70%"), (10, "25%")])
def test_an_accuracy_that_guessing_has_is_none_to_be_passed(
    classes: int, shown: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = {"accuracy": 0.8, "accuracy_ci95": [0.7, 0.9], "count": 50, "calibration_error": 0.1,
             "classes": [str(each) for each in range(classes)]}  # fmt: skip
    passed = [{"accuracy": each, "seconds": 3.0, "epoch": 1} for each in (0.05, 0.25, 0.5, 0.7)]
    metrics = {"task": "parity", "parameters": 7, "validation": split, "test": split, "baselines": {},
               "milestones": passed}  # fmt: skip
    print_table(find_task("parity"), metrics, "transformer", "glassformer train parity", tmp_path, [])
    assert f"validation accuracy passed {shown} after 3 s" in capsys.readouterr().out
