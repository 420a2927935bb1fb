"""glassformer show TASK"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Generic

from glassformer.commands import COMMANDS
from glassformer.commands.parsing import all_values, parse, say
from glassformer.errors import UsageError
from glassformer.options import unset
from glassformer.tasks import TASKS, find_task
from glassformer.tasks.config import Data


@dataclass(frozen=True, kw_only=True)
class ShowOptions(Generic[Data]):
    """Options of one page of pictures."""

    data: Data
    preset: Annotated[str | None, unset("NAME", "default: the task's own")] = None
    """Configuration whose augmentation is shown; `glassformer tasks` lists them."""
    out: Annotated[str | None, unset("FILE", "default: TASK-examples.png in this folder")] = None
    """FILE to write, .png, .svg or .pdf."""
    examples: int = 8
    """Pictures in a row."""
    seed: int = 0
    """Seed of the choice of the pictures and of the augmentation."""
    data_dir: Annotated[str | None, unset("DIR", "default: GLASSFORMER_DATA, else the hub")] = None
    """Folder with local copies of the public data sets."""


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            f"usage: glassformer show TASK [options]\n\n{COMMANDS['show']}\n\n"
            f"tasks: {', '.join(name for name in TASKS if find_task(name).input_word == 'images')}, "
            "or package.module:name\n\n  show TASK --help   every option of it"
        )
        return 0 if words else 2
    name, rest = words[0], words[1:]
    if name not in TASKS and (Path(name) / "config.yaml").is_file():
        raise UsageError(f"{name} is a run, and show takes a task; for a run give explain or report")
    task = find_task(name)
    start = task.preset((all_values("preset", rest) or [None])[-1], None)
    options = parse(
        ShowOptions[type(start.data)],  # type: ignore[misc]
        f"glassformer show {name}",
        rest,
        default=ShowOptions(data=start.data),
        description=COMMANDS["show"],
    )
    if options.examples < 1:
        raise UsageError(f"examples={options.examples} is not a number of pictures; choose 1 or more")
    from glassformer.reports.page import require_figure

    path = Path(options.out or f"{name.replace(':', '.')}-examples.png")
    require_figure(path)
    config = replace(start, data=options.data, seed=options.seed, data_dir=options.data_dir)
    rows, notes = task.pictures(config, options.examples, say)
    from glassformer.reports.figures import examples_page

    command = f"glassformer {shlex.join(['show', *words])}"
    examples_page(rows, path, title=f"{name}: {task.summary}", caption=f"training examples; {command}")
    for note in notes:
        print(f"note: {note}")
    print(path)
    return 0
