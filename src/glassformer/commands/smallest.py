"""glassformer smallest TASK"""

from dataclasses import dataclass, fields
from pathlib import Path
from typing import Annotated, Generic

from glassformer.commands import COMMANDS
from glassformer.commands.parsing import parse, refuse, say
from glassformer.errors import DataError
from glassformer.experiments.config import SmallestConfig
from glassformer.options import unset
from glassformer.tasks import find_task
from glassformer.tasks.config import Data


@dataclass(frozen=True, kw_only=True)
class SmallestOptions(SmallestConfig[Data], Generic[Data]):
    """Options of one search."""

    board: Annotated[str | None, unset("FOLDER", "default: runs/smallest/TASK-<sizes>")] = None
    """FOLDER of the board: new, or one that a search of the same data has begun."""


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            f"usage: glassformer smallest TASK [options]\n\n{COMMANDS['smallest']}\n\n"
            "TASK is one whose inputs can be counted: parity, reverse, sort, copy, add\n\n"
            "  smallest TASK --help   every option of it"
        )
        return 0 if words else 2
    name, rest = words[0], words[1:]
    start = find_task(name).preset(None, None)
    usual = SmallestConfig.usual(start.model.name, start.data)
    options = parse(
        SmallestOptions[type(start.data)],  # type: ignore[misc]
        f"glassformer smallest {name}",
        rest,
        default=SmallestOptions(**{field.name: getattr(usual, field.name) for field in fields(usual)}),
        description=COMMANDS["smallest"],
    )
    from glassformer.experiments.board import print_board
    from glassformer.experiments.smallest import smallest

    changed = [
        f"-{each.name}-{getattr(options.data, each.name)}"
        for each in fields(start.data)
        if getattr(options.data, each.name) != getattr(start.data, each.name)
    ]
    board = Path(options.board or f"runs/smallest/{name.replace(':', '.')}{''.join(changed)}")
    try:
        found = smallest(name, options, board, report=say)
    except KeyboardInterrupt:
        found_so_far = f"what was found so far is in {board}" if board.exists() else "nothing was found yet"
        return refuse(f"stopped; {found_so_far}; the trial under way is lost", 130)
    if found is None:
        raise DataError(f"no model made it above {options.above}; try more seeds, steps, sizes or minutes")
    print_board(board)
    return 0
