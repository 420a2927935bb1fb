"""What a study compares: one configuration, and those that differ from it in the options that are varied."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from glassformer.errors import UsageError
from glassformer.tasks.config import TrainConfig

Configure = Callable[[Mapping[str, str]], TrainConfig[Any, Any]]
"""Option -> value to the configuration that has these values; raises UsageError for what is refused."""


@dataclass(frozen=True)
class Row:
    """One configuration of a study, trained once a seed.

    settings: every varied option -> its value, as it was written; changed: those that are not the base's.
    """

    settings: dict[str, str]
    changed: dict[str, str]
    config: TrainConfig[Any, Any]

    @property
    def label(self) -> str:
        """What sets it apart."""
        return ", ".join(f"{option}={value}" for option, value in self.changed.items()) or "base"


def option_and_values(word: str) -> tuple[str, str]:
    """'--model.d-model=64,128' becomes ('model.d_model', '64,128'); an empty part where there is none."""
    option, _, values = word.partition("=")
    return option.strip().removeprefix("--").replace("-", "_"), values


def parse_vary(words: Sequence[str]) -> dict[str, list[str]]:
    """('model.layers=1,2,4', ...) becomes {'model.layers': ['1', '2', '4'], ...}.

    Raises UsageError for what is no such list.
    """
    varied: dict[str, list[str]] = {}
    for word in words:
        option, values = option_and_values(word)
        listed = [value.strip() for value in values.split(",")]
        if not option or not all(listed):
            raise UsageError(f"--vary {word} is no OPTION=VALUE,VALUE; write model.layers=1,2,4, say")
        if option in varied:
            raise UsageError(f"--vary names {option} twice; give its values in one list")
        if option in ("seed", "run_dir", "config", "preset", "baselines", "data_dir"):
            raise UsageError(f"--vary {option} cannot be compared; --seeds repeats each configuration")
        if twice := [value for value in listed if listed.count(value) > 1]:
            raise UsageError(f"--vary {option} has {twice[0]} twice; give each value once")
        varied[option] = listed
    return varied


def value_in(config: TrainConfig[Any, Any], option: str) -> Any:
    """The value of 'model.layers', say. Raises AttributeError where there is none."""
    value: Any = config
    for name in option.split("."):
        value = getattr(value, name)
    return value


def plan(varied: Mapping[str, list[str]], configure: Configure, *, grid: bool) -> list[Row]:
    """The configurations to train, the base first.

    One at a time, each differs from the base in one option; in a grid they are all combinations. A value that
    is the base's own makes no further row. Raises UsageError, before anything is trained, for an option that
    does not exist or a value that it refuses.
    """
    base = configure({})
    usual: dict[str, str] = {}
    for option, values in varied.items():
        alone = {value: _configured(configure, {option: value}) for value in values}
        own = [value for value, config in alone.items() if config == base]
        usual[option] = own[0] if own else str(_own_value(base, option))
        kept = [config for config in alone.values() if config != base]
        if len(own) > 1 or any(kept.count(config) > 1 for config in kept):
            raise UsageError(f"--vary {option}={','.join(values)} says one thing twice; give each value once")
    if grid:
        choices = itertools.product(*varied.values())
        wanted = [dict(zip(varied, values, strict=True)) for values in choices]
    else:
        wanted = [{option: value} for option, values in varied.items() for value in values]
    found = [] if grid else [Row(usual, {}, base)]
    for settings in wanted:
        changed = {option: value for option, value in settings.items() if usual[option] != value}
        row = Row(usual | settings, changed, _configured(configure, changed))
        if row.settings not in [each.settings for each in found]:
            found.append(row)
    return found


def _own_value(base: TrainConfig[Any, Any], option: str) -> Any:
    try:
        return value_in(base, option)
    except AttributeError:
        both = "; to see what it is worth, give --model.pretrained and --vary model.start=published,random"
        raise UsageError(
            f"--vary {option}: {base.model.name}, the model of the other runs, has no such option"
            + both * (option == "model.pretrained")
        ) from None


def _configured(configure: Configure, settings: Mapping[str, str]) -> TrainConfig[Any, Any]:
    try:
        return configure(settings)
    except UsageError as error:
        words = ", ".join(f"{option}={value}" for option, value in settings.items())
        raise UsageError(f"--vary {words}: {error}") from None


def run_name(row: Row, seed: int, config: TrainConfig[Any, Any]) -> str:
    """A folder's name that a person can read, and that no other configuration has."""
    words = "_".join(f"{option.split('.')[-1]}-{value}" for option, value in row.changed.items()) or "base"
    plain = "".join(sign if sign.isascii() and (sign.isalnum() or sign in "-_.") else "-" for sign in words)
    return f"{plain[:80]}_seed-{seed}_{sha256(repr(config).encode()).hexdigest()[:8]}"
