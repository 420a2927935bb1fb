"""glassformer check PATH[:NAME]"""

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, arg

from glassformer.commands.parsing import parse
from glassformer.errors import UsageError


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Says whether a piece of attention or transformer code is right, and if not, what is wrong.

    The code runs in a process of its own, confined in time, memory, files and network. How it is built and
    called, what its masks mean and which parameter is which projection is found out and told. Exit status: 0
    correct, 1 incorrect or inconclusive, 2 nothing to check, 3 the code could not be run.
    """

    target: Annotated[Positional[str], arg(metavar="PATH[:NAME]")]
    """A Python file or a notebook, with the class or function after a colon; or package.module:NAME."""
    contract: Annotated[str | None, arg(name="as", metavar="CONTRACT")] = None
    """What it is meant to be: multi-head-attention, say. Guessed and told where it is left out."""
    json: str | None = None
    """FILE to write the answer to, as JSON."""
    seed: int = 0
    """Seed of the inputs and of the parameters."""
    solution: bool = False
    """Show how each mistake is mended, not just a hint."""


def run(words: list[str]) -> int:
    options = parse(CheckOptions, "glassformer check", words)
    if not 0 <= options.seed < 2**32:
        raise UsageError(f"seed={options.seed} is out of range; choose 0 to {2**32 - 1}")
    out = Path(options.json) if options.json else None
    if out and not out.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {out.parent} for --json; make it first")
    from glassformer.checking.zygote import FORKS, Zygote

    zygote = Zygote() if FORKS else None  # starts while this process imports torch
    try:
        import torch

        from glassformer.checking.checks import check_file
        from glassformer.checking.telling import told

        torch.set_num_threads(1)
        verdict = check_file(options.target, options.contract, seed=options.seed, zygote=zygote)
    finally:
        if zygote:
            zygote.close()
    if out:
        _write(out, json.dumps(verdict.to_json(), indent=2) + "\n")
    print(told(verdict, options.solution))
    return verdict.exit_status


def _write(path: Path, text: str) -> None:
    """Whole or not at all."""
    partial = path.with_name(f".{path.name}.partial")
    partial.write_text(text, encoding="utf-8")
    os.replace(partial, path)
