"""Where things are kept that can be made again: tokenisers, encoded texts, fitted baselines."""

import hashlib
import os
from pathlib import Path


def cache_folder() -> Path:
    """GLASSFORMER_CACHE, else the platform's cache folder."""
    if chosen := os.environ.get("GLASSFORMER_CACHE"):
        return Path(chosen).expanduser()
    from platformdirs import user_cache_path

    return user_cache_path("glassformer")


def cache_key(*facts: object) -> str:
    """A file name that changes whenever one of the facts does."""
    return hashlib.sha256("\0".join(map(str, facts)).encode()).hexdigest()[:24]
