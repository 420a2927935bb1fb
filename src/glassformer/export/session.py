"""An ONNX graph that is called like a model."""

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glassformer.errors import DataError
from glassformer.export.extra import require_extra
from glassformer.export.graph import IMAGE_INPUTS, OUTPUT, TEXT_INPUTS

TYPES: dict[str, Any] = {"ids": np.int64, "mask": np.bool_, "images": np.float32}


class OnnxModel(nn.Module):
    """logits = graph(ids, mask), or graph(images): called as the model that it was made from.

    content: the bytes of the graph. On the CPU alone, in the number format of the graph, without gradients.
    Raises DataError where onnxruntime is missing, and for a graph that it refuses or that is not of ours.
    """

    def __init__(self, content: bytes, *, threads: int = 1, name: str = "the graph") -> None:
        super().__init__()
        require_extra("predict")
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.log_severity_level = 4  # what it refuses is raised, too
        try:
            self.session = onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])
        except Exception as error:  # its errors have no common kind but this
            reason = str(error).strip().splitlines()[0]
            raise DataError(
                f"{name} is broken or too new for onnxruntime ({reason}); export it anew"
            ) from error
        self.names = tuple(each.name for each in self.session.get_inputs())
        outputs = [each.name for each in self.session.get_outputs()]
        if self.names not in (TEXT_INPUTS, IMAGE_INPUTS) or outputs != [OUTPUT]:
            raise DataError(
                f"{name} takes {', '.join(self.names)} and gives {', '.join(outputs)}, not as glassformer "
                "writes it; export it anew"
            )

    def forward(self, x: Tensor, mask: Tensor | None = None) -> Tensor:
        """x: token ids, (batch tokens), with a mask, None where all are real; or images."""
        given = [x]
        if self.names == TEXT_INPUTS:
            given.append(torch.ones_like(x, dtype=torch.bool) if mask is None else mask)
        fed = {
            name: tensor.cpu().numpy().astype(TYPES[name], copy=False)
            for name, tensor in zip(self.names, given, strict=True)
        }
        (logits,) = self.session.run([OUTPUT], fed)
        return torch.from_numpy(logits)
