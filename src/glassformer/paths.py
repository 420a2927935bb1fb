"""Paths as people type them."""

import os
from pathlib import Path

from glassformer.errors import UsageError


def user_path(name: str) -> Path:
    """The file or folder of that name; a ~ at its beginning is the home folder, where there is one."""
    return Path(os.path.expanduser(name))


def require_path(name: str) -> None:
    """Raises UsageError where there is no file or folder of that name."""
    if not user_path(name).exists():
        raise UsageError(f"there is no file or folder {name}; check the path")
