"""What the site is built with: code by name, formulas as drawings, the check of links."""

import inspect
import re
import textwrap
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import markdown
import numpy as np
import pytest

import formulas
import included
import links
from glassformer import decoding
from glassformer.models import encoder_decoder
from glassformer.tasks import base

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("greedy", decoding.greedy),
        ("CachedSteps", encoder_decoder.CachedSteps),
        ("EncoderDecoder.forward", encoder_decoder.EncoderDecoder.forward),
        ("EncoderDecoder._at_work", encoder_decoder.EncoderDecoder._at_work),
        ("Task.figures", base.Task.figures),
        ("Preset", base.Preset),
    ],
)
def test_code_is_found_by_its_name(name: str, what: Any) -> None:
    source = Path(inspect.getfile(what)).read_text(encoding="utf-8")
    assert included.definition(source, name) == textwrap.dedent(inspect.getsource(what)).rstrip("\n")


def test_constants_and_the_last_of_overloads() -> None:
    source = "A = 1\nB: int = (\n    2\n)\n@overload\ndef f(x: int): ...\ndef f(x):\n    return x\n"
    assert included.definition(source, "A") == "A = 1"
    assert included.definition(source, "B") == "B: int = (\n    2\n)"
    assert included.definition(source, "f") == "def f(x):\n    return x"


def test_what_is_not_there_stops_the_build() -> None:
    page = "<<< src/glassformer/nn/attention.py explicit_atention"
    with pytest.raises(LookupError, match=r"attention\.py: explicit_atention is not defined"):
        markdown.markdown(page, extensions=["included"])
    with pytest.raises(FileNotFoundError):
        markdown.markdown("<<< src/glassformer/nn/atention.py f", extensions=["included"])


def _with_formulas(text: str) -> ElementTree.Element:
    options = {"pymdownx.arithmatex": {"generic": True}}
    made = markdown.markdown(text, extensions=["pymdownx.arithmatex", "formulas"], extension_configs=options)
    return ElementTree.fromstring(f"<body>{made}</body>")


def test_formulas_become_drawings() -> None:
    body = _with_formulas("The sum $x_i < y$ and\n\n$$\\dfrac{a}{b}$$\n\nfor `$5` and 5 $ each.")
    inline, display = body.iter("svg")
    assert inline.get("aria-label") == "x_i < y"
    assert display.get("aria-label") == r"\dfrac{a}{b}"
    assert "$5" in "".join(body.itertext())
    heights = [
        float(re.search(r"height:([\d.]+)em", each.get("style", ""))[1])  # type: ignore[index]
        for each in (inline, display)
    ]
    assert heights[0] < 1.4 < heights[1]


def test_a_formula_lies_within_its_box() -> None:
    """Every point of the outlines, drawn with a ruler that is not ours: the numbers of the path itself."""
    for tex in ("x", r"\frac{a_1}{\sqrt{d_k}}", r"\sum_{j=1}^{d} q_j"):
        path, width, above, below = formulas.outline(tex)
        numbers = np.array([float(each) for each in re.findall(r"-?\d+\.?\d*(?:e-?\d+)?", path)])
        x, y = numbers[0::2], numbers[1::2]
        slack = 10  # an italic letter leans out of its box a little, and so do the handles of its curves
        assert -slack < x.min() < x.max() < width + slack
        assert -above - slack < y.min() < y.max() < below + slack


@pytest.mark.parametrize("tex", [r"\nosuchsign x", r"\frac{a}", "x^"])
def test_formulas_that_cannot_be_set_stop_the_build(tex: str) -> None:
    with pytest.raises(ValueError, match="cannot set"):
        _with_formulas(f"$${tex}$$")


def _site(folder: Path, body: str, head: str = "") -> list[str]:
    (folder / "more").mkdir()
    (folder / "a picture.png").write_bytes(b"")
    (folder / "index.html").write_text(f"<html><head>{head}</head><body id='top'>{body}</body></html>")
    (folder / "more" / "other.html").write_text("<h2 id='part'>x</h2><a href='../index.html#top'>x</a>")
    return links.broken(folder)


def test_good_links_pass(tmp_path: Path) -> None:
    assert not _site(
        tmp_path,
        "<a href='more/other.html#part'>x</a><a href='#top'>x</a><img src='a%20picture.png'>"
        "<a href='https://example.org'>named, not fetched</a><a href='mailto:a@example.org'>x</a>",
        "<link rel='canonical' href='https://example.org'>",
    )


@pytest.mark.parametrize(
    ("body", "head"),
    [
        ("<a href='more/none.html'>x</a>", ""),
        ("<a href='more/other.html#none'>x</a>", ""),
        ("<a href='#none'>x</a>", ""),
        ("<img src='none.png'>", ""),
        ("<a href='../outside.html'>x</a>", ""),
        ("<img src='https://example.org/a.png'>", ""),
        ("", "<script src='//cdn.example.org/a.js'></script>"),
        ("", "<link rel='stylesheet' href='https://example.org/a.css'>"),
    ],
)
def test_bad_links_do_not(body: str, head: str, tmp_path: Path) -> None:
    assert len(_site(tmp_path, body, head)) == 1
