"""Runs the code under check: loads it, builds it, calls it. It knows nothing of what is right.

Only plain values go in and come out (numbers, text, lists, NumPy arrays), so that a `Runner` can sit in this
process or, behind `isolation`, in one of its own: whoever compares never touches an object of the code under
check.
"""

import contextlib
import copy
import inspect
import linecache
import random
import sys
import traceback
import warnings
from collections.abc import Callable, Mapping, Sequence
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from glassformer.checking.exchange import Built, CodeError, Offer, Result, Step, cotangent
from glassformer.checking.plain import (
    arguments_of,
    arrays_of,
    first_tensor,
    hidden_modules,
    hidden_parameters,
    needs_arguments,
    offered,
    plain,
    received,
    settings,
)
from glassformer.checking.usage import Usage

MODULE = "code_under_check"
DTYPES = {
    "float64": torch.float64, "float32": torch.float32, "float16": torch.float16, "bfloat16": torch.bfloat16,
}  # fmt: skip


def quiet_torch() -> None:
    """Torch's own warnings are about what a check gives, and are not shown as the code's."""
    warnings.filterwarnings("ignore", module=r"torch(\.|$)")
    warnings.filterwarnings("ignore", message=r"(?s).*(Triggered internally at|enable_nested_tensor)")


class Runner:
    """Loads one piece of code and answers questions about it. Raises CodeError for what that code raises."""

    def __init__(self) -> None:
        self._module: Any = None
        self._filename = ""
        self._built: list[Any] = []
        self._usage: Usage | None = None

    def watch(self, functions: Sequence[str], libraries: Sequence[str]) -> None:
        """From now on calls note which of these functions of torch, and which of these libraries, compute."""
        self._usage = Usage(functions, libraries)

    def usage(self) -> dict[str, int]:
        """What was noted: name -> line of the file under check."""
        return dict(self._usage.seen) if self._usage else {}

    def load(self, text: str, filename: str) -> list[Offer]:
        """Executes the source of a file; gives what it defines, in the order of its lines."""
        self._filename = filename
        module = ModuleType(MODULE)
        module.__file__ = filename
        sys.modules[MODULE] = module
        lines = text.splitlines(keepends=True)
        linecache.cache[filename] = (len(text), None, lines, filename)  # inspect and tracebacks read it there

        def execute() -> None:
            exec(compile(text, filename, "exec"), module.__dict__)

        self._guarded(execute)
        self._module = module
        return self._offers(vars(module), lambda found: getattr(found, "__module__", None) == MODULE)

    def load_module(self, name: str) -> list[Offer]:
        """Imports a module by its dotted name; gives its public classes and functions."""
        import importlib

        module = self._guarded(lambda: importlib.import_module(name))
        self._module, self._filename = module, getattr(module, "__file__", None) or name
        return self._offers(
            {key: each for key, each in vars(module).items() if not key.startswith("_")},
            lambda found: True,
        )

    def load_object(self, found: Any) -> list[Offer]:
        """Takes a class, a function or a module instance of this process."""
        name = getattr(found, "__name__", type(found).__name__)
        if isinstance(found, nn.Module):
            found = copy.deepcopy(found)  # its parameters will be changed
        self._module = SimpleNamespace(**{name: found})
        try:
            self._filename = inspect.getsourcefile(found if callable(found) else type(found)) or ""
        except TypeError:
            self._filename = ""
        return [offered(name, found)]

    def build(
        self,
        name: str,
        arguments: Sequence[Any] = (),
        keywords: Mapping[str, Any] | None = None,
        seed: int = 0,
    ) -> Built:
        """Calls the constructor, or a function named build; any other function is its own instance.

        So is one named build that is given nothing and needs something, as `build_causal_mask(size)` does.
        """
        found = getattr(self._module, name)
        given_something = arguments or keywords or not needs_arguments(found)
        if isinstance(found, type) or (name.startswith("build") and given_something):
            given = [received(each, torch.float64, False) for each in arguments]
            named = {key: received(each, torch.float64, False) for key, each in (keywords or {}).items()}
            found = self._guarded(lambda: found(*given, **named), seed)
        self._built.append(found)
        handle = len(self._built) - 1
        if not isinstance(found, nn.Module):
            called = found if inspect.isfunction(found) else vars(type(found)).get("__call__")
            takes = arguments_of(called, drop_first=not inspect.isfunction(found))
            return Built(handle, {}, {}, {}, {"": settings(found)}, takes)
        return Built(
            handle,
            {key: tuple(each.shape) for key, each in found.named_parameters()},
            {key: tuple(each.shape) for key, each in found.named_buffers()},
            {key: type(each).__name__ for key, each in found.named_modules()},
            {key: settings(each) for key, each in found.named_modules()},
            arguments_of(type(found).forward, drop_first=True),
            {key: tuple(each.shape) for key, each in hidden_parameters(found).items()},
            {
                f"{key}.{name}" if name else key: type(each).__name__
                for key, module in hidden_modules(found).items()
                for name, each in module.named_modules()
            },
        )

    def parameters(self, handle: int) -> dict[str, np.ndarray]:
        """The values of the parameters as they are."""
        found = self._built[handle]
        if not isinstance(found, nn.Module):
            return {}
        return {key: plain(each.detach()) for key, each in found.named_parameters()}

    def arrays(self, handle: int) -> dict[str, np.ndarray]:
        """The NumPy arrays that an instance keeps as attributes; "name.key" for those in a dictionary."""
        return self._guarded(lambda: dict(arrays_of(self._built[handle])))

    def assign(self, handle: int, values: Mapping[str, np.ndarray]) -> None:
        """Sets attributes under the names that `arrays` gives them."""

        def execute() -> None:
            for name, value in values.items():
                owner, _, key = name.partition(".")
                if key:
                    vars(self._built[handle])[owner][key] = value.copy()
                else:
                    setattr(self._built[handle], name, value.copy())

        self._guarded(execute)

    def call(
        self,
        handle: int,
        arguments: Sequence[Any],
        keywords: Mapping[str, Any] | None = None,
        *,
        parameters: Mapping[str, np.ndarray] | None = None,
        method: str | None = None,
        train: bool = False,
        seed: int = 0,
        dtype: str = "float64",
        gradient: bool = False,
        as_numpy: bool = False,
        steps: bool = False,
        how: str = "",
    ) -> Result:
        """Calls an instance, in eval mode unless told to train, after its parameters were set to these.

        Arrays of floats become tensors of `dtype`, bools and integers keep theirs; with `as_numpy` they stay
        arrays. gradient: of the first tensor of the output against `cotangent`, under the names of the
        parameters, "argument 0" and so on for the places, "argument NAME" for what was given by name.
        Hidden parameters are looked after where `parameters` has some of them.
        steps: keep what is computed on the way. how: "autocast", to bfloat16, or "compiled", by
        torch.compile as one graph (traced, not made machine code), which raises where it cannot be one.
        """
        found = self._built[handle]
        kind = DTYPES[dtype]
        named: dict[str, Tensor] = {}
        if isinstance(found, nn.Module):
            found.to(kind).train(train)
            named = dict(found.named_parameters())
            if parameters is not None:
                if not set(parameters) <= set(named):
                    for module in hidden_modules(found).values():
                        module.to(kind).train(train)
                    named |= hidden_parameters(found)
                with torch.no_grad():
                    for key, values in parameters.items():
                        named[key].data = named[key].to(kind)
                        named[key].copy_(torch.from_numpy(values))
            for each in named.values():
                each.requires_grad_(True)
                each.grad = None
        given = [received(each, kind, as_numpy) for each in arguments]
        named_given = {key: received(each, kind, as_numpy) for key, each in (keywords or {}).items()}
        leaves = {f"argument {place}": each for place, each in enumerate(given)}
        leaves |= {f"argument {key}": each for key, each in named_given.items()}
        leaves = {k: v for k, v in leaves.items() if isinstance(v, Tensor) and v.is_floating_point()}
        if gradient:
            for each in leaves.values():
                each.requires_grad_(True)
        callee = getattr(found, method) if method else found
        if how == "compiled":
            callee = torch.compile(callee, backend="eager", fullgraph=True)
        cast = torch.autocast("cpu", torch.bfloat16, enabled=how == "autocast")

        watched = _Watched(self._filename) if steps else contextlib.nullcontext()
        used = self._usage or contextlib.nullcontext()
        if self._usage:
            self._usage.filename = self._filename

        def execute() -> tuple[Any, dict[str, np.ndarray]]:
            with torch.set_grad_enabled(gradient or isinstance(found, nn.Module)), watched, used, cast:
                output = callee(*given, **named_given)
            return output, self._gradients(output, leaves | named) if gradient else {}

        output, gradients = self._guarded(execute, seed, kind)
        return Result(plain(output), gradients, watched.steps if isinstance(watched, _Watched) else [])

    def _gradients(self, output: Any, leaves: Mapping[str, Tensor]) -> dict[str, np.ndarray]:
        first = first_tensor(output)
        if first is None or not first.requires_grad:
            return {}
        aim = torch.from_numpy(cotangent(first.shape)).to(first.dtype)
        (first * aim).sum().backward()
        return {key: plain(each.grad) for key, each in leaves.items() if each.grad is not None}

    def _guarded(self, work: Callable[[], Any], seed: int = 0, dtype: torch.dtype = torch.float64) -> Any:
        """Runs a piece of the code under check; whatever it raises becomes a CodeError with its line."""
        before = torch.get_default_dtype()
        random.seed(seed)
        torch.manual_seed(seed)
        np.random.seed(seed)  # noqa: NPY002 - the code under check may draw from it
        torch.set_default_dtype(dtype if dtype in (torch.float32, torch.float64) else torch.float32)
        try:
            return work()
        except SyntaxError as error:
            shown = "".join(traceback.format_exception_only(error)).rstrip()
            raise CodeError("SyntaxError", shown, error.lineno or 0) from None
        except KeyboardInterrupt:
            raise
        except BaseException as error:
            raise CodeError(type(error).__name__, str(error), _line(error, self._filename)) from None
        finally:
            torch.set_default_dtype(before)

    def _offers(self, names: Mapping[str, Any], counts: Callable[[Any], bool]) -> list[Offer]:
        found = [
            offered(name, each)
            for name, each in names.items()
            if (inspect.isclass(each) or inspect.isfunction(each) or isinstance(each, nn.Module))
            and (
                counts(each) or (isinstance(each, type) and not name.startswith("_") and _renamed(name, each))
            )
        ]
        return sorted(found, key=lambda offer: offer.line)


def _renamed(name: str, found: type) -> bool:
    """`MyAttention = nn.MultiheadAttention`: a class under a name of the file's own."""
    return issubclass(found, nn.Module) and found.__name__ != name


class _Watched(TorchFunctionMode):
    """Keeps the small tensors of floats that torch's functions give, each with the line that asked for it."""

    COUNT, SIZE = 400, 20_000

    def __init__(self, filename: str) -> None:
        super().__init__()
        self.steps: list[Step] = []
        self._filename = filename

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        given = func(*args, **(kwargs or {}))
        for each in given if isinstance(given, (tuple, list)) else (given,):
            small = type(each) is Tensor and each.is_floating_point() and each.numel() <= self.SIZE
            if small and len(self.steps) < self.COUNT:
                self.steps.append(Step(self._asked_from(), plain(each)))
        return given

    def _asked_from(self) -> int:
        frame = sys._getframe(2)
        while frame and frame.f_code.co_filename != self._filename:
            frame = frame.f_back
        return frame.f_lineno if frame else 0


def _line(error: BaseException, filename: str) -> int:
    """The last line of the file under check that the error passed through."""
    lines = [
        frame.lineno or 0 for frame in traceback.extract_tb(error.__traceback__) if frame.filename == filename
    ]
    return lines[-1] if lines else 0
