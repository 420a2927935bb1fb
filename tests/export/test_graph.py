"""A graph computes what its model computes, for every option and any size."""

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from torch import Tensor, nn

import glassformer
from glassformer.errors import UsageError
from glassformer.export.graph import onnx_graph
from glassformer.export.quantize import to_int8
from glassformer.export.session import OnnxModel
from glassformer.models.configs import (
    EncoderDecoderConfig,
    RecurrentClassifierConfig,
    TextClassifierConfig,
    VisionTransformerConfig,
)
from glassformer.models.encoder_decoder import EncoderDecoder
from glassformer.models.recurrent import RecurrentClassifier
from glassformer.models.text_classifier import TextClassifier
from glassformer.models.vision_transformer import VisionTransformer

LONGEST = 37
TEXT: dict[str, Any] = {
    "d_model": 18,
    "heads": 3,
    "d_ff": 17,
    "vocab": 29,
    "classes": 5,
    "max_tokens": LONGEST,
}
TEXTS = [
    {"layers": 2, "positions": "none", "pool": "mean", "attention": "tiled"},
    {"layers": 1, "positions": "sinusoidal", "pool": "cls", "norm": "post", "activation": "relu"},
    {"layers": 1, "positions": "learned", "pool": "max", "attention": "fused"},
    {"layers": 1, "positions": "rotary", "pool": "cls", "attention": "tiled"},
    {"layers": 2, "positions": "alibi", "pool": "cls"},
    {"layers": 1, "positions": "alibi", "pool": "mean", "norm": "post", "attention": "fused"},
]
IMAGE: dict[str, Any] = {
    "d_model": 24,
    "heads": 3,
    "d_ff": 17,
    "channels": 3,
    "height": 8,
    "width": 12,
    "classes": 5,
}
IMAGES = [
    {"layers": 2, "positions": "learned", "pool": "cls", "attention": "tiled", "stochastic_depth": 0.2},
    {"layers": 1, "positions": "rotary", "pool": "mean", "attention": "fused"},
    {"layers": 1, "positions": "sinusoidal", "pool": "max", "norm": "post", "activation": "relu"},
]
RECURRENT: dict[str, Any] = {"d_model": 7, "d_hidden": 11, "vocab": 29, "classes": 5}
RECURRENTS = [
    {"cell": cell, "pool": pool, "layers": layers, "bidirectional": two}
    for cell, pool, layers, two in (
        ("gru", "mean", 1, True), ("gru", "last", 3, True), ("gru", "max", 2, False),
        ("lstm", "mean", 2, False),
        ("lstm", "last", 3, True), ("lstm", "max", 1, True), ("lstm", "last", 1, False),
    )
]  # fmt: skip
SIZES = [(1, 1), (1, LONGEST), (2, 1), (3, 2), (4, 4), (7, 19), (2, LONGEST - 1), (16, 8)]


def randomised(model: nn.Module) -> Any:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model.eval()


def as_onnx(model: nn.Module) -> OnnxModel:
    graph = onnx_graph(model)
    onnx.checker.check_model(graph)
    return OnnxModel(graph.SerializeToString())


def assert_same(model: nn.Module, other: nn.Module, *inputs: Tensor | None) -> None:
    with torch.inference_mode():
        torch.testing.assert_close(other(*inputs), model(*inputs), rtol=1e-5, atol=1e-4)


def assert_same_on_texts(model: nn.Module, graph: nn.Module) -> None:
    for batch, tokens in SIZES:
        ids = torch.randint(29, (batch, tokens))
        lengths = torch.randint(1, tokens + 1, (batch, 1))
        assert_same(model, graph, ids, None)
        assert_same(model, graph, ids, torch.arange(tokens) < lengths)


@pytest.mark.parametrize("options", TEXTS, ids=lambda options: options["positions"])
def test_text_classifier(options) -> None:
    model = randomised(TextClassifier(TextClassifierConfig(**TEXT | options)))
    with torch.no_grad():  # scores that a mask of mere -20 would not hide
        for module in model.modules():
            if hasattr(module, "qkv"):
                module.qkv.weight.mul_(4)
    before = [module.attention for module in model.modules() if hasattr(module, "rotary")]
    assert_same_on_texts(model, as_onnx(model))
    assert [module.attention for module in model.modules() if hasattr(module, "rotary")] == before


def test_attention_is_one_operator_and_a_row_of_padding_gives_zeros() -> None:
    options = TEXT | TEXTS[-1] | {"attention": "explicit"}  # torch exports fused attention so by itself
    model = randomised(TextClassifier(TextClassifierConfig(**options)))
    graph = onnx_graph(model)
    kinds = [node.op_type for node in graph.graph.node]
    assert (kinds.count("Attention"), kinds.count("Softmax")) == (1, 0)
    ids, real = torch.randint(29, (3, 6)), torch.tensor([[6], [0], [2]])
    assert_same(model, OnnxModel(graph.SerializeToString()), ids, torch.arange(6) < real)


@pytest.mark.parametrize("options", RECURRENTS, ids=lambda options: "-".join(map(str, options.values())))
def test_recurrent_classifier(options) -> None:
    model = randomised(RecurrentClassifier(RecurrentClassifierConfig(**RECURRENT | options)))
    assert_same_on_texts(model, as_onnx(model))


@pytest.mark.parametrize("options", IMAGES, ids=lambda options: options["positions"])
def test_vision_transformer(options) -> None:
    model = randomised(VisionTransformer(VisionTransformerConfig(patch=4, **IMAGE | options)))
    graph = as_onnx(model)
    for batch in (1, 2, 3, 11):
        assert_same(model, graph, torch.rand(batch, 3, 8, 12) * 2 - 1)


def test_no_path_of_this_machine_is_in_it(exported: Path) -> None:
    content = (exported / "model.onnx").read_bytes()
    assert b"File " not in content
    assert str(Path(glassformer.__file__).parent).encode() not in content


def test_which_operators_a_runtime_has_to_know() -> None:
    """docs/how-to/export.md says it."""
    recurrent = onnx_graph(RecurrentClassifier(RecurrentClassifierConfig(**RECURRENT)))
    attention = onnx_graph(TextClassifier(TextClassifierConfig(**TEXT | TEXTS[0])))
    for graph, opset in ((recurrent, 20), (attention, 23)):
        assert {each.domain: each.version for each in graph.opset_import}[""] == opset


def test_what_the_graph_takes_and_gives() -> None:
    graph = onnx_graph(RecurrentClassifier(RecurrentClassifierConfig(**RECURRENT))).graph
    kinds = {each.name: each.type.tensor_type for each in (*graph.input, *graph.output)}
    assert list(kinds) == ["ids", "mask", "logits"]
    types = [kind.elem_type for kind in kinds.values()]
    assert types == [onnx.TensorProto.INT64, onnx.TensorProto.BOOL, onnx.TensorProto.FLOAT]
    assert [size.dim_param for size in kinds["ids"].shape.dim] == ["batch", "tokens"]
    assert kinds["logits"].shape.dim[1].dim_value == 5


def test_int8_is_smaller_and_still_the_model() -> None:
    config = RecurrentClassifierConfig(**RECURRENT | {"vocab": 3000, "d_model": 24})
    model = randomised(RecurrentClassifier(config))
    graph = onnx_graph(model)
    content = to_int8(graph)
    assert len(content) < 0.5 * len(graph.SerializeToString())
    made = onnx.load_from_string(content).graph
    numbers = {each.name: onnx.numpy_helper.to_array(each) for each in made.initializer}
    products = [node for node in made.node if node.op_type == "MatMulInteger"]
    weights = [numbers[name] for node in products for name in node.input if name in numbers]
    matrices = [each for each in weights if each.ndim == 2]
    assert matrices
    assert all(each.dtype == np.int8 and 60 <= np.abs(each.astype(int)).max() <= 64 for each in matrices)
    ids = torch.randint(3000, (64, 9))
    with torch.inference_mode():
        wanted, given = model(ids), OnnxModel(content)(ids)
    assert 0 < (given - wanted).abs().max() < 0.1 * wanted.abs().max()


def test_a_model_without_an_export() -> None:
    sizes = {"d_model": 8, "heads": 2, "d_ff": 8, "vocab": 9, "max_tokens": 5, "max_targets": 5}
    model = EncoderDecoder(EncoderDecoderConfig(**sizes))  # type: ignore[arg-type]
    with pytest.raises(UsageError, match=r"EncoderDecoder has no ONNX export; those that have: TextClass"):
        onnx_graph(model)
