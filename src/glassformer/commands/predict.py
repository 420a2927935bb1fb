"""glassformer predict RUN INPUT..."""

import json
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from glassformer.commands.parsing import parse, say
from glassformer.errors import UsageError
from glassformer.tasks.config import MachineConfig


@dataclass(frozen=True, kw_only=True)
class PredictOptions(MachineConfig):
    """Asks the best model of a run: classes of texts or images, answers to sequences, tokens for [MASK]."""

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """Folder of the run."""
    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT")] = ()
    """TEXT... or IMAGE..., as the task has it, or - to read one a line from standard input."""
    json: bool = False
    """Print one JSON object a line: {"input", "label", "probabilities"}, of sequences {"input", "output"},
    of texts with [MASK] {"input", "output", "masks"}."""
    skip_bad: Annotated[bool, FlagCreatePairsOff, arg(help_behavior_hint="(default: as in training)")] = False
    """Leave out images that are missing or cannot be read, and count them."""
    seed: int = 0
    """Accepted by every command that computes; prediction draws no random numbers."""


def run(words: list[str]) -> int:
    # a single '-' is an argument here, though it looks like a flag
    from_stdin = "-" in words
    options = parse(PredictOptions, "glassformer predict", ["(stdin)" if w == "-" else w for w in words])
    if not options.inputs:
        raise UsageError(
            "nothing to predict; give TEXT... or IMAGE..., or - to read lines from standard input"
        )
    if from_stdin and len(options.inputs) > 1:
        raise UsageError("- reads every input from standard input; give no others beside it")
    inputs = _lines_of_stdin() if from_stdin else list(options.inputs)
    if not inputs:
        raise UsageError("standard input holds no line; write an input a line into it")
    if empty := [number for number, each in enumerate(inputs, start=1) if not each.strip()]:
        where = f"line {empty[0]} of standard input" if from_stdin else f"input {empty[0]} of {len(inputs)}"
        raise UsageError(
            f"{where} is empty, and an empty input cannot be predicted; give a text, a sequence or a file"
        )
    from glassformer.training.run_folder import CONFIG, EXPORT, read_config

    folder = Path(options.run)
    if (folder / CONFIG).is_file() and not (folder / EXPORT).is_file():  # what is exported is checked first
        run = read_config(folder)
        config = run.task.skipping_bad(run.config) if options.skip_bad else run.config
        if not getattr(config.data, "skip_bad", False):
            run.task.require_inputs(inputs)
    from glassformer.loading import load

    loaded = load(options.run, options)
    if loaded.task.input_word == "texts" and not from_stdin and len(inputs) == 1 and _is_file(inputs[0]):
        say(f"note: {inputs[0]!r} is read as a text; for the lines of that file: predict RUN - < {inputs[0]}")
    for prediction in loaded.predict(inputs, skip_bad=options.skip_bad, report=say):
        if options.json:
            print(json.dumps(vars(prediction), ensure_ascii=False))
        else:
            print(loaded.task.told(prediction))
    return 0


def _is_file(name: str) -> bool:
    try:
        return Path(name).is_file()
    except OSError:  # a text may be too long for a name
        return False


def _lines_of_stdin() -> list[str]:
    try:
        return sys.stdin.buffer.read().decode("utf-8").rstrip("\r\n").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 text ({error.reason}); convert it first") from None
