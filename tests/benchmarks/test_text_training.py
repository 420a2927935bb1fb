"""The two sides that are compared in BERT's form are one function of the same parameters."""

import importlib
from pathlib import Path

import pytest
import torch

from glassformer.pretrained.mapping import written
from glassformer.pretrained.tables import LAYOUTS


def test_ours_in_berts_form_is_bert(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    benchmark = importlib.import_module("text_training")
    monkeypatch.setattr(benchmark, "VOCAB", 50)
    torch.manual_seed(0)
    ours = benchmark.build(benchmark.VARIANTS["ours in BERT's form, tiled"]).double()
    theirs = benchmark.build(benchmark.VARIANTS["transformers sdpa"]).double()
    for parameter in ours.parameters():
        parameter.data.normal_(std=0.2)
    weights = written(ours, "bert", LAYOUTS["bert"].classifier)
    theirs.bert.load_state_dict({name: each.double() for name, each in weights.items()}, strict=True)
    mask = torch.arange(9) < torch.tensor([[9], [4], [7]])
    ids = torch.randint(2, 50, mask.shape) * mask
    logits = [model.train()(ids, mask) for model in (ours, theirs)]
    torch.testing.assert_close(*logits, rtol=1e-6, atol=1e-6)
    gradients = [
        torch.autograd.grad(each.sin().sum(), table.weight)[0]
        for each, table in zip(
            logits, (ours.embed.embedding, theirs.bert.bert.embeddings.word_embeddings), strict=True
        )
    ]
    torch.testing.assert_close(*gradients, rtol=1e-6, atol=1e-6)
