"""glassformer check PATH[:NAME]"""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from tyro.conf import Positional, arg

from glassformer.cache import write_atomically
from glassformer.commands.parsing import parse, require_seed
from glassformer.errors import UsageError
from glassformer.options import unset


@dataclass(frozen=True, kw_only=True)
class CheckOptions:
    """Says whether a piece of attention or transformer code is right, and if not, what is wrong.

    The code runs in a process of its own, confined in time, memory, files and network. How it is built and
    called, what its masks mean and which parameter is which projection is found out and told. Exit status: 0
    correct, 1 incorrect or inconclusive, 2 nothing to check, 3 the code could not be run.
    """

    target: Annotated[Positional[str], arg(metavar="PATH[:NAME]")]
    """A Python file or a notebook, with the class or function after a colon; or package.module:NAME."""
    contract: Annotated[str | None, unset("CONTRACT", "default: guessed, and told", name="as")] = None
    """What it is meant to be: multi-head-attention, say."""
    json: Annotated[str | None, unset("FILE", "default: none")] = None
    """FILE to write the answer to, as JSON."""
    seed: int = 0
    """Seed of the inputs and of the parameters."""
    compile: bool = False
    """See what torch.compile makes of attention or a block, too: some seconds more. Told, not judged."""
    solution: bool = False
    """Show how each mistake is mended, not just a hint."""


def run(words: list[str]) -> int:
    options = parse(CheckOptions, "glassformer check", words)
    require_seed(options.seed)
    out = writable(options.json)
    from glassformer.checking.targets import target

    aim = target(options.target)  # before anything is started
    from glassformer.checking.zygote import started

    with started() as zygote:  # it imports torch while this process does
        import torch

        from glassformer.checking.checks import check_file
        from glassformer.checking.telling import told

        torch.set_num_threads(1)
        verdict = check_file(
            aim, options.contract, seed=options.seed, zygote=zygote, compiles=options.compile
        )
    if out:
        write_json(out, verdict.to_json())
    print(told(verdict, options.solution))
    return verdict.exit_status


def writable(file: str | None) -> Path | None:
    """The path of --json, if there is one, in a folder that exists."""
    path = Path(file) if file else None
    if path and not path.absolute().parent.is_dir():
        raise UsageError(f"there is no folder {path.parent} for --json; make it first")
    return path


def write_json(path: Path, answer: dict[str, Any]) -> None:
    text = json.dumps(answer, indent=2) + "\n"
    write_atomically(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))
