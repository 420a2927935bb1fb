"""glassformer tune TASK"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Generic

from tyro.conf import UseAppendAction, arg

from glassformer.commands import COMMANDS
from glassformer.commands.parsing import refuse, say, without_value
from glassformer.commands.task_options import (
    TaskOptions,
    configure_with,
    task_options,
    without_own,
)
from glassformer.errors import UsageError
from glassformer.options import unset
from glassformer.tasks import TASKS, find_task
from glassformer.tasks.config import Data, Model


@dataclass(frozen=True, kw_only=True)
class TuneOptions(TaskOptions[Model, Data], Generic[Model, Data]):
    """Options of one search, and those of the training that all its trials share."""

    trials: int = 20
    """Trials the study shall have in all, those of earlier and of other processes counted."""
    search: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="OPTION=VALUES")] = ()
    """An option and its values, model.layers=1,2,4 or optim.learning_rate=1e-4..1e-2; once for each. Default:
    learning rate, weight decay, layers, d_model, heads, dropout, positions and pooling about the preset's."""
    study: Annotated[str | None, unset("FOLDER", "default: runs/tune/TASK")] = None
    """FOLDER of the trials and the result, which several processes may share."""
    storage: Annotated[str | None, unset("STUDY", "default: a journal in the study's folder")] = None
    """A database's URL, for machines that share no folder: postgresql://..., sqlite:///FILE; or a FOLDER."""
    prune: bool = True
    """End a trial that is worse than the median of the others at its epoch."""


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            "usage: glassformer tune TASK [options]\n\n"
            f"{COMMANDS['tune']}\n\ntasks: {', '.join(TASKS)}, or package.module:name\n\n"
            "  tune TASK --help   every option of it"
        )
        return 0 if words else 2
    name, rest = words[0], words[1:]
    if name.startswith("-"):
        raise UsageError(f"tune wants the task first, not {name!r}; one of {', '.join(TASKS)}")
    options = task_options(TuneOptions, "tune", name, rest)
    if options.trials < 1:
        raise UsageError(f"trials={options.trials} is no search; choose 1 or more")
    from glassformer.experiments.space import parse_search, same_data, usual_space

    shared = without_own(rest, ("trials", "search", "study", "storage"), ("prune",))
    configure = configure_with(TuneOptions, "tune", name, shared)
    space = parse_search(options.search) or usual_space(configure({}))
    for option, values in space.items():
        for value in values.ends():
            configure({option: value})
    if same_data(space):
        find_task(name).require_data(configure({}))
    url = options.storage if options.storage and "://" in options.storage else None
    folder = Path(
        options.study or (None if url else options.storage) or f"runs/tune/{name.replace(':', '.')}"
    )
    say("searching " + "; ".join(f"{option}: {values}" for option, values in space.items()))
    own_place = without_value("--storage", without_value("--study", words))
    try:
        from glassformer.experiments.tune import tune

        result = tune(
            name,
            space,
            configure,
            folder,
            storage=url,
            trials=options.trials,
            seed=options.seed,
            prune=options.prune,
            command=f"glassformer {shlex.join(['tune', *own_place])}",
            report=say,
        )
    except KeyboardInterrupt:
        going_on = f"the same command goes on with {folder}, without the trial under way, which is lost"
        return refuse(f"stopped; {going_on if folder.exists() else 'nothing was begun yet'}", 130)
    best = result["best"]
    trials = len(result["trials"])
    ended_early = sum(each["state"] == "pruned" for each in result["trials"])
    print(
        f"best of {trials} trial{'s' * (trials > 1)}, {ended_early} of them ended early: trial "
        f"{best['number']}, validation accuracy {best['validation_accuracy']:.4f}"
    )
    for option, value in best["settings"].items():
        share = (result["importances"] or {}).get(option)
        print(f"  {option} = {value}" + (f"   (importance {share:.2f})" if share is not None else ""))
    for note in result["notes"]:
        print(f"note: {note}")
    from glassformer.reports.tuning_figures import write_tuning

    print(f"figure: {write_tuning(result, folder)}")
    starting = find_task(name).command(name)
    print(f"use it: glassformer {starting} --config {shlex.quote(str(folder / 'best.yaml'))}")
    return 0
