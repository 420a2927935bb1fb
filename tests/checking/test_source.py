"""What is read off a text, however long its author made it."""

from glassformer.checking.locating import line_of
from glassformer.checking.source import Code

TEXT = "class A:\n    def forward(self, x):\n{}        B, T, D = x.shape\n        return x\n"


def test_what_the_code_calls_its_axes() -> None:
    assert Code(TEXT.format("")).batch_first is True
    assert Code(TEXT.format("").replace("B, T, D", "(T, B, D)")).batch_first is False
    assert Code(TEXT.format("").replace("x.shape", "x.size()")).batch_first is True
    assert Code(TEXT.format("").replace("= x.shape", "== x.shape")).batch_first is None


def test_no_text_holds_it_up() -> None:
    """With a pattern that looks at several lines at once, or at all of a line, these would take hours."""
    for filling in ("\n" * 300_000, " " * 300_000 + "\n", "        " + "out" * 100_000 + "\n"):
        code = Code(TEXT.format(filling))
        assert code.batch_first is True
        assert line_of("merge-without-transpose", code) is None


def test_several_of_one_name_are_told_apart_by_their_line() -> None:
    text = 'class A:\n    x = 1\n\n\nclass B:\n    class A:\n        """Of B."""\n        y = 2\n'
    assert "x = 1" in Code.of(text, "A").text
    inner = Code.of(text, "A", 6)
    assert (inner.first, inner.words.strip()) == (6, "Of B.")
    assert inner.line(("y =",)) == 8
    assert Code.of("@f\n@g\nclass A:\n    x = 1\n", "A", 1).first == 3


def test_its_names_are_those_of_all_that_it_uses() -> None:
    text = (
        "def turn(x):\n    return roped(x)\n\n\ndef other(y):\n    return y.beside\n\n\n"
        "class Heads:\n    def forward(self, x):\n        return turn(x)\n\n\n"
        "class Block:\n    def __init__(self):\n        self.heads = Heads()\n"
    )
    names = Code.of(text, "Block").names
    assert {"heads", "Heads", "turn", "roped"} <= names
    assert "beside" not in names
