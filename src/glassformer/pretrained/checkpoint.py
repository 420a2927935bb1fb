"""A folder in the Hugging Face layout, looked at before anything of it is loaded. No torch here.

config.json says what it is, model.safetensors (or shards of it, listed in model.safetensors.index.json) holds
the weights. Safetensors alone: a pickle can run code when it is opened.
"""

import json
import math
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open

from glassformer.errors import DataError, UsageError

CONFIG, WEIGHTS, INDEX = "config.json", "model.safetensors", "model.safetensors.index.json"
PICKLES = (".bin", ".pt", ".pth", ".ckpt", ".pkl", ".pickle")
COPIES = 3
"""How often the weights stand in memory while they are loaded: as stored, as named here, in the model."""
BYTES = {"F64": 8, "F32": 4, "F16": 2, "BF16": 2, "I64": 8, "I32": 4, "I16": 2, "I8": 1, "U8": 1, "BOOL": 1}


@dataclass(frozen=True)
class Stored:
    """A tensor in a file: where it lies, its shape, and its number format as safetensors names it."""

    file: Path
    shape: tuple[int, ...]
    dtype: str

    @property
    def bytes_in_fp32(self) -> int:
        """What it takes in memory once it is loaded."""
        return 4 * math.prod(self.shape)


@dataclass(frozen=True)
class Checkpoint:
    """A published model: its folder, what its config.json says, and its tensors by name."""

    folder: Path
    config: dict[str, Any]
    tensors: dict[str, Stored]


def open_checkpoint(folder: Path) -> Checkpoint:
    """Reads the configuration and the headers of the weights, and checks both.

    Raises UsageError for a folder that is none, DataError for what it holds: a file that is missing,
    truncated or tampered with, or weights as a pickle alone.
    """
    config = read_config(folder)
    files = _weight_files(folder)
    tensors: dict[str, Stored] = {}
    for file, wanted in files.items():
        found = _headers(file)
        if missing := sorted(set(wanted or ()) - set(found)):
            raise DataError(f"{file} lacks {missing[0]}, which {INDEX} promises; fetch the folder again")
        for name, stored in found.items():
            if name in tensors:
                raise DataError(
                    f"{name} stands in {tensors[name].file} and in {file}; fetch the folder again"
                )
            tensors[name] = stored
    return Checkpoint(folder, config, tensors)


def read_config(folder: Path) -> dict[str, Any]:
    """config.json. Raises UsageError where there is none, DataError where it is broken."""
    path = folder / CONFIG
    if not path.is_file():
        raise UsageError(f"{folder} holds no published model (it has no {CONFIG}); give the folder of one")
    return read_json(path)


def read_json(path: Path) -> dict[str, Any]:
    """A JSON object in a file. Raises DataError where it is broken."""
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} is broken ({error}); fetch it again") from error
    if not isinstance(content, dict):
        raise DataError(f"{path} is no JSON object; fetch it again")
    return content


def require_memory(checkpoint: Checkpoint) -> None:
    """Raises DataError, before anything is loaded, where the weights in fp32 exceed the free memory."""
    needed = COPIES * sum(stored.bytes_in_fp32 for stored in checkpoint.tensors.values())
    free = free_memory()
    if free is not None and needed > free:
        raise DataError(
            f"{checkpoint.folder} takes {needed / 2**30:.1f} GiB of memory to load (in fp32), and "
            f"{free / 2**30:.1f} GiB are free here; choose a smaller model, or a machine with more"
        )


def free_memory() -> int | None:
    """Bytes that a process may still take, where the system says so (Linux)."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    sizes = dict(line.split(":", 1) for line in lines if ":" in line)
    return int(sizes["MemAvailable"].split()[0]) * 1024 if "MemAvailable" in sizes else None


def _weight_files(folder: Path) -> dict[Path, list[str] | None]:
    """Files of weights -> the tensors that the index promises there, None without an index."""
    if (folder / WEIGHTS).is_file():
        return {folder / WEIGHTS: None}
    if (folder / INDEX).is_file():
        return _shards(folder)
    pickles = sorted(each.name for each in folder.iterdir() if each.suffix in PICKLES)
    if pickles:
        raise DataError(
            f"{folder} holds its weights as {pickles[0]}, a pickle, which can run code when it is opened; "
            f"take a version that has {WEIGHTS}, or convert it where you trust it: transformers' "
            "AutoModel.from_pretrained(FOLDER).save_pretrained(OTHER)"
        )
    raise DataError(f"{folder} has no {WEIGHTS}; fetch the folder again, weights included")


def _shards(folder: Path) -> dict[Path, list[str] | None]:
    index = read_json(folder / INDEX)
    placed = index.get("weight_map")
    if not isinstance(placed, dict) or not placed or not all(isinstance(v, str) for v in placed.values()):
        raise DataError(f"{folder / INDEX} maps no weights to files; fetch it again")
    files: dict[Path, list[str] | None] = {}
    for name, file in placed.items():
        if Path(file).name != file or not file.endswith(".safetensors"):
            raise DataError(f"{folder / INDEX} names {file!r}, which is no safetensors file of its folder")
        if not (folder / file).is_file():
            raise DataError(f"{folder} lacks {file}, which {INDEX} names; fetch the folder again")
        of_file = files.setdefault(folder / file, [])
        assert of_file is not None
        of_file.append(name)
    return files


def require_weights(file: Path) -> None:
    """Raises DataError for what is no whole safetensors file."""
    _headers(file)


def _headers(file: Path) -> dict[str, Stored]:
    """The tensors of a file; the library checks that they fill it without gaps and overlaps."""
    try:
        with safe_open(file, framework="numpy") as opened:
            slices = {name: opened.get_slice(name) for name in opened.keys()}  # noqa: SIM118 - no mapping
            stored = {
                name: Stored(file, tuple(each.get_shape()), each.get_dtype()) for name, each in slices.items()
            }
    except (OSError, SafetensorError, ValueError) as error:
        reason = " ".join(str(error).split())
        raise DataError(f"{file} is truncated or no safetensors file ({reason}); fetch it again") from error
    if os.path.getsize(file) < sum(BYTES.get(s.dtype, 1) * math.prod(s.shape) for s in stored.values()):
        raise DataError(f"{file} is truncated; fetch it again")
    for name, each in stored.items():
        if each.dtype not in BYTES:
            raise DataError(
                f"{file} holds {name} as {each.dtype}, which cannot be read; take one in F32 or BF16"
            )
    return stored
