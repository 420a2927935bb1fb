"""glassformer diagram TASK|RUN"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Annotated, Any, Generic

from tyro.conf import Positional, arg

from glassformer.commands import COMMANDS
from glassformer.commands.parsing import parse, say, without_value
from glassformer.commands.task_options import TaskOptions, config_of, task_options
from glassformer.errors import UsageError, nearest
from glassformer.options import unset
from glassformer.tasks import TASKS, find_task
from glassformer.tasks.config import Data, Model
from glassformer.training.run_folder import CONFIG

FORMATS = ("svg", "png", "pdf")


@dataclass(frozen=True, kw_only=True)
class DiagramOptions(TaskOptions[Model, Data], Generic[Model, Data]):
    """Every option of a training, so that its command can be drawn by changing one word."""

    format: Annotated[str | None, unset("svg|png|pdf", "default: what FILE ends in, else svg")] = None
    """Kind of the picture."""
    out: Annotated[str | None, unset("FILE", "default: TASK.svg in this folder")] = None
    """FILE to write."""


@dataclass(frozen=True, kw_only=True)
class RunDiagramOptions:
    """Draws the architecture of a run."""

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """Folder of the run."""
    format: Annotated[str | None, unset("svg|png|pdf", "default: what FILE ends in, else svg")] = None
    """Kind of the picture."""
    out: Annotated[str | None, unset("FILE", "default: RUN/diagram.svg")] = None
    """FILE to write."""


def run(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            "usage: glassformer diagram TASK [options]\n       glassformer diagram RUN [options]\n\n"
            f"{COMMANDS['diagram']}\n\ntasks: {', '.join(TASKS)}, or package.module:name\n\n"
            "  diagram TASK --help   every option of the task, with its default\n"
            "  --format svg|png|pdf  what to write; default: what --out ends in, else svg\n"
            "  --out FILE            default: TASK.svg in this folder, or RUN/diagram.svg"
        )
        return 0 if words else 2
    name, rest = words[0], words[1:]
    if name.startswith("-"):
        raise UsageError(f"diagram wants the task or the run first, not {name!r}")
    if (Path(name) / CONFIG).is_file():
        options = parse(RunDiagramOptions, "glassformer diagram", words)
        path, kind = _where(options, Path(name) / "diagram")
        heading, model, batch, task = _of_run(name)
    else:
        if name not in TASKS and ":" not in name:
            raise UsageError(
                f"{name!r} is neither a run (a folder with a {CONFIG}) nor a task; "
                f"{nearest(name, list(TASKS))}"
            )
        options = task_options(DiagramOptions, "diagram", name, rest)
        path, kind = _where(options, Path(name.replace(":", ".")))
        heading, model, batch, task = _of_task(name, options)
    from glassformer.explain.architecture import describe
    from glassformer.reports.diagram import write_diagram

    architecture = describe(model, batch, lambda model, batch: task.loss(model, batch, 0.0))
    command = f"glassformer {shlex.join(['diagram', *without_value('--out', words)])}"
    write_diagram(architecture, path, kind, title=heading, command=command)
    print(path)
    return 0


def _of_task(name: str, options: Any) -> tuple[str, Any, dict[str, Any], Any]:
    """Heading, model, a small batch, and task: of a model with fresh weights."""
    task = find_task(name)
    config = task.with_published_sizes(config_of(options))
    facts = task.sizes(config, say)
    model = task.build_model(replace(config.model, **facts))
    return f"{name}: {config.model.name}", model, task.example(config, say), task


def _of_run(folder: str) -> tuple[str, Any, dict[str, Any], Any]:
    """The same of a run, with its weights."""
    from glassformer.tasks.config import MachineConfig
    from glassformer.training.loaded import load

    loaded = load(folder, MachineConfig(device="cpu", precision="fp32"))
    task, config = loaded.task, loaded.config
    return f"{loaded.task_name}: {config.model.name}", loaded.model, task.example(config, say), task


def _where(options: Any, default: Path) -> tuple[Path, str]:
    """The file to write and its format. Raises UsageError for one that is unknown, or two that differ."""
    suffix = None if options.out is None else Path(options.out).suffix.lower().removeprefix(".")
    kind = options.format or (suffix if suffix is not None else "svg")
    if options.format and options.format not in FORMATS:
        raise UsageError(f"format={options.format} is unknown; choose {', '.join(FORMATS)}")
    if kind not in FORMATS:
        raise UsageError(f"{options.out} ends in no known format; choose .svg, .png or .pdf")
    if suffix is not None and suffix != kind:
        raise UsageError(f"{options.out} does not end in .{kind}; change --out or --format")
    return Path(options.out) if options.out else default.with_name(f"{default.name}.{kind}"), kind
