"""Paths as people type them."""

import os
from pathlib import Path


def user_path(name: str) -> Path:
    """The file or folder of that name; a ~ at its beginning is the home folder, where there is one."""
    return Path(os.path.expanduser(name))
