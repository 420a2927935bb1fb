"""Training state as safetensors: what Lightning would pickle, we write as tensors and JSON.

One file holds both: the tensors under numbers, and in its header the structure around them. Reading it can
run no code, whoever wrote it.
"""

import json
from pathlib import Path
from typing import Any

import torch
from lightning.fabric.plugins.io.checkpoint_io import CheckpointIO
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from glassformer.cache import write_atomically
from glassformer.errors import DataError


class SafetensorsCheckpointIO(CheckpointIO):
    """Lightning's door to the file system, without pickle."""

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any = None) -> None:
        """Writes the nested dictionary; raises TypeError for what is neither a tensor nor JSON."""
        tensors: dict[str, torch.Tensor] = {}
        structure = json.dumps(_to_json(checkpoint, tensors))
        write_atomically(
            Path(path), lambda scratch: save_file(tensors, scratch, metadata={"structure": structure})
        )

    def load_checkpoint(
        self, path: Any, map_location: Any = None, weights_only: bool | None = None
    ) -> dict[str, Any]:
        """Reads what `save_checkpoint` wrote. Raises DataError where the file is missing or broken."""
        try:
            with safe_open(path, framework="pt", device="cpu") as file:
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
                return _from_json(json.loads(file.metadata()["structure"]), tensors)
        except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
            raise DataError(f"{path} is missing or broken ({error}); the run cannot be resumed") from error

    def remove_checkpoint(self, path: Any) -> None:
        """Deletes the file if it is there."""
        Path(path).unlink(missing_ok=True)


def _to_json(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, torch.Tensor):
        name = str(len(tensors))
        # cloned: safetensors refuses two tensors that share their memory
        tensors[name] = value.detach().cpu().clone().contiguous()
        return {"tensor": name}
    if isinstance(value, dict):
        # pairs, since JSON's own keys are strings and an optimiser's are numbers
        return {"dict": [[key, _to_json(item, tensors)] for key, item in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_to_json(item, tensors) for item in value]}
    if isinstance(value, list):
        return [_to_json(item, tensors) for item in value]
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    raise TypeError(f"a checkpoint holds tensors and plain values, not {type(value).__name__}")


def _from_json(value: Any, tensors: dict[str, torch.Tensor]) -> Any:
    if isinstance(value, list):
        return [_from_json(item, tensors) for item in value]
    if not isinstance(value, dict):
        return value
    ((kind, content),) = value.items()
    if kind == "tensor":
        return tensors[content]
    if kind == "tuple":
        return tuple(_from_json(item, tensors) for item in content)
    return {key: _from_json(item, tensors) for key, item in content}
