"""glassformer train TASK"""

import shlex
import sys
from dataclasses import dataclass, fields
from typing import Any, Generic

from tyro.conf import UseAppendAction

from glassformer.commands.parsing import all_values, parse, say, value_of, without_value
from glassformer.config_files import flags_of_file
from glassformer.errors import UsageError
from glassformer.tasks import TASKS, find_task
from glassformer.tasks.config import Data, Model, TrainConfig


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainConfig[Model, Data], Generic[Model, Data]):
    """Options of one training."""

    preset: str | None = None
    """Configuration to start from; `glassformer tasks` lists them. Order: preset < --config < typed flags."""
    config: UseAppendAction[tuple[str, ...]] = ()
    """YAML file with options (nested keys or a run's config.yaml); may be given several times."""
    run_dir: str | None = None
    """Folder to write, new or empty. Default: runs/TASK/<time>."""


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            "usage: glassformer train TASK [options]\n       glassformer train --resume RUN\n\n"
            f"tasks: {', '.join(TASKS)}, or package.module:name\n\n"
            "  train TASK --help   every option of the task, with its default\n"
            "  --resume RUN        go on with a run that was stopped, in its own configuration"
        )
        return 0 if words else 2
    if words[0] == "--resume" or words[0].startswith("--resume="):
        folder, rest = value_of("--resume", words)
        if rest:
            raise UsageError(f"--resume repeats the run's own configuration and takes no {rest[0]!r}")
        return _finish(lambda: import_fit().resume(folder, report=say))
    if words[0].startswith("-"):
        raise UsageError(f"train wants the task first, not {words[0]!r}; one of {', '.join(TASKS)}")
    name, rest = words[0], words[1:]
    if any(word.split("=")[0] == "--resume" for word in rest):
        raise UsageError("--resume takes no task: glassformer train --resume RUN")
    options = read_options(TrainOptions, f"glassformer train {name}", name, rest)
    config = config_of(options)
    command = f"glassformer {shlex.join(['train', *without_value('--run-dir', words)])}"
    return _finish(lambda: import_fit().train(name, config, options.run_dir, command=command, report=say))


def read_options(kind: Any, program: str, name: str, words: list[str], **more: Any) -> Any:
    """The options of one training of a task, preset < --config files in order < typed flags.

    kind: a dataclass of them, generic in the model and the data as TrainConfig is. more: defaults of its own.
    """
    task = find_task(name)
    from_files = [flag for file in all_values("config", words) for flag in flags_of_file(file, name)]
    typed = [*from_files, *words]
    preset = (all_values("preset", typed) or [None])[-1]
    model_name = (all_values("model.name", typed) or [None])[-1]
    device = (all_values("device", typed) or [None])[-1]
    start = task.preset(preset, model_name, device)
    cost = task.presets[task.preset_name(preset, model_name, device)].cost
    parts = {field.name: getattr(start, field.name) for field in fields(start)}
    return parse(
        kind[type(start.model), type(start.data)],
        program,
        typed,
        default=kind(**parts, **more),
        description=f"{task.summary}\n\n{cost.strip()}",
    )


def config_of(options: Any) -> TrainConfig[Any, Any]:
    """The training alone, of options that say more."""
    return TrainConfig(**{field.name: getattr(options, field.name) for field in fields(TrainConfig)})


def import_fit() -> Any:
    from glassformer.training import fit

    return fit


def _finish(train: Any) -> int:
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
