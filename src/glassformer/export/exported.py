"""An exported ONNX folder, brought back: to predict and to be judged as a run is."""

from pathlib import Path

from tokenizers import Tokenizer
from torch import nn

from glassformer.errors import DataError, UsageError
from glassformer.export.extra import require_extra
from glassformer.export.folder import GRAPH, WAY_OUT, read_checked, read_export
from glassformer.export.session import OnnxModel
from glassformer.tasks.config import MachineConfig
from glassformer.training.loaded import LoadedRun
from glassformer.training.machine import Machine, prepare_machine
from glassformer.training.run_folder import CONFIG, TOKENIZER


class ExportedRun(LoadedRun):
    """What `glassformer export --format onnx` wrote, with the methods of a `LoadedRun`.

    Computes with onnxruntime on the CPU, in the number format of the graph. Made by `glassformer.load`.
    """

    def __init__(self, folder: Path, machine: MachineConfig) -> None:
        require_extra("predict")
        self._export = read_export(folder)
        read_checked(folder, CONFIG, self._export["sha256"])  # the names of the classes stand in it
        super().__init__(folder, machine)

    @property
    def parameters(self) -> int:
        """Of the model that was exported."""
        return self._export["parameters"]

    def _open_tokenizer(self) -> Tokenizer:
        content = read_checked(self.folder, TOKENIZER, self._export["sha256"])
        try:
            return Tokenizer.from_str(content.decode("utf-8"))
        except Exception as error:  # the library raises bare Exceptions
            reason = str(error).splitlines()[0]
            raise DataError(f"{self.folder / TOKENIZER} is broken ({reason}); {WAY_OUT}") from error

    def _open_model(self, machine: MachineConfig) -> tuple[nn.Module, Machine]:
        if machine.device not in ("auto", "cpu"):
            raise UsageError(
                f"device={machine.device}: an exported model computes on the CPU; leave --device out, or "
                "give the run itself"
            )
        if machine.precision == "bf16":
            raise UsageError(
                "precision=bf16: an exported model computes in the format of its graph; leave --precision out"
            )
        ready = prepare_machine(MachineConfig("cpu", "fp32", machine.threads))
        content = read_checked(self.folder, GRAPH, self._export["sha256"])
        names = self.class_names
        if not isinstance(names, list) or not all(isinstance(each, str) for each in names):
            raise DataError(
                f"{self.folder / CONFIG} is broken (its class_names are no list of names); {WAY_OUT}"
            )
        path = str(self.folder / GRAPH)
        return OnnxModel(content, threads=ready.threads, name=path, classes=len(names)), ready
