"""What a user would pick instead: TF-IDF, naive-Bayes features; names are imported on first use."""

from importlib import import_module
from typing import Any

_HOME = {
    "FittedBaseline": "text",
    "TEXT_BASELINES": "text",
    "TextBaseline": "text",
    "fit": "text",
    "TextSource": "cache",
    "baseline_scores": "cache",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - the names above are the only list


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
