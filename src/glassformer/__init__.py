"""Transformers with nothing hidden: every part from scratch, proven, trained, compared and explained.

>>> import glassformer
>>> glassformer.load("runs/imdb/my-run").predict(["A wonderful film."])  # doctest: +SKIP
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassformer.training.loaded import LoadedRun, Prediction, load

__all__ = ["LoadedRun", "Prediction", "load"]


def __getattr__(name: str) -> Any:
    """Imports lazily, so that `import glassformer` does not wait for torch."""
    if name in __all__:
        from glassformer.training import loaded

        return getattr(loaded, name)
    raise AttributeError(f"module 'glassformer' has no attribute {name!r}")
