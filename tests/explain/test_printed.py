"""What `glassformer explain` prints."""

from types import SimpleNamespace
from typing import Any

from glassformer.commands.explain import _named


def test_tokens_that_are_written_alike_have_their_place() -> None:
    found: Any = SimpleNamespace(parts=["0", "1", "0"], grid=None)
    assert [_named(found, place) for place in range(3)] == ["'0' (place 1)", "'1'", "'0' (place 3)"]


def test_patches_are_called_patches() -> None:
    found: Any = SimpleNamespace(parts=["row 1, column 1", "row 1, column 2"], grid=(1, 2))
    assert _named(found, 1) == "patch in row 1, column 2"
