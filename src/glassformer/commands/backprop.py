"""glassformer backprop"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from glassformer.commands.parsing import parse, without_value
from glassformer.experiments.config import BackpropConfig
from glassformer.options import unset


@dataclass(frozen=True, kw_only=True)
class BackpropOptions(BackpropConfig):
    """Fits logistic regression and a network written out in NumPy to a table of numbers; compares the two."""

    out: Annotated[str | None, unset("FOLDER", "default: runs/backprop/DATA/<time>")] = None
    """FOLDER for the figures and result.json, new or empty."""
    json: Annotated[str | None, unset("FILE", "default: none")] = None
    """FILE to write the figures to as well, in the form of result.json."""


def run(words: list[str]) -> int:
    options = parse(BackpropOptions, "glassformer backprop", words)
    from glassformer.experiments.backprop import compare, folder_of, print_result
    from glassformer.reports.backprop_figures import write_comparison
    from glassformer.training.run_folder import write_json

    folder = folder_of(options.data, options.out)
    command = f"glassformer {shlex.join(['backprop', *without_value('--out', words)])}"
    comparison = compare(options)
    paths = write_comparison(comparison, folder, command)
    if options.json:
        write_json(Path(options.json), comparison.result)
    print_result(comparison.result, command, paths)
    return 0
