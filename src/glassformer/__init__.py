"""Transformers with nothing hidden: every part from scratch, proven, trained, compared and explained.

>>> import glassformer
>>> glassformer.load("runs/imdb/my-run").predict(["A wonderful film."])  # doctest: +SKIP
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassformer.loading import load
    from glassformer.tasks.classification import Prediction
    from glassformer.tasks.sequence_to_sequence import Written
    from glassformer.training.loaded import LoadedRun

_MODULE_OF = {
    "LoadedRun": "training.loaded",
    "Prediction": "tasks.classification",
    "Written": "tasks.sequence_to_sequence",
    "load": "loading",
}

__all__ = ["LoadedRun", "Prediction", "Written", "load"]


def __getattr__(name: str) -> Any:
    """Imports lazily, so that `import glassformer` does not wait for torch."""
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module 'glassformer' has no attribute {name!r}")
