"""The options of a task: preset < --config files < typed flags."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass
from typing import Annotated, Any, Generic

from tyro.conf import UseAppendAction, arg

from glassformer.commands.parsing import all_values, parse, without_value
from glassformer.config_files import flags_of_mapping, flags_of_options, options_in
from glassformer.errors import UsageError
from glassformer.models.configs import hidden_fields
from glassformer.options import unset
from glassformer.tasks import find_task
from glassformer.tasks.base import PRETRAINED, Task
from glassformer.tasks.config import Data, Model, TrainConfig


@dataclass(frozen=True, kw_only=True)
class TaskOptions(TrainConfig[Model, Data], Generic[Model, Data]):
    """A configuration, and where it starts from."""

    preset: Annotated[str | None, unset("NAME", "default: the task's own, for this machine and model")] = None
    """Configuration to start from; `glassformer tasks` lists them. Order: preset < --config < typed flags."""
    config: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FILE")] = ()
    """YAML file with options (nested keys or a run's config.yaml); may be given several times."""


def task_options(kind: Any, command: str, name: str, words: list[str]) -> Any:
    """Options of the task `name`, as a `kind`, which derives from TaskOptions.

    command: what the task's name stands behind on the command line, or with a blank in it, all of it.
    """
    task = find_task(name)
    files = [options_in(path, name) for path in all_values("config", words)]
    typed = [*(flag for options in files for flag in flags_of_options(options)), *words]
    preset = (all_values("preset", typed) or [None])[-1]
    model_name = (all_values("model.name", typed) or [None])[-1]
    no_value = typed[-1:] == ["--model.pretrained"]  # which the answer is to say
    if model_name is None and (no_value or any(all_values("model.pretrained", typed))):
        model_name = PRETRAINED
    device = (all_values("device", typed) or [None])[-1]
    start = task.preset(preset, model_name, device)
    if any("schema_version" in options for options in files):
        start = _plain(start)
    cost = task.presets[task.preset_name(preset, model_name, device)].cost
    hidden = hidden_fields(type(start.model))
    typed = [*(flag for options in files for flag in flags_of_options(options, hidden)), *words]
    _require_own_options(task, start.model, typed)
    parts = {field.name: getattr(start, field.name) for field in fields(start)}
    return parse(
        kind[type(start.model), type(start.data)],
        f"glassformer {command}" if " " in command else f"glassformer {command} {name}",
        typed,
        default=kind(**parts),
        description=f"{task.summary}\n\n{cost.strip()}",
    )


def _plain(config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
    """Every option at its default: what a run's config.yaml does not name is younger than the run."""
    values = {field.name: getattr(config, field.name) for field in fields(config)}
    return type(config)(**{name: type(value)() for name, value in values.items() if is_dataclass(value)})


def _require_own_options(task: Task, model: Any, typed: list[str]) -> None:
    """Raises UsageError for an option that nobody chooses, or one that another model of the task has."""
    hidden = hidden_fields(type(model))
    others = [task.presets[preset].config.model for preset in task.default_preset.values()]
    for word in typed:
        flag = word.partition("=")[0]
        field = flag.removeprefix("--").removeprefix("model.").replace("-", "_")
        if flag.startswith("--model.") and field in hidden:
            raise UsageError(f"{flag} cannot be chosen: the data or the published model say it; leave it out")
        for other in others if flag.startswith("--") and not hasattr(model, field) else ():
            if hasattr(other, field) and field not in hidden_fields(type(other)):
                option = f"--model.{field.replace('_', '-')}"
                choice = f"{option} is one of --model.name {other.name}"
                raise UsageError(f"{flag} is no option of the model {model.name}; {choice}")


def config_of(options: Any) -> TrainConfig[Any, Any]:
    """The training alone, of options that say more."""
    return TrainConfig(**{field.name: getattr(options, field.name) for field in fields(TrainConfig)})


def without_own(words: list[str], with_value: Sequence[str], switches: Sequence[str]) -> list[str]:
    """The words of the training alone: without these options of a command's own."""
    for option in with_value:
        words = without_value(f"--{option}", words)
    own = {f"--{no}{switch}" for switch in switches for no in ("", "no-")}
    return [word for word in words if word not in own]


def configure_with(
    kind: Any, command: str, name: str, words: list[str]
) -> Callable[[Mapping[str, str]], TrainConfig[Any, Any]]:
    """Option -> value to the training of these words in which the options have these values."""
    return lambda settings: config_of(
        task_options(kind, command, name, [*words, *flags_of_settings(settings)])
    )


def flags_of_settings(settings: Mapping[str, str]) -> list[str]:
    """{'model.layers': '2', 'model.tie_output': 'false'} becomes --model.layers 2 --model.no-tie-output."""
    truth = {"true": True, "false": False}
    return flags_of_mapping({option: truth.get(value.lower(), value) for option, value in settings.items()})
