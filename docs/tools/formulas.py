"""TeX becomes SVG while the site is built: no script, no font and no network on the reader's side.

A Markdown extension over pymdownx.arithmatex (generic), which finds $...$ and $$...$$. matplotlib's mathtext
sets each formula; its outlines take the colour and the size of the text around them, and the TeX stays in the
page as the label that a screen reader speaks. A formula that mathtext cannot set stops the build.
"""

import html
from functools import lru_cache
from typing import Any
from xml.etree import ElementTree

from markdown import Markdown
from markdown.extensions import Extension
from markdown.treeprocessors import Treeprocessor
from matplotlib.font_manager import FontProperties
from matplotlib.path import Path
from matplotlib.textpath import TextPath, text_to_path

UNITS = 100
"""Of the drawing, in an em of mathtext."""
SCALE = 1.12
"""The letters of STIX are smaller than those of the sans serifs that surround them."""
COMMANDS = {Path.MOVETO: "M", Path.LINETO: "L", Path.CURVE3: "Q", Path.CURVE4: "C", Path.CLOSEPOLY: "Z"}


@lru_cache(maxsize=1024)
def outline(tex: str) -> tuple[str, float, float, float]:
    """The outlines as an SVG path, y downwards, and width, height above and depth below the base line.

    Lengths in hundredths of an em. Raises ValueError for TeX that mathtext does not know.
    """
    font = FontProperties(family="DejaVu Sans", math_fontfamily="stix", size=UNITS)
    text = f"${tex}$"
    try:
        width, height, depth = text_to_path.get_text_width_height_descent(text, font, True)
        path = TextPath((0, 0), text, size=UNITS, prop=font)
    except ValueError as error:
        raise ValueError(f"mathtext cannot set {text}: {str(error).strip().splitlines()[-1]}") from error
    words = []
    for points, code in path.iter_segments(simplify=False):
        numbers = " ".join(f"{-y if odd else y:.4g}" for odd, y in zip((0, 1) * 3, points, strict=False))
        words.append(COMMANDS[code] + ("" if code == Path.CLOSEPOLY else numbers))
    return "".join(words), width, height - depth, depth


def svg(tex: str) -> ElementTree.Element:
    """The formula as an element to stand in a line of text."""
    path, width, above, below = outline(" ".join(tex.split()))
    em = SCALE / UNITS
    element = ElementTree.Element(
        "svg",
        {
            "role": "img",
            "aria-label": tex.strip(),
            "viewBox": f"0 {-above:.4g} {width:.4g} {above + below:.4g}",
            "style": f"width:{width * em:.3f}em;height:{(above + below) * em:.3f}em;"
            f"vertical-align:{-below * em:.3f}em",
        },
    )
    ElementTree.SubElement(element, "path", {"d": path})
    return element


class Formulas(Treeprocessor):
    r"""Replaces what arithmatex leaves, \(...\) and \[...\] in elements of its class, by drawings."""

    def run(self, root: ElementTree.Element) -> None:
        for element in root.iter():
            if element.get("class") == "arithmatex":
                tex = html.unescape((element.text or "").strip()[2:-2])
                element.text = None
                element.set("class", "formula")
                element.append(svg(tex))


class FormulasExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # after the inline patterns (20), which make the elements
        md.treeprocessors.register(Formulas(md), "formulas", 15)


def makeExtension(**options: Any) -> FormulasExtension:
    return FormulasExtension(**options)
