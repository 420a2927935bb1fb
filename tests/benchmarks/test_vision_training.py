"""The two sides that are compared with a CLS token are one function of the same parameters."""

import importlib
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassformer.pretrained.mapping import written
from glassformer.pretrained.tables import LAYOUTS


def test_ours_with_a_cls_token_is_their_vit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    benchmark = importlib.import_module("vision_training")
    monkeypatch.setattr(benchmark, "LAYERS", 2)
    torch.manual_seed(0)
    ours = benchmark.build(benchmark.VARIANTS["ours with a CLS token, tiled"]).double()
    theirs = benchmark.build(benchmark.VARIANTS["transformers sdpa"]).vit
    for parameter in ours.parameters():
        parameter.data.normal_(std=0.1)
    theirs.save_pretrained(tmp_path)
    file = tmp_path / "model.safetensors"
    shapes = {name: each.shape for name, each in load_file(file).items()}
    weights = written(ours, "vit", LAYOUTS["vit"].classifier)
    save_file(
        {name: weights[name].float().reshape(shape) for name, shape in shapes.items()},
        file,
        metadata={"format": "pt"},
    )
    theirs = type(theirs).from_pretrained(tmp_path).double().eval()
    images = torch.rand(3, 3, 32, 32, dtype=torch.float64) * 2 - 1
    logits = [ours(images), theirs(images).logits]
    torch.testing.assert_close(*logits, rtol=1e-5, atol=1e-5)
    tokens = (ours.cls, theirs.vit.embeddings.cls_token)
    gradients = [
        torch.autograd.grad(each.sin().sum(), token)[0].flatten()
        for each, token in zip(logits, tokens, strict=True)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-5, atol=1e-5)
