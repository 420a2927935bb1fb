"""The command line: parses, calls, prints. No torch here before there is something to compute."""

import contextlib
import io
import json
import os
import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Generic

import tyro
from tyro.conf import Positional, UseAppendAction, arg

from glassformer.config_files import flags_of_file
from glassformer.errors import DataError, UsageError, nearest
from glassformer.experiments.config import BackpropConfig, SmallestConfig
from glassformer.tasks import TASKS, find_task
from glassformer.tasks.config import Data, MachineConfig, Model, TrainConfig

COMMANDS = {
    "tasks": "list the tasks, their models and presets",
    "show": "draw a page of a task's pictures, before and after augmentation: glassformer show TASK",
    "train": "train a model on a task: glassformer train TASK [options]",
    "evaluate": "judge a run on its test split or on another file",
    "predict": "ask a run about texts, sequences or image files",
    "smallest": "search the smallest model that does it: glassformer smallest TASK [options]",
    "verify-board": "judge the models that a search found anew, from their weights",
    "backprop": "a network written out in NumPy beside logistic regression, on a table of numbers",
}


@dataclass(frozen=True, kw_only=True)
class TrainOptions(TrainConfig[Model, Data], Generic[Model, Data]):
    """Options of one training."""

    preset: str | None = None
    """Configuration to start from; `glassformer tasks` lists them. Order: preset < --config < typed flags."""
    config: UseAppendAction[tuple[str, ...]] = ()
    """YAML file with options (nested keys or a run's config.yaml); may be given several times."""
    run_dir: str | None = None
    """Folder to write, new or empty. Default: runs/TASK/<time>."""


@dataclass(frozen=True, kw_only=True)
class ShowOptions(Generic[Data]):
    """Options of one page of pictures."""

    data: Data
    preset: str | None = None
    """Configuration whose augmentation is shown; `glassformer tasks` lists them."""
    out: str | None = None
    """FILE.png to write. Default: TASK.png in this folder."""
    examples: int = 8
    """Pictures in a row."""
    seed: int = 0
    """Seed of the choice of the pictures and of the augmentation."""
    data_dir: str | None = None
    """Folder with local copies of the public data sets. Default: GLASSFORMER_DATA, else the hub."""


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(MachineConfig):
    """Judges a run: accuracy with its 95% interval, confusion, calibration, and the baselines beside it."""

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """Folder of the run."""
    test: Annotated[str | None, arg(name="data.test")] = None
    """FILE to judge on (.csv, .tsv, .jsonl, .parquet; for images also a FOLDER) instead of the test split."""
    text: Annotated[str | None, arg(name="data.text")] = None
    """COLUMN of the text in that file. Default: as in training."""
    image: Annotated[str | None, arg(name="data.image")] = None
    """COLUMN of the images in that file. Default: as in training."""
    label: Annotated[str | None, arg(name="data.label")] = None
    """COLUMN of the label in that file. Default: as in training."""
    source: Annotated[str | None, arg(name="data.source")] = None
    """COLUMN of the source in that file, of a run on pairs. Default: as in training."""
    target: Annotated[str | None, arg(name="data.target")] = None
    """COLUMN of the target in that file, of a run on pairs. Default: as in training."""
    skip_bad: bool = False
    """Leave out images of that file or folder that cannot be read, and count them. Default: as trained."""
    data_dir: str | None = None
    """Folder with local copies of the public data sets. Default: as in training."""
    baselines: bool = True
    """Judge the cheap rivals too."""
    json: str | None = None
    """FILE to write the figures to, in the form of metrics.json."""
    seed: int = 0
    """Accepted by every command that computes; evaluation draws no random numbers."""


@dataclass(frozen=True, kw_only=True)
class PredictOptions(MachineConfig):
    """Asks the best model of a run: classes of texts or image files, answers to sequences."""

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """Folder of the run."""
    inputs: Annotated[Positional[tuple[str, ...]], arg(metavar="INPUT")] = ()
    """TEXT... or IMAGE..., as the task has it, or - to read one a line from standard input."""
    json: bool = False
    """Print one JSON object a line: {"input", "label", "probabilities"}, of sequences {"input", "output"}."""
    seed: int = 0
    """Accepted by every command that computes; prediction draws no random numbers."""


@dataclass(frozen=True, kw_only=True)
class SmallestOptions(SmallestConfig[Data], Generic[Data]):
    """Options of one search."""

    board: str | None = None
    """FOLDER of the board: new, or one that a search of the same data has begun. Default: runs/smallest/TASK,
    with the sizes of the data that were asked for."""


@dataclass(frozen=True, kw_only=True)
class BackpropOptions(BackpropConfig):
    """Fits logistic regression and a network written out in NumPy to a table of numbers; compares the two."""

    out: str | None = None
    """FOLDER for the figures and result.json, new or empty. Default: runs/backprop/DATA/<time>."""
    json: str | None = None
    """FILE to write the figures to as well, in the form of result.json."""


PLAIN_WORDS = {
    r"^Error parsing (--\S+): invalid literal for int\(\) .*: (.*)": r"\1 wants a whole number, not \2",
    r"^Error parsing (--\S+): could not convert string to float: (.*)": r"\1 wants a number, not \2",
    r"^Error parsing \w+: ": "",
}
"""What the parser says of a value -> what a person would say."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command; returns its exit status: 0, 2 for what the user typed, 1 for what failed."""
    words = list(sys.argv[1:] if argv is None else argv)
    if argv is None and isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")  # a pipe that cannot write a sign gets its code
    try:
        status = run(words)
        sys.stdout.flush()
        return status
    except UsageError as error:
        return _refuse(error, 2)
    except DataError as error:
        return _refuse(error, 1)
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except OSError as error:
        where = f" ({error.filename})" if error.filename else ""
        return _refuse(f"{error.strerror or error}{where}", 1)
    except KeyboardInterrupt:
        return _refuse("stopped", 130)
    except Exception as error:
        if os.environ.get("GLASSFORMER_TRACEBACK"):
            raise
        reason = " ".join(str(error).split()) or "no reason given"
        return _refuse(f"{type(error).__name__}: {reason} (set GLASSFORMER_TRACEBACK=1 to see where)", 1)


def run(words: list[str]) -> int:
    """Finds the command and calls it."""
    if not words or words[0] in ("-h", "--help"):
        print(_overview())
        return 0
    if words[0] == "--version":
        from importlib.metadata import version

        print(version("glassformer"))
        return 0
    command, rest = words[0], words[1:]
    if command not in COMMANDS:
        raise UsageError(f"there is no command {command!r}; {nearest(command, list(COMMANDS))}")
    called = {
        "tasks": _tasks,
        "show": _show,
        "train": _train,
        "evaluate": _evaluate,
        "predict": _predict,
        "smallest": _smallest,
        "verify-board": _verify_board,
        "backprop": _backprop,
    }
    return called[command](rest)


def _tasks(words: list[str]) -> int:
    if words and words[0] in ("-h", "--help"):
        print("usage: glassformer tasks\n\n" + COMMANDS["tasks"])
        return 0
    if words:
        raise UsageError(f"tasks takes no options, but {words[0]!r} was given")
    for name in TASKS:
        task = find_task(name)
        print(f"{name}: {task.summary}")
        for preset_name, preset in task.presets.items():
            model = preset.config.model.name
            default = " (default for it)" if task.preset_name(None, model) == preset_name else ""
            print(f"  --preset {preset_name}, --model.name {model}{default}")
            for line in preset.cost.strip().splitlines():
                print(f"    {line.strip()}")
    print("\na task of your own: package.module:name, a subclass of glassformer.tasks.base.Task")
    return 0


def _show(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print("usage: glassformer show TASK [options]\n\n" + COMMANDS["show"])
        return 0 if words else 2
    name, rest = words[0], words[1:]
    task = find_task(name)
    start = task.preset((_all_values("preset", rest) or [None])[-1], None)
    options = _parse(
        ShowOptions[type(start.data)],  # type: ignore[misc]
        f"glassformer show {name}",
        rest,
        default=ShowOptions(data=start.data),
        description=COMMANDS["show"],
    )
    if options.examples < 1:
        raise UsageError(f"examples={options.examples} is not a number of pictures; choose 1 or more")
    config = replace(start, data=options.data, seed=options.seed, data_dir=options.data_dir)
    rows, notes = task.pictures(config, options.examples, _say)
    from glassformer.reports.figures import examples_page

    path = Path(options.out or f"{name.replace(':', '.')}.png")
    command = f"glassformer {shlex.join(['show', *words])}"
    examples_page(rows, path, title=f"{name}: {task.summary}", caption=f"training examples; {command}")
    for note in notes:
        print(f"note: {note}")
    print(path)
    return 0


def _train(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print(
            "usage: glassformer train TASK [options]\n       glassformer train --resume RUN\n\n"
            f"tasks: {', '.join(TASKS)}, or package.module:name\n\n"
            "  train TASK --help   every option of the task, with its default\n"
            "  --resume RUN        go on with a run that was stopped, in its own configuration"
        )
        return 0 if words else 2
    if words[0] == "--resume" or words[0].startswith("--resume="):
        folder, rest = _value_of("--resume", words)
        if rest:
            raise UsageError(f"--resume repeats the run's own configuration and takes no {rest[0]!r}")
        return _finish(lambda: _import_fit().resume(folder, report=_say))
    if words[0].startswith("-"):
        raise UsageError(f"train wants the task first, not {words[0]!r}; one of {', '.join(TASKS)}")
    name, rest = words[0], words[1:]
    if any(word.split("=")[0] == "--resume" for word in rest):
        raise UsageError("--resume takes no task: glassformer train --resume RUN")
    task = find_task(name)
    from_files = [flag for file in _all_values("config", rest) for flag in flags_of_file(file, name)]
    typed = [*from_files, *rest]
    preset = (_all_values("preset", typed) or [None])[-1]
    model_name = (_all_values("model.name", typed) or [None])[-1]
    device = (_all_values("device", typed) or [None])[-1]
    start = task.preset(preset, model_name, device)
    cost = task.presets[task.preset_name(preset, model_name, device)].cost
    parts = {field.name: getattr(start, field.name) for field in fields(start)}
    options = _parse(
        TrainOptions[type(start.model), type(start.data)],  # type: ignore[misc]
        f"glassformer train {name}",
        typed,
        default=TrainOptions(**parts),
        description=f"{task.summary}\n\n{cost.strip()}",
    )
    config = TrainConfig(**{field.name: getattr(options, field.name) for field in fields(TrainConfig)})
    command = f"glassformer {shlex.join(['train', *_without_value('--run-dir', words)])}"
    return _finish(lambda: _import_fit().train(name, config, options.run_dir, command=command, report=_say))


def _evaluate(words: list[str]) -> int:
    options = _parse(EvaluateOptions, "glassformer evaluate", words)
    named = ("text", "image", "label", "source", "target")
    columns = {name: getattr(options, name) for name in named if getattr(options, name)}
    if columns and options.test is None:
        raise UsageError(
            f"--data.{next(iter(columns))} names a column of a file; give that file with --data.test too"
        )
    if options.skip_bad and options.test is None:
        raise UsageError(
            "--skip-bad is for images of your own; give their file or folder with --data.test too"
        )
    from glassformer.training.judge import print_table
    from glassformer.training.loaded import load
    from glassformer.training.run_folder import write_json

    loaded = load(options.run, options)
    metrics, notes = loaded.evaluate(
        options.test,
        columns,
        skip_bad=options.skip_bad,
        data_dir=options.data_dir,
        baselines=options.baselines,
        report=_say,
    )
    if options.json:
        write_json(Path(options.json), metrics)
    command = f"glassformer {shlex.join(['evaluate', *words])}"
    print_table(loaded.task, metrics, loaded.config.model.name, command, loaded.folder, notes)
    return 0


def _predict(words: list[str]) -> int:
    # a single '-' is an argument here, though it looks like a flag
    from_stdin = "-" in words
    options = _parse(PredictOptions, "glassformer predict", ["(stdin)" if w == "-" else w for w in words])
    if not options.inputs:
        raise UsageError(
            "nothing to predict; give TEXT... or IMAGE..., or - to read lines from standard input"
        )
    if from_stdin and len(options.inputs) > 1:
        raise UsageError("- reads every input from standard input; give no others beside it")
    inputs = _lines_of_stdin() if from_stdin else list(options.inputs)
    empty = [number for number, each in enumerate(inputs, start=1) if not each.strip()]
    if empty or not inputs:
        which = f"input {empty[0]} of {len(inputs)} is empty" if inputs else "standard input holds no line"
        raise UsageError(
            f"{which}, and an empty text cannot be predicted; give a word or more, or a file, in each"
        )
    from glassformer.training.loaded import load

    loaded = load(options.run, options)
    for prediction in loaded.predict(inputs, report=_say):
        if options.json:
            print(json.dumps(vars(prediction), ensure_ascii=False))
        else:
            print(loaded.task.told(prediction))
    return 0


def _smallest(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print("usage: glassformer smallest TASK [options]\n\n" + COMMANDS["smallest"])
        return 0 if words else 2
    name, rest = words[0], words[1:]
    start = find_task(name).preset(None, None)
    usual = SmallestConfig.usual(start.model.name, start.data)
    options = _parse(
        SmallestOptions[type(start.data)],  # type: ignore[misc]
        f"glassformer smallest {name}",
        rest,
        default=SmallestOptions(**{field.name: getattr(usual, field.name) for field in fields(usual)}),
        description=COMMANDS["smallest"],
    )
    from glassformer.experiments.board import print_board
    from glassformer.experiments.smallest import smallest

    changed = [
        f"-{each.name}-{getattr(options.data, each.name)}"
        for each in fields(start.data)
        if getattr(options.data, each.name) != getattr(start.data, each.name)
    ]
    board = Path(options.board or f"runs/smallest/{name.replace(':', '.')}{''.join(changed)}")
    try:
        found = smallest(name, options, board, report=_say)
    except KeyboardInterrupt:
        return _refuse(f"stopped; what was found so far is in {board}; the trial under way is lost", 130)
    if found is None:
        raise DataError(f"no model made it above {options.above}; try more seeds, steps, sizes or minutes")
    print_board(board)
    return 0


def _verify_board(words: list[str]) -> int:
    if not words or words[0] in ("-h", "--help"):
        print("usage: glassformer verify-board FOLDER\n\n" + COMMANDS["verify-board"])
        return 0 if words else 2
    if len(words) > 1:
        raise UsageError(f"verify-board takes one folder, but {words[1]!r} was given too")
    from glassformer.experiments.board import print_board, verify

    if wrong := verify(Path(words[0]), _say):
        raise DataError(
            f"the board is not what it says: {wrong[0]}" + f" (and {len(wrong) - 1} more)" * (len(wrong) > 1)
        )
    print_board(Path(words[0]))
    return 0


def _backprop(words: list[str]) -> int:
    options = _parse(BackpropOptions, "glassformer backprop", words)
    from glassformer.experiments.backprop import compare, folder_of, print_result
    from glassformer.reports.backprop_figures import write_comparison
    from glassformer.training.run_folder import write_json

    folder = folder_of(options.data, options.out)
    command = f"glassformer {shlex.join(['backprop', *_without_value('--out', words)])}"
    comparison = compare(options)
    paths = write_comparison(comparison, folder, command)
    if options.json:
        write_json(Path(options.json), comparison.result)
    print_result(comparison.result, command, paths)
    return 0


def _lines_of_stdin() -> list[str]:
    try:
        return sys.stdin.buffer.read().decode("utf-8").splitlines()
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input is not UTF-8 text ({error.reason}); convert it first") from None


def _parse(
    kind: Any,
    program: str,
    words: list[str],
    default: Any = tyro.MISSING,
    description: str | None = None,
) -> Any:
    """tyro, with its boxed answer to a slip folded into one line."""
    errors = io.StringIO()
    more = {} if default is tyro.MISSING else {"default": default}
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(kind, prog=program, args=words, description=description, **more)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UsageError(_one_line(errors.getvalue(), program)) from None


def _one_line(box: str, program: str) -> str:
    """The message and the first suggestion out of a box, whichever characters it is drawn with."""
    parts: list[list[str]] = [[]]
    for line in box.splitlines():
        if "────" in line or "----" in line:
            parts.append([])
        elif content := line.strip("│| "):
            parts[-1].append(content)
    filled = [part for part in parts if part]
    if "╭" not in box:
        filled = filled[1:]  # drawn in ASCII, a box has its title on a line of its own
    message, *others = filled or [["the command line was not understood"]]
    meant = [line.split()[0] for part in others for line in part if line.startswith("--")]
    text = " ".join(message).rstrip(".")
    for pattern, plain in PLAIN_WORDS.items():
        text = re.sub(pattern, plain, text)
    hint = f"; perhaps you meant {meant[0]}" if "nrecognized" in text and meant else ""
    return f"{text}{hint}; see {program} --help"


def _value_of(flag: str, words: list[str]) -> tuple[str, list[str]]:
    """The value of a flag that stands first, as `--flag VALUE` or `--flag=VALUE`, and the words after it."""
    _, separator, value = words[0].partition("=")
    if separator:
        return value, words[1:]
    if len(words) < 2:
        raise UsageError(f"{flag} wants a value; give the folder of the run")
    return words[1], words[2:]


def _without_value(flag: str, words: list[str]) -> list[str]:
    """The words without `flag VALUE` or `flag=VALUE`."""
    kept = [word for word in words if not word.startswith(f"{flag}=")]
    return [w for i, w in enumerate(kept) if w != flag and (i == 0 or kept[i - 1] != flag)]


def _all_values(option: str, words: list[str]) -> list[str]:
    """The values of an option that decides how the other words are read."""
    found = []
    for i, word in enumerate(words):
        name, separator, value = word.partition("=")
        if name != f"--{option}":
            continue
        if separator:
            found.append(value)
        elif i + 1 < len(words):
            found.append(words[i + 1])
    return found


def _import_fit() -> Any:
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


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def _refuse(error: object, status: int) -> int:
    print(f"glassformer: {' '.join(str(error).split())}", file=sys.stderr)
    return status


def _overview() -> str:
    width = max(map(len, COMMANDS))
    commands = "\n".join(f"  {name:<{width}}  {what}" for name, what in COMMANDS.items())
    return (
        "usage: glassformer COMMAND [options]\n\n"
        "Transformers with nothing hidden: written from scratch, proven equal to the native layers,\n"
        f"trained and compared on real tasks.\n\n{commands}\n\n"
        "glassformer COMMAND --help explains every option; glassformer --version tells the version."
    )


if __name__ == "__main__":
    sys.exit(main())
