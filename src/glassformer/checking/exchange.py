"""What goes into the code under check and comes out of it: plain values, so that they cross processes."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Namespace:
    """A configuration object: what a constructor reads as `config.d_model`."""

    values: Mapping[str, Any]


@dataclass(frozen=True)
class Argument:
    """One argument of a signature. kind: positional, either, keyword, args or kwargs."""

    name: str
    kind: str
    default: Any
    required: bool
    annotation: str


@dataclass(frozen=True)
class Offer:
    """A class or function of the code under check. arguments: of its constructor, or of the function."""

    name: str
    kind: str
    line: int
    arguments: tuple[Argument, ...]
    forward: tuple[Argument, ...]
    doc: str
    is_module: bool


@dataclass(frozen=True)
class Built:
    """An instance. modules: name -> class name of its submodules; settings: name -> plain attributes.

    forward: what it takes when it is called; empty where Python cannot say. hidden: parameters in plain lists
    and dictionaries, which torch does not see, and hidden_modules: the modules there; neither is among the
    others.
    """

    handle: int
    parameters: dict[str, tuple[int, ...]]
    buffers: dict[str, tuple[int, ...]]
    modules: dict[str, str]
    settings: dict[str, dict[str, Any]]
    forward: tuple[Argument, ...] = ()
    hidden: dict[str, tuple[int, ...]] = field(default_factory=dict)
    hidden_modules: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A tensor computed on the way. line: of the file under check, 0 where none of its lines asked for it."""

    line: int
    value: np.ndarray


@dataclass(frozen=True)
class Result:
    """What a call gave. gradients: of sum(output * cotangent), by name of parameter or argument."""

    output: Any
    gradients: dict[str, np.ndarray] = field(default_factory=dict)
    steps: list[Step] = field(default_factory=list)


class CodeError(Exception):
    """The code under check raised. line: of its own file, 0 where unknown."""

    def __init__(self, kind: str, message: str, line: int = 0) -> None:
        super().__init__(f"{kind}: {message}" if message else kind)
        self.kind, self.message, self.line = kind, message, line


def cotangent(shape: Sequence[int]) -> np.ndarray:
    """What the gradient of an output of this shape is taken against: fixed, so that both sides know it."""
    return np.cos(1.0 + 1.7 * np.arange(int(np.prod(shape)), dtype=np.float64)).reshape(tuple(shape))
