"""glassformer train TASK"""

import shlex
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic

from glassformer.commands.parsing import say, value_of, without_value
from glassformer.commands.task_options import TaskOptions, config_of, task_options
from glassformer.errors import UsageError
from glassformer.options import unset
from glassformer.tasks import PRETRAINING, TASKS, find_task
from glassformer.tasks.config import Data, Model
from glassformer.training.run_folder import new_run_folder, require_run


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TaskOptions[Model, Data], Generic[Model, Data]):
    """Options of one training."""

    run_dir: Annotated[str | None, unset("FOLDER", "default: runs/TASK/<time>")] = None
    """FOLDER to write, new or empty."""


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            "usage: glassformer train TASK [options]\n       glassformer train --resume RUN\n\n"
            f"tasks: {', '.join(TASKS)}, or package.module:name\n\n"
            "  train TASK --help   every option of the task, with its default\n"
            "  --resume RUN        go on with a run that was stopped, in its own configuration;\n"
            "                      --no-baselines beside it leaves the baselines out"
        )
        return 0 if words else 2
    if is_resume(words[0]):
        return resume(words)
    name, rest = task_first("train", words, list(TASKS))
    if name in PRETRAINING:
        own = find_task(name).command(name)
        raise UsageError(f"{name} is pretraining, which has a command of its own; give glassformer {own}")
    return begin(name, task_options(TrainOptions, "train", name, rest), ["train", *words])


def begin(name: str, options: Any, words: list[str]) -> int:
    """Trains as the command of these words asks; refuses what it can before what takes seconds is loaded."""
    config = config_of(options)
    new_run_folder(name, options.run_dir)
    find_task(name).require_data(config)
    command = f"glassformer {shlex.join(without_value('--run-dir', words))}"
    return finish(lambda: import_fit().train(name, config, options.run_dir, command=command, report=say))


def is_resume(word: str) -> bool:
    return word.split("=")[0] == "--resume"


def resume(words: list[str]) -> int:
    """Goes on with the run that --resume names."""
    folder, rest = value_of("--resume", words)
    without = "--no-baselines"
    if others := [word for word in rest if word != without]:
        raise UsageError(
            f"--resume repeats the run's own configuration and takes no {others[0]!r}; "
            f"{without} alone may differ"
        )
    require_run(Path(folder))
    return finish(lambda: import_fit().resume(folder, baselines=not rest, report=say))


def task_first(command: str, words: list[str], tasks: list[str]) -> tuple[str, list[str]]:
    """The task, and the options behind it."""
    if words[0].startswith("-"):
        raise UsageError(f"{command} wants the task first, not {words[0]!r}; one of {', '.join(tasks)}")
    if any(map(is_resume, words[1:])):
        raise UsageError(f"--resume takes no task: glassformer {command} --resume RUN")
    return words[0], words[1:]


def import_fit() -> Any:
    from glassformer.training import fit

    return fit


def finish(train: Any) -> int:
    """Runs a training; Ctrl-C ends it with the way to go on."""
    from glassformer.training.callbacks import InterruptedRun

    try:
        folder = train()
    except InterruptedRun as stop:
        print(f"glassformer: {stop}", file=sys.stderr)
        return 130
    from glassformer.reports.figures import run_figures

    for path in run_figures(folder):
        print(f"figure: {path}")
    return 0
