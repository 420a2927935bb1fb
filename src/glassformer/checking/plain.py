"""The objects of the code under check as plain values, and plain values as what it is given."""

import inspect
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from glassformer.checking.exchange import Argument, Namespace, Offer

SCALARS = (bool, int, float, str)
KINDS = {
    inspect.Parameter.POSITIONAL_ONLY: "positional",
    inspect.Parameter.POSITIONAL_OR_KEYWORD: "either",
    inspect.Parameter.KEYWORD_ONLY: "keyword",
    inspect.Parameter.VAR_POSITIONAL: "args",
    inspect.Parameter.VAR_KEYWORD: "kwargs",
}


class Record(SimpleNamespace):
    """A namespace that can be unpacked and asked by key or place too, as a named tuple or a dict."""

    def __iter__(self) -> Iterator[Any]:
        return iter(vars(self).values())

    def __getitem__(self, key: str | int) -> Any:
        return vars(self)[key] if isinstance(key, str) else list(self)[key]

    def get(self, key: str, default: Any = None) -> Any:
        return vars(self).get(key, default)


def offered(name: str, found: Any) -> Offer:
    is_class = isinstance(found, type)
    is_module = issubclass(found, nn.Module) if is_class else isinstance(found, nn.Module)
    try:
        line = inspect.getsourcelines(found)[1] if is_class or inspect.isfunction(found) else 0
    except (OSError, TypeError):
        line = 0
    forward: tuple[Argument, ...] = ()
    if is_class or is_module:
        owner: Any = found if is_class else type(found)
        called = owner.forward if is_module else vars(owner).get("__call__")
        forward = arguments_of(called, drop_first=True) if inspect.isfunction(called) else ()
    own = (
        arguments_of(found.__init__, drop_first=True)
        if is_class
        else arguments_of(found)
        if not is_module
        else ()
    )
    return Offer(
        name,
        "class" if is_class else "instance" if is_module else "function",
        line,
        own,
        forward,
        inspect.getdoc(found) or "" if not (is_class and found.__doc__ is None) else "",
        is_module,
    )


def arguments_of(function: Any, drop_first: bool = False) -> tuple[Argument, ...]:
    try:
        parameters = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        return ()
    empty = inspect.Parameter.empty
    return tuple(
        Argument(
            each.name,
            KINDS[each.kind],
            each.default
            if isinstance(each.default, (*SCALARS, type(None))) and each.default is not empty
            else None,
            each.default is empty and each.kind not in (each.VAR_POSITIONAL, each.VAR_KEYWORD),
            "" if each.annotation is empty else inspect.formatannotation(each.annotation),
        )
        for each in parameters[1 if drop_first else 0 :]
    )


def needs_arguments(found: Any) -> bool:
    return any(each.required for each in arguments_of(found))


def settings(found: Any) -> dict[str, Any]:
    """Plain attributes: eps, p, batch_first."""
    try:
        attributes = dict(vars(found))
    except TypeError:
        return {}
    return {
        key: value
        for key, value in attributes.items()
        if not key.startswith("_") and (value is None or type(value) in SCALARS)
    }


def _hidden(found: nn.Module, kind: type) -> dict[str, Any]:
    """What of a kind stands in lists, tuples and dictionaries of its modules and is not registered."""
    known = {id(each) for each in (*found.modules(), *found.parameters())}
    hidden: dict[str, Any] = {}

    def look(name: str, value: Any, depth: int) -> None:
        if isinstance(value, kind) and id(value) not in known:
            known.add(id(value))
            hidden[name] = value
        elif type(value) in (list, tuple, dict) and depth < 3:
            entries = value.items() if isinstance(value, dict) else enumerate(value)
            for key, each in entries:
                look(f"{name}.{key}", each, depth + 1)

    for owner, module in found.named_modules():
        for key, value in vars(module).items():
            if not key.startswith("_") and type(value) in (list, tuple, dict):
                look(f"{owner}.{key}" if owner else key, value, 0)
    return hidden


def hidden_modules(found: nn.Module) -> dict[str, nn.Module]:
    return _hidden(found, nn.Module)


def hidden_parameters(found: nn.Module) -> dict[str, Tensor]:
    inside = {
        f"{key}.{name}": each
        for key, module in hidden_modules(found).items()
        for name, each in (*module.named_parameters(), *hidden_parameters(module).items())
    }
    return inside | _hidden(found, nn.Parameter)


def arrays_of(found: Any) -> Iterator[tuple[str, np.ndarray]]:
    for name, value in (vars(found) if hasattr(found, "__dict__") else {}).items():
        held = value if isinstance(value, dict) else {"": value}
        for key, each in held.items():
            if isinstance(each, (np.ndarray, np.floating)) and np.asarray(each).dtype.kind in "fiub":
                yield f"{name}.{key}" if key != "" else name, np.array(each)


def received(value: Any, dtype: torch.dtype, as_numpy: bool) -> Any:
    if isinstance(value, np.ndarray) and not as_numpy:
        tensor = torch.from_numpy(value.copy())
        return tensor.to(dtype) if tensor.is_floating_point() else tensor
    if isinstance(value, Namespace):
        return Record(**{key: received(each, dtype, as_numpy) for key, each in value.values.items()})
    if isinstance(value, (list, tuple)):
        return type(value)(received(each, dtype, as_numpy) for each in value)
    return value.copy() if isinstance(value, np.ndarray) else value


def plain(value: Any, depth: int = 0) -> Any:
    """Tensors as arrays, half precision as float32; anything that is no plain value as its type's name."""
    if isinstance(value, Tensor):
        with torch._C.DisableTorchFunctionSubclass():
            bare = value.detach().as_subclass(Tensor).to("cpu")
            if bare.is_sparse or bare.is_quantized:
                bare = bare.to_dense() if bare.is_sparse else bare.dequantize()
            if bare.dtype in (torch.bfloat16, torch.float16):
                bare = bare.float()
            return np.array(bare.resolve_conj().resolve_neg().numpy())
    if isinstance(value, np.ndarray):
        return np.array(value) if value.dtype.kind in "fiub" else f"<array of {value.dtype}>"
    if isinstance(value, np.generic):
        return plain(value.item(), depth)
    if value is None or type(value) in SCALARS:
        return value
    if depth < 4 and isinstance(value, (list, tuple)) and len(value) <= 1000:
        return [plain(each, depth + 1) for each in value]
    if depth < 4 and isinstance(value, Mapping) and len(value) <= 1000:
        return {str(key): plain(each, depth + 1) for key, each in value.items()}
    return f"<{type(value).__name__}>"


def first_tensor(value: Any) -> Tensor | None:
    if isinstance(value, Tensor):
        return value if value.is_floating_point() else None
    if isinstance(value, Mapping):
        value = list(value.values())
    if isinstance(value, (list, tuple)):
        for each in value:
            found = first_tensor(each)
            if found is not None:
                return found
    return None
