"""YAML files on the command line: their mapping becomes the flags that say the same.

Put before the typed flags they are overridden by them, and a slip in a file is answered with the same message
as a slip on the command line.
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import yaml

from glassformer.errors import UsageError

NOT_OPTIONS = ("schema_version", "task", "class_names")
"""What a run's own config.yaml holds besides options."""


def options_in(path: str, task: str) -> dict[str, Any]:
    """What a file holds. Raises UsageError where it cannot be read or is for another task."""
    try:
        content = yaml.safe_load(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise UsageError(f"--config {path} cannot be read ({error.strerror}); check the path") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        reason = " ".join(str(error).split())
        raise UsageError(f"--config {path} is not YAML ({reason}); correct the file") from error
    if not isinstance(content, dict):
        raise UsageError(f"--config {path} holds no options; write lines such as 'seed: 1'")
    if content.get("task", task) != task:
        raise UsageError(
            f"--config {path} is for the task {content['task']}, not {task}; choose one of the two"
        )
    return content


def flags_of_options(content: dict[str, Any], hidden: Collection[str] = ()) -> list[str]:
    """The flags that a file's content stands for.

    hidden: fields of the model that no option sets, since they are facts of the data; a run's config.yaml has
    some, for those who start from the run.
    """
    options = {key: value for key, value in content.items() if key not in NOT_OPTIONS}
    if "schema_version" in content and isinstance(model := options.get("model"), dict):
        options["model"] = {key: value for key, value in model.items() if key not in hidden}
    return flags_of_mapping(options)


def flags_of_mapping(mapping: dict[str, Any], prefix: str = "") -> list[str]:
    """{"model": {"layers": 2}, "baselines": False} becomes --model.layers 2 --no-baselines."""
    flags: list[str] = []
    for key, value in mapping.items():
        name = f"{prefix}{key}".replace("_", "-")
        if isinstance(value, dict):
            flags += flags_of_mapping(value, f"{prefix}{key}.")
        elif isinstance(value, bool):
            *parents, last = name.split(".")
            flags.append("--" + ".".join([*parents, last if value else f"no-{last}"]))
        elif isinstance(value, list):
            flags += [f"--{name}", *map(str, value)]
        else:
            flags += [f"--{name}", str(value)]
    return flags
