"""Judges other people's attention and transformer code, and names what is wrong with it.

>>> from glassformer.checking import check
>>> import torch
>>> check(torch.nn.MultiheadAttention, "multi-head attention").word
'correct'

Names are imported when first used, so that a command can start its process before torch is imported here.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from glassformer.checking.checks import assert_correct, check, check_file
    from glassformer.checking.verdict import Finding, Verdict

_MODULE_OF = {
    "Finding": "verdict",
    "Verdict": "verdict",
    "assert_correct": "checks",
    "check": "checks",
    "check_file": "checks",
}

__all__ = ["Finding", "Verdict", "assert_correct", "check", "check_file"]


def __getattr__(name: str) -> Any:
    if name in _MODULE_OF:
        return getattr(import_module(f"{__name__}.{_MODULE_OF[name]}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
