"""Runs the scripts of docs/figures: each draws its figure and prints its numbers.

    python docs/tools/figures.py [NAME...]

A script has a function `draw() -> Figure`. Beside it appear NAME.svg and NAME.txt, what it printed, which the
pages show; with --png, for whoever works on a figure, NAME.png too.
"""

import contextlib
import importlib.util
import io
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from glassformer.cache import write_atomically
from glassformer.reports.page import save, styled

if TYPE_CHECKING:
    from matplotlib.figure import Figure

FOLDER = Path(__file__).resolve().parents[1] / "figures"


def names() -> list[str]:
    return sorted(path.stem for path in FOLDER.glob("*.py"))


def draw(name: str) -> "tuple[Figure, str]":
    """The figure of a script, and what it printed. The same every time: seeded, on one thread.

    A warning, such as of a letter that the font lacks, is an error here.
    """
    spec = importlib.util.spec_from_file_location(f"figure_{name}", FOLDER / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    printed = io.StringIO()
    try:
        with styled(), contextlib.redirect_stdout(printed), warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            spec.loader.exec_module(module)
            return module.draw(), printed.getvalue()
    finally:
        torch.set_num_threads(threads)


def write(name: str, folder: Path = FOLDER, *, png: bool = False) -> "Figure":
    """Writes NAME.svg and NAME.txt into the folder."""
    figure, printed = draw(name)
    for suffix in ("svg", "png") if png else ("svg",):
        save(figure, folder / f"{name}.{suffix}")
    write_atomically(folder / f"{name}.txt", lambda scratch: scratch.write_text(printed, encoding="utf-8"))
    return figure


if __name__ == "__main__":
    wanted = [word for word in sys.argv[1:] if word != "--png"] or names()
    for each in wanted:
        write(each, png="--png" in sys.argv)
        print(f"docs/figures/{each}.svg")
