"""What `glassformer explain` prints."""

from glassformer.commands.explain import _named


def test_tokens_that_are_written_alike_have_their_place() -> None:
    assert [_named(("0", "1", "0"), place) for place in range(3)] == ["'0' (place 1)", "'1'", "'0' (place 3)"]
