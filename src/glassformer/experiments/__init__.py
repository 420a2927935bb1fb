"""Comparisons that are an experiment of their own, outside the tasks; names are imported on first use."""

from importlib import import_module
from typing import Any

_HOME = {
    "BackpropConfig": "config",
    "Comparison": "backprop",
    "SmallestConfig": "config",
}

__all__ = sorted(_HOME)  # noqa: PLE0605 - the names above are the only list


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
