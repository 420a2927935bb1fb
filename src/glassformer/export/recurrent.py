"""A recurrent classifier as an ONNX graph, put together by hand: ONNX has its cells, with lengths."""

from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from glassformer.models.recurrent import RecurrentClassifier

if TYPE_CHECKING:
    from onnx import ModelProto, NodeProto

OPSET, FORMAT = 20, 9
"""The operators, and the version of the file that came with them: older runtimes refuse a newer one."""
CELLS = {"gru": ("GRU", (1, 0, 2)), "lstm": ("LSTM", (0, 3, 1, 2))}
"""ONNX's operator, and the place of each of its gates in torch: z r h of r z n, i o f c of i f g o."""


def recurrent_graph(model: RecurrentClassifier) -> "ModelProto":
    """The graph of the model in evaluation; see `glassformer.export.graph.onnx_graph` for its inputs.

    ONNX's GRU and LSTM take the lengths themselves, where torch packs the sequences: what stands behind a
    row's length is never read, in either direction, and gives zeros.
    """
    return _Writer(model).graph()


class _Writer:
    def __init__(self, model: RecurrentClassifier) -> None:
        self.model = model
        self.nodes: list[NodeProto] = []
        self.constants: dict[str, Any] = {}

    def graph(self) -> "ModelProto":
        from onnx import TensorProto, helper, numpy_helper

        from glassformer.export.graph import OUTPUT

        # axes as the recurrent operators have them: tokens, batch, features
        lengths = self.add(
            "ReduceSum", self.add("Cast", "mask", to=TensorProto.INT32), self.ints(1), keepdims=0
        )
        x = self.add("Gather", self.weights(self.model.embed.weight), "ids")
        x = self.add("Transpose", x, perm=[1, 0, 2])
        last = ""
        for layer in range(self.model.config.layers):
            x, last = self.recurrent(x, lengths, layer)
        pooled = self.pooled(x, last)
        head = self.weights(self.model.head.weight), self.weights(self.model.head.bias)
        self.add("Gemm", pooled, *head, transB=1, output=OUTPUT)
        ids = helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "tokens"])
        mask = helper.make_tensor_value_info("mask", TensorProto.BOOL, ["batch", "tokens"])
        classes = self.model.config.classes
        logits = helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", classes])
        constants = [numpy_helper.from_array(array, name) for name, array in self.constants.items()]
        graph = helper.make_graph(self.nodes, "recurrent", [ids, mask], [logits], constants)
        operators = [helper.make_opsetid("", OPSET)]
        return helper.make_model(graph, opset_imports=operators, ir_version=FORMAT)

    def recurrent(self, x: str, lengths: str, layer: int) -> tuple[str, str]:
        """States (tokens batch directions·d_hidden), and the last of each direction (batch the same)."""
        config = self.model.config
        operator, gates = CELLS[config.cell]
        suffixes = ("", "_reverse") if config.bidirectional else ("",)

        def stacked(kind: str) -> torch.Tensor:
            """(directions, gates·d_hidden, ...), the gates in ONNX's order."""
            each = [getattr(self.model.recurrent, f"{kind}_l{layer}{suffix}") for suffix in suffixes]
            return torch.stack([torch.cat([one.chunk(len(gates))[gate] for gate in gates]) for one in each])

        bias = self.weights(torch.cat([stacked("bias_ih"), stacked("bias_hh")], dim=1))
        more = {"linear_before_reset": 1} if operator == "GRU" else {}
        states, last = f"states_{layer}", f"last_{layer}"
        self.add(
            operator,
            x, self.weights(stacked("weight_ih")), self.weights(stacked("weight_hh")), bias, lengths,
            output=(states, last), hidden_size=config.d_hidden,
            direction="bidirectional" if config.bidirectional else "forward", **more,
        )  # fmt: skip
        features = len(suffixes) * config.d_hidden
        flat = self.add("Transpose", states, perm=[0, 2, 1, 3])  # tokens batch directions d_hidden
        flat = self.add("Reshape", flat, self.ints(0, 0, features))
        last = self.add("Reshape", self.add("Transpose", last, perm=[1, 0, 2]), self.ints(0, features))
        return flat, last

    def pooled(self, states: str, last: str) -> str:
        """(batch features): the last states, or the mean or the maximum over the real tokens."""
        from onnx import TensorProto

        if self.model.config.pool == "last":
            return last
        x = self.add("Transpose", states, perm=[1, 0, 2])
        real = self.add("Unsqueeze", "mask", self.ints(2))
        if self.model.config.pool == "max":
            hidden = self.constant(np.array(-np.inf, dtype=np.float32))
            return self.add("ReduceMax", self.add("Where", real, x, hidden), self.ints(1), keepdims=0)
        weights = self.add("Cast", real, to=TensorProto.FLOAT)
        total = self.add("ReduceSum", self.add("Mul", x, weights), self.ints(1), keepdims=0)
        return self.add("Div", total, self.add("ReduceSum", weights, self.ints(1), keepdims=0))

    def add(self, operator: str, *inputs: str, output: str | tuple[str, ...] = "", **attributes: Any) -> str:
        """One more operator; the name of its first output."""
        from onnx import helper

        outputs = (output or f"{operator.lower()}_{len(self.nodes)}",) if isinstance(output, str) else output
        name = f"{operator}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(operator, list(inputs), list(outputs), name=name, **attributes))
        return outputs[0]

    def constant(self, array: np.ndarray) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = array
        return name

    def ints(self, *values: int) -> str:
        return self.constant(np.array(values, dtype=np.int64))

    def weights(self, tensor: torch.Tensor) -> str:
        return self.constant(tensor.detach().cpu().float().contiguous().numpy())
