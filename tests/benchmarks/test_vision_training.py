"""The two sides that are compared with a CLS token are one function of the same parameters."""

import importlib
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from glassformer.models.vision_transformer import VisionTransformer
from glassformer.pretrained.mapping import written
from glassformer.pretrained.tables import LAYOUTS


def test_ours_with_a_cls_token_is_their_vit(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    benchmark = importlib.import_module("vision_training")
    monkeypatch.setattr(benchmark, "LAYERS", 2)
    torch.manual_seed(0)
    built = benchmark.build(benchmark.VARIANTS["ours with a CLS token, tiled"])
    theirs = benchmark.build(benchmark.VARIANTS["transformers sdpa"]).vit
    # theirs has another eps in its layer norms, which costs nothing
    ours = VisionTransformer(replace(built.config, eps=theirs.config.layer_norm_eps)).double()
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
    torch.testing.assert_close(ours(images), theirs(images).logits, rtol=1e-5, atol=1e-5)
