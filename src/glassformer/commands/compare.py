"""glassformer compare TASK"""

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Generic

from tyro.conf import UseAppendAction, arg

from glassformer.commands import COMMANDS
from glassformer.commands.parsing import refuse, say, without_value
from glassformer.commands.task_options import (
    TaskOptions,
    configure_with,
    flags_of_settings,
    task_options,
    without_own,
)
from glassformer.errors import DataError, UsageError
from glassformer.options import unset
from glassformer.tasks import TASKS, find_task
from glassformer.tasks.base import Task
from glassformer.tasks.config import Data, Model, TrainConfig


@dataclass(frozen=True, kw_only=True)
class CompareOptions(TaskOptions[Model, Data], Generic[Model, Data]):
    """Options of one comparison, and those of the training that all its runs share."""

    vary: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="OPTION=VALUE,VALUE")] = ()
    """An option of the training and its values, model.layers=1,2,4 say; once for each option to vary."""
    seeds: int = 3
    """How often each configuration is trained: with --seed, and the seeds after it."""
    grid: bool = False
    """Train every combination of the values; else one option at a time differs from the base."""
    jobs: int = 1
    """Runs at once; they share the cores."""
    study: Annotated[str | None, unset("FOLDER", "default: runs/compare/TASK-<what is compared>")] = None
    """FOLDER of the runs and of the table. One that a stopped comparison has begun is gone on with."""


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            "usage: glassformer compare TASK --vary OPTION=VALUE,VALUE [options]\n\n"
            f"{COMMANDS['compare']}\n\ntasks: {', '.join(TASKS)}, or package.module:name\n\n"
            "  compare TASK --help   every option of it"
        )
        return 0 if words else 2
    name, rest = words[0], words[1:]
    if name.startswith("-"):
        raise UsageError(f"compare wants the task first, not {name!r}; one of {', '.join(TASKS)}")
    find_task(name).require_answers("compare")
    rest = _without_one_at_a_time(rest)
    options = task_options(CompareOptions, "compare", name, rest)
    from glassformer.experiments.plan import parse_vary, plan

    varied = parse_vary(options.vary)
    if not varied:
        raise UsageError("nothing to compare; give --vary OPTION=VALUE,VALUE, model.layers=1,2,4 say")
    if options.seeds < 1 or options.jobs < 1:
        name = "seeds" if options.seeds < 1 else "jobs"
        raise UsageError(f"{name}={getattr(options, name)} has to be 1 or more")
    shared = without_own(rest, ("vary", "seeds", "jobs", "study"), ("grid",))
    rows = plan(varied, configure_with(CompareOptions, "compare", name, shared), grid=options.grid)
    seeds = range(options.seed, options.seed + options.seeds)
    from glassformer.cache import cache_key
    from glassformer.experiments.study import STUDY

    named = f"runs/compare/{name.replace(':', '.')}-{cache_key([row.config for row in rows])[:8]}"
    folder = Path(options.study or named)
    if not (folder / STUDY).exists():  # one that was begun has seen its data, and may have nothing left to do
        _require_data(find_task(name), [row.config for row in rows])
    from glassformer.experiments.compare import Watch, compare
    from glassformer.experiments.comparison_table import print_comparison
    from glassformer.reports.comparison_figures import write_comparison

    command = f"glassformer {shlex.join(['compare', *without_value('--study', words)])}"
    training = without_value("--seed", shared)

    def command_of(row: Any, seed: int) -> str:
        of_run = ["train", name, *training, *flags_of_settings(row.changed), "--seed", str(seed)]
        return f"glassformer {shlex.join(of_run)}"

    try:
        with _watching(len(rows) * len(seeds)) as (ended, going_on):
            result = compare(
                name, rows, seeds, folder, at_once=options.jobs, command=command, command_of=command_of,
                watch=Watch(say, ended, going_on),
            )  # fmt: skip
    except KeyboardInterrupt:
        so_far = f"the same command goes on with {folder}" if folder.exists() else "nothing was begun yet"
        return refuse(f"stopped; {so_far}", 130)
    print_comparison(result, folder)
    if len(result["failures"]) < len(rows) * len(seeds):
        print(f"figure: {write_comparison(result, folder)}")
    if failures := result["failures"]:
        first = next(iter(failures))
        raise DataError(
            f"{len(failures)} of {len(rows) * len(seeds)} runs failed, {first} with: {failures[first]}; "
            f"the logs are in {folder / 'logs'}, and the same command tries them again"
        )
    return 0


def _require_data(task: Task, configs: Sequence[TrainConfig[Any, Any]]) -> None:
    """`Task.require_data` of each that differs in what that looks at."""
    looked_at = []
    for config in configs:
        own = config.data, getattr(config.model, "patch", None)
        if own not in looked_at:
            task.require_data(config)
            looked_at.append(own)


def _without_one_at_a_time(words: list[str]) -> list[str]:
    """--one-at-a-time says what is so anyway."""
    if "--one-at-a-time" in words and "--grid" in words:
        raise UsageError("--grid and --one-at-a-time exclude each other; give one of them")
    return [word for word in words if word != "--one-at-a-time"]


@contextmanager
def _watching(runs: int) -> Iterator[Any]:
    """A bar over the runs, with what those under way say; where the output is no terminal, a line a run."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

    console = Console(stderr=True, highlight=False, markup=False)
    columns = TextColumn("runs"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    said = TextColumn("{task.fields[said]}", markup=False)
    with Progress(*columns, said, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task("runs", total=runs, said="")

        def ended(job: Any, why: str | None, seconds: float) -> None:
            bar.advance(task)
            console.print(f"{job.name}: {'done' if why is None else f'failed, {why}'}, {seconds:.0f} s")

        def going_on(lines: dict[str, str]) -> None:
            bar.update(task, said="; ".join(f"{name}: {line}" for name, line in lines.items())[:100])

        yield ended, going_on
