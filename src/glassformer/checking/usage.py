"""Whose functions compute while the code under check is called: PyTorch's own attention, other libraries.

Two looks: at the calls of torch's functions as Python makes them, which have a line, and at the kernels that
torch's profiler notes, whoever starts them (a traced graph, another thread). Code that wants to hide it can:
it runs in the same process. `exercises.tracing` reads its text besides.
"""

import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import torch
from torch.autograd.profiler import profile
from torch.overrides import TorchFunctionMode, handle_torch_function
from torch.profiler import _ExperimentalConfig

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
        self._kernels: Any = None

    def __enter__(self) -> "Usage":
        with _silent():
            self._kernels = profile(experimental_config=_ExperimentalConfig(profile_all_threads=True))
            self._kernels.__enter__()
        super().__enter__()
        return self

    def __exit__(self, exc_type: Any, exc_val: Any, exc_tb: Any) -> None:
        super().__exit__(exc_type, exc_val, exc_tb)
        with _silent():
            self._kernels.__exit__(None, None, None)
        for each in self._kernels.function_events:
            name = each.name.rpartition("::")[2]
            if name in self._functions:
                self.seen.setdefault(name, 0)

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
    if any(_decides(each.__torch_function__) for each in types):
        return True
    if asked.f_code is not ASKS or asked.f_back is None:
        return False
    whose = asked.f_back.f_code.co_filename
    return whose == ASKS.co_filename or not whose.startswith(TORCH)


def _decides(override: Any) -> bool:
    """Whether it is code from outside torch; of parameters, say, it is a function of torch's in C."""
    code = getattr(getattr(override, "__func__", override), "__code__", None)
    if code is None:
        return override is not torch._C._disabled_torch_function_impl
    return not code.co_filename.startswith(TORCH)


@contextmanager
def _silent() -> Iterator[None]:
    """The profiler writes lines of its own when it starts and when it stops."""
    before = os.dup(2)
    nowhere = os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(before, 2)
        os.close(nowhere)
        os.close(before)
