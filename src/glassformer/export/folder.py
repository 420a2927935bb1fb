"""An exported model is a folder: what stands where in it, and how it appears whole or not at all."""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from glassformer.cache import write_folder_atomically
from glassformer.errors import DataError, UsageError
from glassformer.training.run_folder import EXPORT, read_json

GRAPH, CARD = "model.onnx", "README.md"
EXPORT_VERSION = 2
"""1 had no checksums of the configuration, the figures and the provenance."""

WAY_OUT = "export the run anew"


def require_free(folder: Path) -> None:
    """Raises UsageError where something stands in the folder already, or none can be made there."""
    above = next((each for each in folder.absolute().parents if each.exists()), folder)
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise UsageError(
            f"{folder} cannot be made, since {above} is no folder to write into; choose another --out"
        )
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise UsageError(f"{folder} is there and not an empty folder; choose another --out, or delete it")


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Writes all files, or none."""

    def write(scratch: Path) -> None:
        for name, content in files.items():
            (scratch / name).write_bytes(content)

    write_folder_atomically(folder, write)


def as_json(content: Mapping[str, Any]) -> bytes:
    """JSON for people and programs."""
    return (json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n").encode()


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read_export(folder: Path) -> dict[str, Any]:
    """What export.json says. Raises DataError where it is broken or of another version."""
    path = folder / EXPORT
    content = read_json(path)
    version = content.get("schema_version") if isinstance(content, dict) else None
    if version != EXPORT_VERSION:
        raise DataError(
            f"{path} is of version {version}, this glassformer reads version {EXPORT_VERSION}; {WAY_OUT}"
        )
    if not isinstance(content.get("sha256"), dict) or not isinstance(content.get("parameters"), int):
        raise DataError(f"{path} is broken (it has no checksums or no count of parameters); {WAY_OUT}")
    return content


def read_checked(folder: Path, name: str, recorded: Mapping[str, str]) -> bytes:
    """The bytes of a file. Raises DataError where it is missing, or not what was exported."""
    try:
        content = (folder / name).read_bytes()
    except OSError as error:
        raise DataError(f"{folder} is incomplete (it has no {name}); {WAY_OUT}") from error
    if sha256(content) != recorded.get(name):
        raise DataError(f"{folder / name} is not what was exported (its checksum differs); {WAY_OUT}")
    return content
