"""Published checkpoints mapped onto Glassformer's own parts.

>>> from glassformer import pretrained
>>> model = pretrained.load("FOLDER or NAME")  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassformer.pretrained.loading import load
    from glassformer.pretrained.sources import find

_MODULE_OF = {"find": "sources", "load": "loading"}

__all__ = ["find", "load"]


def __getattr__(name: str) -> Any:
    """Imports lazily: to look into a folder takes no torch."""
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
