"""INT8: the weights of products and of look-ups in eight bits, the activations as they come."""

import logging
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from onnx import ModelProto

OPERATORS = ["MatMul", "Gemm", "Gather"]


def to_int8(graph: "ModelProto") -> bytes:
    """The same graph with weights of eight bits, a scale each column; see onnxruntime's `quantize_dynamic`.

    Of the eight bits seven are used, -64 to 64: a processor without VNNI adds two products in sixteen bits,
    where those of larger weights would be cut off, and the graph is for any processor.
    Attention's own products, which have no weights, stay in fp32, and so do norms and recurrent cells.
    """
    from onnx import ModelProto
    from onnxruntime.quantization import QuantType, quantize_dynamic

    copied = ModelProto()
    copied.CopyFrom(graph)
    del copied.graph.value_info[:]  # the shapes that the exporter noted contradict the quantiser's own
    root = logging.getLogger()
    before = root.level
    root.setLevel(logging.ERROR)  # it asks for a preparation that these graphs do without
    try:
        with tempfile.TemporaryDirectory() as scratch:
            path = Path(scratch) / "model.onnx"
            quantize_dynamic(
                copied,
                str(path),
                op_types_to_quantize=OPERATORS,
                weight_type=QuantType.QInt8,
                per_channel=True,
                reduce_range=True,
            )
            return path.read_bytes()
    finally:
        root.setLevel(before)
