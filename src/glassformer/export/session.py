"""An ONNX graph that is called like a model."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glassformer.errors import DataError
from glassformer.export.extra import require_extra
from glassformer.export.graph import IMAGE_INPUTS, OUTPUT, TEXT_INPUTS

TYPES: dict[str, Any] = {"ids": np.int64, "mask": np.bool_, "images": np.float32}
LAID_OUT = {
    "ids": ("tensor(int64)", 2),
    "mask": ("tensor(bool)", 2),
    "images": ("tensor(float)", 4),
    OUTPUT: ("tensor(float)", 2),
}
"""Input or output -> its type, as onnxruntime calls it, and how many axes it has."""


class OnnxModel(nn.Module):
    """logits = graph(ids, mask), or graph(images): called as the model that it was made from.

    content: the bytes of the graph. classes: of the logits, None where any number will do. On the CPU alone,
    in the number format of the graph, without gradients.
    Raises DataError where onnxruntime is missing, for a graph that it refuses, that is not of ours or that
    keeps weights in other files, and, when called, where it cannot be computed.
    """

    def __init__(
        self, content: bytes, *, threads: int = 1, name: str = "the graph", classes: int | None = None
    ) -> None:
        super().__init__()
        require_extra("predict")
        import onnxruntime

        self.name, self.classes = name, classes
        require_whole(content, name)
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what it refuses is raised, too
        # or bytes may pass for its own format, which nobody has looked through
        options.add_session_config_entry("session.load_model_format", "ONNX")
        try:
            self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common kind but this
            raise _broken(name, error) from error
        inputs, outputs = self.session.get_inputs(), self.session.get_outputs()
        self.names = tuple(each.name for each in inputs)
        if self.names not in (TEXT_INPUTS, IMAGE_INPUTS) or [each.name for each in outputs] != [OUTPUT]:
            raise DataError(
                f"{name} takes {', '.join(self.names)} and gives {', '.join(each.name for each in outputs)}, "
                "not as glassformer writes it; export it anew"
            )
        for each in (*inputs, *outputs):
            kind, axes = LAID_OUT[each.name]
            if each.type != kind or len(each.shape) != axes:
                raise DataError(
                    f"{name} has {each.name} as {each.type} with {len(each.shape)} axes, and glassformer "
                    f"writes {kind} with {axes}; export it anew"
                )
        if isinstance(said := outputs[0].shape[1], int):
            self._require_classes(said)

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: token ids, (batch tokens), with a mask, None where all are real; or images."""
        given = [x]
        if self.names == TEXT_INPUTS:
            given.append(torch.ones_like(x, dtype=torch.bool) if mask is None else mask)
        fed = {
            name: tensor.cpu().numpy().astype(TYPES[name], copy=False)
            for name, tensor in zip(self.names, given, strict=True)
        }
        try:
            logits: Any = self.session.run([OUTPUT], fed)[0]
        except Exception as error:
            size = " x ".join(map(str, x.shape))
            raise DataError(
                f"{self.name} cannot be computed on a batch of {size} ({_reason(error)}); export it anew"
            ) from error
        if logits.ndim != 2 or len(logits) != len(x):
            size = " x ".join(map(str, logits.shape))
            raise DataError(
                f"{self.name} gives logits of {size} for a batch of {len(x)}, not as glassformer writes it; "
                "export it anew"
            )
        self._require_classes(logits.shape[1])
        return torch.from_numpy(logits)

    def _require_classes(self, given: int) -> None:
        if self.classes is not None and given != self.classes:
            raise DataError(
                f"{self.name} gives {given:,} logits, and there are {self.classes:,} class names; export it "
                "anew"
            )


def require_whole(content: bytes, name: str) -> None:
    """Raises DataError for a graph with weights in other files, which onnxruntime would open."""
    import onnx

    try:
        graph = onnx.load_model_from_string(content)  # opens no other file
    except Exception as error:  # protobuf's, and Python's own for bytes too many
        raise _broken(name, error) from error
    for each in _tensors(graph):
        if each.data_location == onnx.TensorProto.EXTERNAL:
            raise DataError(
                f"{name} keeps {' '.join(each.name.split()) or 'a tensor'} in another file, and glassformer "
                "writes one that is whole; export it anew"
            )


def _tensors(message: Any) -> Iterator[Any]:
    """All tensors in a message of ONNX: of the graph, its nodes, their subgraphs, and functions."""
    if message.DESCRIPTOR.name == "TensorProto":
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for each in [value] if hasattr(value, "ListFields") else value:
                yield from _tensors(each)


def _broken(name: str, error: Exception) -> DataError:
    return DataError(f"{name} is broken or too new for onnxruntime ({_reason(error)}); export it anew")


def _reason(error: Exception) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0]
