"""A run is a folder. What stands where in it, and how it is written so that nothing is ever half there."""

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from glassformer.cache import write_atomically
from glassformer.errors import DataError, UsageError
from glassformer.models.configs import FACTS
from glassformer.tasks import find_task
from glassformer.tasks.base import Prepared, Task
from glassformer.tasks.config import FitConfig, MachineConfig, OptimConfig, TrainConfig

if TYPE_CHECKING:
    from torch import nn

SCHEMA_VERSION = 1
CONFIG, MODEL, TOKENIZER = "config.yaml", "model.safetensors", "tokenizer.json"
METRICS, PROVENANCE = "metrics.json", "provenance.json"
EXPORT = "export.json"
"""Tells an exported model from a run."""
LAST = "checkpoints/last.safetensors"
SPLITS = ("train", "validation", "test")


def write_json(path: Path, content: dict[str, Any]) -> None:
    """Writes JSON for people and programs."""
    text = json.dumps(content, indent=2, ensure_ascii=False, allow_nan=False) + "\n"
    write_atomically(path, lambda scratch: scratch.write_text(text, encoding="utf-8"))


def new_run_folder(task: str, run_dir: str | None, option: str = "--run-dir") -> Path:
    """The folder of a run that begins.

    option: what chooses it. Raises UsageError, which names that, where it is taken, or cannot be made.
    """
    if run_dir is None:
        folder = Path("runs") / task.replace(":", ".") / datetime.now().strftime("%Y-%m-%d_%H-%M-%S")
    else:
        folder = Path(run_dir)
        if (folder / METRICS).exists():
            raise UsageError(f"{folder} holds a finished run; choose another {option}")
        if (folder / CONFIG).exists():
            raise UsageError(
                f"{folder} holds a run; go on with --resume {folder}, or choose another {option}"
            )
        if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
            raise UsageError(f"{folder} is there and not an empty folder; choose another {option}")
    above = next(each for each in (folder, *folder.parents) if each.exists())
    if not above.is_dir():
        raise UsageError(f"{above} is no folder, so {folder} cannot be made; choose {option} elsewhere")
    if not os.access(above, os.W_OK):
        raise UsageError(f"{above.absolute()} may not be written to; choose {option} elsewhere")
    return folder


def claim(folder: Path, *, given: bool) -> Path:
    """Makes the folder, so that no run that starts at the same moment can take it too.

    One that the user gave may be there, but empty; one that we named gets another name if it is taken.
    Raises UsageError where a given folder was taken meanwhile.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    for number in range(1, 1000):
        candidate = folder if number == 1 else folder.with_name(f"{folder.name}_{number}")
        with suppress(FileExistsError):
            candidate.mkdir(exist_ok=given)
            (candidate / CONFIG).touch(exist_ok=False)
            return candidate
        if given:
            break
    raise UsageError(f"{folder} was taken by another run just now; choose another --run-dir")


def write_config(folder: Path, task: str, config: TrainConfig[Any, Any], class_names: list[str]) -> None:
    """Writes config.yaml: everything that is needed to repeat the run."""
    content = {
        "schema_version": SCHEMA_VERSION,
        "task": task,
        "class_names": class_names,
        **asdict(config),
    }
    for part in ("model", "data", "optim", "fit"):  # YAML has lists alone
        content[part] = {k: list(v) if isinstance(v, tuple) else v for k, v in content[part].items()}
    # facts of the data are found anew, facts of a published model are not: it may be gone by then
    content["model"] = {k: v for k, v in content["model"].items() if v or k not in FACTS}
    content["model"].pop("tokenizer_folder", None)  # the run has its own
    text = yaml.safe_dump(content, sort_keys=False)
    write_atomically(folder / CONFIG, lambda scratch: scratch.write_text(text, encoding="utf-8"))


def save_model(model: "nn.Module", folder: Path) -> None:
    """Writes model.safetensors: the weights, whole or not at all."""
    from safetensors.torch import save_file

    weights = {name: tensor.detach().cpu().contiguous() for name, tensor in model.state_dict().items()}
    write_atomically(folder / MODEL, lambda scratch: save_file(weights, scratch))


@dataclass(frozen=True)
class RunConfig:
    """What config.yaml says."""

    task_name: str
    task: Task
    class_names: list[str]
    config: TrainConfig[Any, Any]


def require_run(folder: Path) -> None:
    """Raises UsageError where there is no run. Commands ask before they load what takes seconds."""
    if (folder / EXPORT).is_file():
        raise UsageError(
            f"{folder} is an exported model, which predict and evaluate take; give the run it was made from"
        )
    require_config(folder)


def require_config(folder: Path) -> None:
    """Raises UsageError where there is no configuration: a run has one, and what was exported from it."""
    if not (folder / CONFIG).is_file():
        raise UsageError(f"{folder} is not a run (it has no {CONFIG}); give the folder that `train` printed")


def read_config(folder: Path) -> RunConfig:
    """The configuration of a run.

    Raises UsageError where there is no run, DataError where its configuration is broken or of another
    version.
    """
    require_config(folder)
    path = folder / CONFIG
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
        version = content.pop("schema_version")
        if version != SCHEMA_VERSION:
            raise DataError(
                f"{path} is of version {version}, this glassformer reads version {SCHEMA_VERSION}; "
                "use the release that wrote it, or train anew"
            )
        name, class_names = content.pop("task"), content.pop("class_names")
        task = find_task(name)
        preset = task.preset(None, content["model"]["name"])
        if hasattr(preset.model, "tokenizer_folder"):  # the published one may be gone, or another, by now
            content["model"]["tokenizer_folder"] = str(folder)
        for part in ("model", "data", "optim", "fit"):
            content[part] = {k: tuple(v) if isinstance(v, list) else v for k, v in content[part].items()}
        return RunConfig(
            name,
            task,
            class_names,
            TrainConfig(
                model=type(preset.model)(**content.pop("model")),
                data=type(preset.data)(**content.pop("data")),
                optim=OptimConfig(**content.pop("optim")),
                fit=FitConfig(**content.pop("fit")),
                **content,
            ),
        )
    except DataError:
        raise
    except (yaml.YAMLError, KeyError, TypeError, AttributeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise DataError(f"{path} is broken or of another version ({reason}); train anew") from error


def read_json(path: Path) -> dict[str, Any]:
    """Reads a run's JSON file. Raises DataError where it is missing or broken."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(f"{path} is missing or broken ({error}); the run is incomplete") from error


def last_split(figures: Mapping[str, Any]) -> str:
    """The split whose figures are the result: test, or validation where there is no other."""
    return "test" if "test" in figures else "validation"


def same_choices(folder: Path, config: TrainConfig[Any, Any]) -> MachineConfig:
    """The machine that a run was trained on, as far as it is here: 'auto' must not choose anew."""
    choices = read_json(folder / PROVENANCE)["choices"]
    precision = choices["precision"] if config.precision == "auto" else config.precision
    return MachineConfig(config.device, precision, config.threads or choices["threads"])


def require_same_data(folder: Path, prepared: Prepared) -> None:
    """Raises DataError where the data is no longer what the run was trained on.

    The splits are drawn from it anew, so other rows would put trained ones among the test ones.
    """
    recorded = read_json(folder / PROVENANCE)["data_sha256"]
    changed = [split for split in SPLITS if recorded.get(split) != prepared.checksums.get(split)]
    if changed:
        raise DataError(
            f"the {' and '.join(changed)} data of {folder} has changed since it was trained; bring back "
            "the old files, train anew, or judge the run on a file of its own with evaluate --data.test FILE"
        )
