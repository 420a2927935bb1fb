"""What a user would pick instead, for texts and for images; names are imported on first use."""

from importlib import import_module
from typing import Any

_HOME = {
    "Baseline": "text",
    "FittedBaseline": "text",
    "TEXT_BASELINES": "text",
    "fit": "text",
    "IMAGE_BASELINES": "images",
    "SplitSource": "cache",
    "baseline_scores": "cache",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - the names above are the only list


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
