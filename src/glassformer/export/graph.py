"""From a model to an ONNX graph: `ids` and `mask`, or `images`, in; `logits` out; any batch, any length."""

import copy
import logging
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from io import StringIO
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from glassformer.errors import DataError, UsageError
from glassformer.export.attention import OnnxAttention
from glassformer.models.encoder import EncoderClassifier
from glassformer.models.recurrent import RecurrentClassifier
from glassformer.models.text_classifier import TextClassifier
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.nn.multihead import MultiHeadAttention

if TYPE_CHECKING:
    from onnx import ModelProto

EXPORTABLE = (TextClassifier, EncoderClassifier, VisionTransformer, RecurrentClassifier)
OPSET = 23
"""The first that has attention as one operator."""
LOUD = ("torch.onnx", "torch.onnx._internal.exporter._registration", "onnxscript", "onnx_ir")
TEXT_INPUTS, IMAGE_INPUTS, OUTPUT = ("ids", "mask"), ("images",), "logits"


def require_exportable(model: nn.Module) -> None:
    """Raises UsageError for a model that has no ONNX export."""
    if not isinstance(model, EXPORTABLE):
        names = ", ".join(kind.__name__ for kind in EXPORTABLE)
        raise UsageError(
            f"{type(model).__name__} has no ONNX export; those that have: {names}. Use the run itself, with "
            "glassformer predict or glassformer.load"
        )


def onnx_graph(model: nn.Module) -> "ModelProto":
    """The graph that computes what the model computes in evaluation, in fp32.

    ids: (batch, tokens) int64; mask: (batch, tokens) bool, True = a real token, all True where nothing is
    padded; images: (batch, channels, height, width) float32 in [-1, 1]; logits: (batch, classes) float32.
    Raises UsageError for a model that has no export, DataError where tracing it fails.
    """
    require_exportable(model)
    if isinstance(model, RecurrentClassifier):
        from glassformer.export.recurrent import recurrent_graph

        return recurrent_graph(model)
    example, names = _example(model)
    dynamic = torch.export.Dim.DYNAMIC
    sizes = {0: dynamic, 1: dynamic} if names == TEXT_INPUTS else {0: dynamic}
    with _quiet():
        try:
            program = torch.onnx.export(
                _with_onnx_attention(model),
                example,
                dynamo=True,
                dynamic_shapes=(sizes,) * len(names),
                input_names=names,
                output_names=[OUTPUT],
                opset_version=OPSET,
                verbose=False,
            )
        except Exception as error:  # the exporter wraps whatever stopped it, and says it over many lines
            reason = str(error.__cause__ or error).strip().splitlines()[0]
            raise DataError(
                f"{type(model).__name__} could not be traced to ONNX ({reason}); use the run itself, with "
                "glassformer predict"
            ) from error
    assert program is not None
    graph = program.model_proto
    _forget_traces(graph)
    return graph


def _forget_traces(graph: "ModelProto") -> None:
    """Takes out the lines of source, with their paths on this machine, that the exporter notes everywhere."""
    noted = (graph, graph.graph, *graph.graph.node, *graph.graph.value_info, *graph.graph.initializer)
    for each in (*noted, *graph.graph.input, *graph.graph.output):
        del each.metadata_props[:]


def _with_onnx_attention(model: nn.Module) -> nn.Module:
    """A copy with ONNX's own attention; tiled attention looks at values, which a trace cannot follow."""
    copied = copy.deepcopy(model).cpu().float().eval()
    for module in list(copied.modules()):
        for name, child in module.named_children():
            if isinstance(child, MultiHeadAttention):
                setattr(module, name, OnnxAttention(child))
    return copied


def _example(model: nn.Module) -> tuple[tuple[Tensor, ...], tuple[str, ...]]:
    """Inputs to trace with: sizes above one, since one is a size of its own to the tracer."""
    if isinstance(model, VisionTransformer):
        config = model.config
        return (torch.zeros(2, config.channels, config.height, config.width),), IMAGE_INPUTS
    assert isinstance(model, TextClassifier | EncoderClassifier)
    tokens = min(3, model.config.max_tokens)
    return (torch.zeros(2, tokens, dtype=torch.int64), torch.ones(2, tokens, dtype=torch.bool)), TEXT_INPUTS


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter logs what it skips and what its own libraries will drop; none of it is about the model."""
    loggers = [logging.getLogger(name) for name in LOUD]
    levels = [logger.level for logger in loggers]
    with warnings.catch_warnings(), redirect_stdout(StringIO()):
        warnings.simplefilter("ignore")
        try:
            for logger in loggers:
                logger.setLevel(logging.ERROR)
            yield
        finally:
            for logger, level in zip(loggers, levels, strict=True):
                logger.setLevel(level)
