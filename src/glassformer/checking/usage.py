"""Whose functions compute while the code under check is called: PyTorch's own attention, other libraries.

Code that wants to hide it can: it runs in the same process. `exercises.tracing` reads its text besides.
"""

import os
import sys
from collections.abc import Iterable
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode, handle_torch_function

RUNNER = __file__.replace("usage.py", "runner.py")
TORCH = f"{Path(torch.__file__).parent}{os.sep}"
ASKS = handle_torch_function.__code__
REPLACES = "torch.overrides"
"""Seen where the code has functions of its own run in place of torch's: what those compute is not seen."""


class Usage(TorchFunctionMode):
    """Notes each of these functions of torch, and each of these libraries, that computes while this is on.

    seen: its name, or `REPLACES` -> the line of the file under check from which it was reached, 0 where that
    is unknown.
    """

    def __init__(self, functions: Iterable[str], libraries: Iterable[str]) -> None:
        super().__init__()
        self.filename = ""
        self.seen: dict[str, int] = {}
        self._functions = frozenset(functions)
        self._libraries = tuple(f"{each}." for each in libraries)

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        name = str(getattr(func, "__name__", "")).partition(".")[0]
        library, line = self._asked_by()
        if _replaces(types, sys._getframe(1)):
            self.seen.setdefault(REPLACES, line)
        elif name in self._functions:
            self.seen.setdefault(name, line)
        elif library:
            self.seen.setdefault(library, line)
        return func(*args, **(kwargs or {}))

    def _asked_by(self) -> tuple[str, int]:
        """The library between torch and the file under check, if one is; and the line of that file."""
        library, frame = "", sys._getframe(2)
        while frame and frame.f_code.co_filename != RUNNER:
            if frame.f_code.co_filename == self.filename:
                return library, frame.f_lineno
            module = str(frame.f_globals.get("__name__", ""))
            within = f"{module}.".startswith(self._libraries)
            library = module if within else library
            frame = frame.f_back
        return library, 0


def _replaces(types: Iterable[Any], asked: FrameType) -> bool:
    """Whether a class of tensors, or code outside torch that asked for it, decides what runs."""
    usual = Tensor.__torch_function__.__func__
    if any(getattr(each.__torch_function__, "__func__", None) is not usual for each in types):
        return True
    if asked.f_code is not ASKS or asked.f_back is None:
        return False
    whose = asked.f_back.f_code.co_filename
    return whose == ASKS.co_filename or not whose.startswith(TORCH)
