"""Frames: what is packed comes back, and no bytes do anything but that or a WireError."""

import json
import math
import os
import pickle
import threading
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from glassformer.checking import wire
from glassformer.checking.exchange import Argument, Built, Namespace, Offer, Result
from glassformer.checking.wire import LENGTHS, WireError, fits, pack, unpack

ARRAYS = st.sampled_from(sorted(wire.DTYPES)).flatmap(
    lambda name: hnp.arrays(np.dtype(name), hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4))
)
TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT
VALUES = st.recursive(
    SCALARS | ARRAYS,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=4).map(tuple)
        | st.dictionaries(SCALARS.filter(lambda each: each == each), inner, max_size=4)
        | st.dictionaries(TEXT, inner, max_size=3).map(Namespace)
        | st.builds(Result, inner, st.dictionaries(TEXT, ARRAYS, max_size=3))
    ),
    max_leaves=20,
)
ARGUMENT = Argument("x", "either", -0.0, False, "Tensor")
RECORDS = [
    ARGUMENT,
    Offer("Attention", "class", 3, (ARGUMENT,), (ARGUMENT, ARGUMENT), "Its text.", True),
    Built(2, {"w": (3, 4), "b": ()}, {}, {"": "Attention"}, {"": {"p": 0.1, "bias": None}}, (ARGUMENT,)),
    Result([np.arange(6.0).reshape(2, 3), None], {"argument 0": np.zeros((0, 3))}),
    Namespace({"d_model": 8, "nested": Namespace({})}),
]


def same(one: Any, other: Any) -> bool:
    """Equal to the last bit and to the type."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, float):
        return (math.isnan(one) and math.isnan(other)) or (one, math.copysign(1, one)) == (
            other, math.copysign(1, other)
        )  # fmt: skip
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return len(one) == len(other) and all(
            same(k, key) and same(v, w) for (k, v), (key, w) in zip(one.items(), other.items(), strict=True)
        )
    if isinstance(one, (Namespace, Result, Built, Offer, Argument)):
        return same(vars(one), vars(other))
    return one == other


def frame(header: Any, body: bytes = b"") -> bytes:
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return LENGTHS.pack(len(text), len(body)) + text + body


@given(VALUES)
@settings(max_examples=150, deadline=None)
def test_what_is_packed_comes_back(value: Any) -> None:
    assert same(unpack(pack(value)), value)


@pytest.mark.parametrize("record", RECORDS, ids=lambda each: type(each).__name__)
def test_records_come_back(record: Any) -> None:
    assert same(unpack(pack(record)), record)


def test_arrays_that_lie_otherwise_in_memory() -> None:
    array = np.arange(24.0).reshape(2, 3, 4)
    for each in (array.T, array[:, ::-2], np.asfortranarray(array), array.astype(">f8"), array[0, 0, 0]):
        back = unpack(pack(each))
        assert np.array_equal(back, each)
    assert unpack(pack(array.astype(np.longdouble))).dtype == np.float64
    back = unpack(pack(array))
    back[0] = 5  # its own memory, and it may be written to


def test_half_a_surrogate_pair_becomes_printable() -> None:
    assert unpack(pack({"\ud800": ["é\udfff"]})) == {"?": ["é?"]}


@pytest.mark.parametrize(
    "value",
    [
        object(), {1, 2}, b"bytes", 1j, np.array([1j]), np.array(["x"]), np.array([object()]), type, len,
        10**10_000, np.zeros(wire.TOTAL), "x" * (wire.HEADER + 1), [0] * (wire.COUNT + 1),
    ],
    ids=lambda each: type(each).__name__,
)  # fmt: skip
def test_what_is_no_plain_value_is_not_packed(value: Any) -> None:
    with pytest.raises(WireError):
        pack([value])


def test_a_value_without_end_is_not_packed() -> None:
    value: list[Any] = []
    value.append(value)
    with pytest.raises(WireError, match="nested deeper"):
        pack(value)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\0\0\0",
        frame(b""),
        frame(b"{"),
        frame(b"\xff"),
        frame(b"[" * 100_000),
        frame(b"[" * 100 + b"]" * 100),
        frame(b"1" * 5000),
        frame([0] * (wire.COUNT + 1)),
        frame([])[:-1],
        frame([]) + b"x",
        frame([], b"x"),
        frame({}),
        frame({"t": [], "d": []}),
        frame({"x": []}),
        frame({"t": {}}),
        frame({"t": None}),
        frame({"d": [[1]]}),
        frame({"d": [[[], 1]]}),
        frame({"d": [[{"t": []}, 1]]}),
        frame({"d": [5]}),
        frame({"a": ["object", [1]]}, bytes(8)),
        frame({"a": ["float64", [2]]}, bytes(8)),
        frame({"a": ["float64", [1]]}, bytes(16)),
        frame({"a": ["float64", [-1]]}, bytes(8)),
        frame({"a": ["float64", [True]]}, bytes(8)),
        frame({"a": ["float64", [0, 2**40]]}),
        frame({"a": ["float64", [0] + [2**30] * 3]}),
        frame({"a": ["float64", [1] * 40]}, bytes(8)),
        frame({"a": ["float64", 1]}, bytes(8)),
        frame({"a": [[], [1]]}, bytes(8)),
        frame({"a": ["float64"]}, bytes(8)),
        frame({"r": []}),
        frame({"r": [5]}),
        frame({"r": ["Runner"]}),
        frame({"r": ["Namespace", 5]}),
        frame({"r": ["Namespace"]}),
        frame({"r": ["Result", None, {"d": [["x", 5]]}]}),
        frame({"r": ["Built", True, *[{"d": []}] * 4, {"t": []}]}),
        frame({"r": ["Built", 0, {"d": [["w", [1]]]}, *[{"d": []}] * 3, {"t": []}]}),
        frame({"r": ["Offer", "x", "class", 0, {"t": [5]}, {"t": []}, "", True]}),
        pickle.dumps(object()),
        LENGTHS.pack(wire.HEADER + 1, 0) + bytes(wire.HEADER + 1),
        LENGTHS.pack(2**32 - 1, 2**32 - 1),
    ],
    ids=lambda each: repr(each[:24]),
)
def test_a_malformed_frame(data: bytes) -> None:
    with pytest.raises(WireError):
        unpack(data)


@given(st.sampled_from(RECORDS), st.data())
@settings(max_examples=300, deadline=None)
def test_a_damaged_frame_is_a_value_or_an_error(record: Any, data: st.DataObject) -> None:
    damaged = bytearray(pack(record))
    for _ in range(data.draw(st.integers(1, 4))):
        damaged[data.draw(st.integers(0, len(damaged) - 1))] = data.draw(st.integers(0, 255))
    try:
        unpack(damaged)
    except WireError:
        return


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_any_bytes_are_a_value_or_an_error(text: bytes) -> None:
    try:
        unpack(frame(text, bytes(16)))
    except WireError:
        return


def test_a_byte_that_is_no_bool_is_made_one() -> None:
    found = unpack(frame({"a": ["bool", [2]]}, b"\x07\x00"))
    assert found.tobytes() == b"\x01\x00"


def test_a_pipe() -> None:
    reading, writing = os.pipe()
    value = {"x": np.arange(300_000.0), "y": (1, None)}  # more than a pipe holds
    thread = threading.Thread(target=wire.write, args=(writing, pack(value)))
    thread.start()
    assert same(wire.receive(reading), value)
    thread.join()
    os.write(writing, pack(5)[:-1])
    os.close(writing)
    with pytest.raises(EOFError):
        wire.receive(reading)
    os.close(reading)


def test_a_claim_of_length_is_refused_before_anything_is_read() -> None:
    reading, writing = os.pipe()
    os.write(writing, LENGTHS.pack(0, 2**32 - 1))
    with pytest.raises(WireError, match="too large"):
        wire.receive(reading)
    os.close(reading)
    os.close(writing)


def test_types_are_exact() -> None:
    assert fits((1, 2), tuple[int, ...])
    assert fits({"a": {"b": None}}, dict[str, dict[str, Any]])
    assert fits([None, 1], list[int | None])
    assert not fits(True, int)
    assert not fits(1, float)
    assert not fits([1], tuple[int, ...])
    assert not fits({1: "a"}, dict[str, Any])
    assert not fits(None, dict[str, bool])
