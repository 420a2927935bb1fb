"""The two sides that are compared are one model, begun alike; what differs is whose code computes it."""

import importlib
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.pretrained import find
from glassformer.pretrained.loading import with_sizes
from glassformer.tasks import find_task
from tests.pretrained.published import tiny_bert


def test_both_sides_begin_as_the_same_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    finetuning = importlib.import_module("finetuning")
    folder = tiny_bert(tmp_path / "bert", "a film of rare warmth and no wit")
    given = PretrainedClassifierConfig(pretrained=str(folder), classes=2, dropout=0.0)
    config = with_sizes(given, find(str(folder)))
    ids = torch.tensor([[2, 5, 6, 7, 3], [2, 9, 3, 0, 0]])
    logits = {}
    for side in ("ours", "random", "transformers"):
        name, more = finetuning.SIDES[side]
        task = find_task(name)
        torch.manual_seed(0)
        model = task.build_model(config)
        if not more:
            task.load_published(model, SimpleNamespace(model=config), print)
        logits[side] = model.eval()(ids, ids != 0)
    torch.testing.assert_close(logits["ours"], logits["transformers"], rtol=1e-5, atol=1e-6)
    assert not torch.allclose(logits["ours"], logits["random"], rtol=1e-3, atol=1e-4)
