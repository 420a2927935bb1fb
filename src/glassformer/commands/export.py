"""glassformer export RUN"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from tyro.conf import Positional, arg

from glassformer.commands.parsing import parse, require_seed, say
from glassformer.errors import UsageError
from glassformer.options import unset
from glassformer.tasks.config import MachineConfig


@dataclass(frozen=True, kw_only=True)
class ExportOptions(MachineConfig):
    """Writes a run as an ONNX graph or for transformers, with all it takes to predict and a model card.

    The export is compared with the run's own model before anything is written. predict, evaluate and
    glassformer.load take the ONNX folder as they take a run. Computed on the CPU, in fp32.
    """

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """Folder of the run."""
    format: Literal["onnx", "hub"] = "onnx"
    """onnx: a graph that runs without PyTorch. hub: config.json and model.safetensors for transformers."""
    int8: bool = False
    """ONNX with weights of eight bits, compared with fp32 on the run's validation examples."""
    out: Annotated[str | None, unset("FOLDER", "default: onnx, onnx-int8 or hub in the run")] = None
    """FOLDER to write, which must be new or empty."""
    examples: int = 1000
    """Validation examples that INT8 is compared on."""
    data_dir: Annotated[str | None, unset("DIR", "default: as in training")] = None
    """Folder with local copies of the public data sets, for --int8."""
    seed: int = 0
    """Accepted by every command that computes; the batches of the comparison are always the same."""


def run(words: list[str]) -> int:
    options = parse(ExportOptions, "glassformer export", words)
    require_seed(options.seed)
    if options.int8 and options.format == "hub":
        raise UsageError("--int8 is for ONNX, and --format hub asks for another; leave one of them out")
    if options.examples < 1:
        raise UsageError(f"examples={options.examples} compares nothing; choose 1 or more")
    if options.device not in ("auto", "cpu") or options.precision == "bf16":
        raise UsageError("export computes on the CPU in fp32; leave --device and --precision out")
    default = f"{options.format}-int8" if options.int8 else options.format
    folder = Path(options.out) if options.out else Path(options.run) / default
    from glassformer.training.run_folder import METRICS, require_run

    run_folder = Path(options.run)
    require_run(run_folder)
    if not (run_folder / METRICS).is_file():
        raise UsageError(
            f"{run_folder} is not finished (it has no {METRICS}); finish it with: "
            f"glassformer train --resume {run_folder}"
        )
    from glassformer.training.loaded import load

    loaded = load(options.run, MachineConfig("cpu", "fp32", options.threads))
    command = f"glassformer {shlex.join(['export', *words])}"
    if options.format == "hub":
        from glassformer.export.hub import export_hub

        export_hub(loaded, folder, command=command, report=say)
    else:
        from glassformer.export.to_onnx import export_onnx

        export_onnx(
            loaded,
            folder,
            int8=options.int8,
            examples=options.examples,
            data_dir=options.data_dir,
            command=command,
            report=say,
        )
    print(folder)
    return 0
