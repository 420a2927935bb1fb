"""Values as bytes between the checker and the process that runs the code under check.

A frame is eight bytes for two lengths, a header in JSON, then the bytes of the arrays one after another. JSON
and not pickle: whoever unpickles runs what the other side wishes, and the other side is the code under check.
So nothing here trusts a frame. It is at most `TOTAL` bytes, nested to `DEPTH`, of `COUNT` values; the arrays
are of `DTYPES` and fill the frame exactly; every field of a dataclass has the type that is declared for it.
"""

import json
import math
import os
import struct
from collections.abc import Callable, Mapping
from dataclasses import fields
from types import UnionType
from typing import Any, NoReturn, Union, get_args, get_origin, get_type_hints

import numpy as np

from glassformer.checking.exchange import Argument, Built, Namespace, Offer, Result, Step

TOTAL = 64 * 2**20
HEADER = 8 * 2**20
"""Lists take far more memory than their text, so the header may be much less than the arrays."""
DEPTH = 32
COUNT = 200_000
AXES = 32
DTYPES = {
    name: np.dtype(name).newbyteorder("<")
    for name in (
        "float64", "float32", "float16", "bool",
        "int64", "int32", "int16", "int8", "uint64", "uint32", "uint16", "uint8",
    )
}  # fmt: skip
RECORDS: dict[str, type[Any]] = {
    each.__name__: each for each in (Argument, Built, Namespace, Offer, Result, Step)
}
HINTS = {name: get_type_hints(each) for name, each in RECORDS.items()}
LENGTHS = struct.Struct("<II")


class WireError(ValueError):
    """No frame of this kind: broken, too large, or holding what is no plain value."""


def pack(value: Any) -> bytes:
    """The frame of a value."""
    arrays: list[bytes] = []
    header = _dumped(_encoded(value, arrays, _Counter()))
    body = sum(map(len, arrays))
    if len(header) > HEADER or len(header) + body > TOTAL:
        raise WireError(f"{len(header) + body} bytes, {len(header)} of them for no arrays, are too many")
    return b"".join((LENGTHS.pack(len(header), body), header, *arrays))


def unpack(frame: bytes | bytearray) -> Any:
    """The value of one whole frame."""
    if len(frame) < LENGTHS.size:
        raise WireError("the frame is cut off")
    header, body = _lengths(frame[: LENGTHS.size])
    if len(frame) != LENGTHS.size + header + body:
        raise WireError("the frame is not as long as it says")
    start = LENGTHS.size + header
    # RecursionError: brackets nested too deep for the parser
    try:
        tree = json.loads(bytes(frame[LENGTHS.size : start]).decode("ascii"))
    except (ValueError, RecursionError) as error:
        raise WireError(f"the header is no JSON: {error}") from None
    decoder = _Decoder(memoryview(frame)[start:])
    value = decoder.value(tree)
    if len(decoder.left):
        raise WireError("bytes are left over")
    return value


def write(descriptor: int, frame: bytes) -> None:
    """Writes a frame, all of it."""
    left = memoryview(frame)
    while left:
        left = left[os.write(descriptor, left[: 2**20]) :]


def receive(descriptor: int) -> Any:
    """Waits for one frame and gives its value; EOFError where the other side has closed."""
    lengths = _read(descriptor, LENGTHS.size)
    header, body = _lengths(lengths)
    return unpack(lengths + _read(descriptor, header + body))


def fits(value: Any, hint: Any) -> bool:
    """Whether a decoded value is of a type: exactly, so that True is no int and no subclass passes."""
    if hint is Any:
        return True
    origin, of = get_origin(hint), get_args(hint)
    if origin in (Union, UnionType):
        return any(fits(value, each) for each in of)
    if origin is tuple:  # tuple[X, ...] is the only kind here
        return type(value) is tuple and all(fits(each, of[0]) for each in value)
    if origin is list:
        return type(value) is list and all(fits(each, of[0]) for each in value)
    if origin in (dict, Mapping):
        return type(value) is dict and all(fits(k, of[0]) and fits(v, of[1]) for k, v in value.items())
    return type(value) is (type(None) if hint is None else hint)


class _Counter:
    def __init__(self) -> None:
        self.count = 0

    def step(self, depth: int) -> None:
        self.count += 1
        if self.count > COUNT or depth > DEPTH:
            raise WireError(f"more than {COUNT} values, or nested deeper than {DEPTH}")


def _dumped(tree: Any) -> bytes:
    # ValueError: an integer of thousands of digits
    try:
        return json.dumps(tree, separators=(",", ":")).encode("ascii")
    except ValueError as error:
        raise WireError(str(error)) from None


def _encoded(value: Any, arrays: list[bytes], counter: _Counter, depth: int = 0) -> Any:
    """JSON has lists and scalars of its own; everything else becomes an object of one key, its tag."""
    counter.step(depth)
    if isinstance(value, np.generic):
        value = value.item()
    if value is None or isinstance(value, (bool, int, float, str)):
        return value

    def inner(each: Any) -> Any:
        return _encoded(each, arrays, counter, depth + 1)

    if isinstance(value, np.ndarray):
        return {"a": _encoded_array(value, arrays)}
    if isinstance(value, list):
        return [inner(each) for each in value]
    if isinstance(value, tuple):
        return {"t": [inner(each) for each in value]}
    if isinstance(value, Mapping):
        return {"d": [[inner(key), inner(each)] for key, each in value.items()]}
    name = type(value).__name__
    if RECORDS.get(name) is type(value):
        return {"r": [name, *(inner(getattr(value, each.name)) for each in fields(value))]}
    raise WireError(f"{name} is no plain value")


def _encoded_array(value: np.ndarray, arrays: list[bytes]) -> list[Any]:
    bare = np.asarray(value)
    if bare.dtype.kind == "f" and bare.dtype.name not in DTYPES:
        bare = bare.astype(np.float64)  # the long double of this machine
    if bare.dtype.name not in DTYPES:
        raise WireError(f"an array of {bare.dtype} is no plain value")
    if bare.nbytes > TOTAL:  # before it is copied
        raise WireError(f"an array of {bare.nbytes} bytes is too large")
    arrays.append(bare.astype(DTYPES[bare.dtype.name]).tobytes())
    return [bare.dtype.name, list(bare.shape)]


class _Decoder:
    def __init__(self, body: memoryview) -> None:
        self.left = body
        self.counter = _Counter()

    def value(self, tree: Any, depth: int = 0) -> Any:
        self.counter.step(depth)
        if isinstance(tree, list):
            return [self.value(each, depth + 1) for each in tree]
        if isinstance(tree, str):
            return _printable(tree)
        if not isinstance(tree, dict):
            return tree
        if len(tree) != 1:
            _malformed()
        ((tag, held),) = tree.items()
        decode = self._tags().get(tag)
        if decode is None or not isinstance(held, list):
            _malformed()
        return decode(held, depth + 1)

    def _tags(self) -> dict[str, Callable[[list[Any], int], Any]]:
        return {"a": self._array, "t": self._tuple, "d": self._dict, "r": self._record}

    def _tuple(self, held: list[Any], depth: int) -> tuple[Any, ...]:
        return tuple(self.value(each, depth) for each in held)

    def _dict(self, held: list[Any], depth: int) -> dict[Any, Any]:
        found = {}
        for pair in held:
            if not isinstance(pair, list) or len(pair) != 2 or isinstance(pair[0], (list, dict)):
                _malformed()
            found[self.value(pair[0], depth)] = self.value(pair[1], depth)
        return found

    def _record(self, held: list[Any], depth: int) -> Any:
        name = held[0] if held else None
        if not isinstance(name, str) or name not in RECORDS:
            _malformed()
        names = [each.name for each in fields(RECORDS[name])]
        values = [self.value(each, depth) for each in held[1:]]
        hints = HINTS[name]
        if len(values) != len(names) or not all(
            fits(each, hints[key]) for key, each in zip(names, values, strict=True)
        ):
            raise WireError(f"{name} has other fields")
        return RECORDS[name](*values)

    def _array(self, held: list[Any], depth: int) -> np.ndarray:
        if len(held) != 2 or not isinstance(held[0], str) or held[0] not in DTYPES:
            _malformed()
        dtype, shape = DTYPES[held[0]], held[1]
        if not isinstance(shape, list) or len(shape) > AXES:
            _malformed()
        if not all(type(each) is int and 0 <= each < 2**31 for each in shape):
            _malformed()
        size = math.prod(shape) * dtype.itemsize
        if size > len(self.left):
            raise WireError("an array is larger than its bytes")
        taken, self.left = self.left[:size], self.left[size:]
        # a bool of any byte but 0 and 1 would behave as no bool does
        flat = np.frombuffer(taken, np.uint8) != 0 if dtype.kind == "b" else np.frombuffer(taken, dtype)
        # ValueError: no elements, but axes whose product no array may have
        try:
            return flat.astype(dtype.newbyteorder("="), copy=True).reshape(shape)
        except ValueError as error:
            raise WireError(str(error)) from None


def _printable(text: str) -> str:
    """Half of a surrogate pair as a question mark: whoever prints one would fail."""
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")


def _malformed() -> NoReturn:
    raise WireError("the header has no value of this form")


def _lengths(data: bytes | bytearray) -> tuple[int, int]:
    header, body = LENGTHS.unpack(data)
    if header > HEADER or header + body > TOTAL:
        raise WireError(f"a frame of {header + body} bytes is too large")
    return header, body


def _read(descriptor: int, size: int) -> bytearray:
    """Grows with what arrives: a length that is only claimed takes no memory."""
    found = bytearray()
    while len(found) < size:
        part = os.read(descriptor, min(size - len(found), 2**20))
        if not part:
            raise EOFError
        found += part
    return found
