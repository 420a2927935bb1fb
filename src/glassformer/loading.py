"""`glassformer.load`: a run, or what was exported from one. No torch at import time."""

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from glassformer.tasks.config import MachineConfig
    from glassformer.training.loaded import LoadedRun


def load(run: str | Path, machine: "MachineConfig | None" = None) -> "LoadedRun":
    """Brings back the best model of a run, or an ONNX folder that `glassformer export` wrote.

    Raises UsageError where there is neither, DataError where it is incomplete, broken or of another version.
    """
    from glassformer.tasks.config import MachineConfig
    from glassformer.training.run_folder import EXPORT, require_run

    folder = Path(run)
    if (folder / EXPORT).is_file():
        from glassformer.export.exported import ExportedRun

        return ExportedRun(folder, machine or MachineConfig())
    require_run(folder)
    from glassformer.training.loaded import LoadedRun

    return LoadedRun(folder, machine or MachineConfig())
