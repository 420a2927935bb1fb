"""glassformer evaluate RUN"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import FlagCreatePairsOff, Positional, arg

from glassformer.commands.parsing import parse, say
from glassformer.errors import UsageError
from glassformer.options import unset
from glassformer.paths import require_path
from glassformer.tasks.config import MachineConfig


@dataclass(frozen=True, kw_only=True)
class EvaluateOptions(MachineConfig):
    """Judges a run: accuracy with its 95% interval, confusion, calibration, and the baselines beside it."""

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """Folder of the run."""
    test: Annotated[str | None, unset("FILE", "default: the test split", name="data.test")] = None
    """FILE to judge on (.csv, .tsv, .jsonl, .parquet; for images also a FOLDER)."""
    text: Annotated[str | None, unset("COLUMN", "default: as in training", name="data.text")] = None
    """COLUMN of the text in that file."""
    image: Annotated[str | None, unset("COLUMN", "default: as in training", name="data.image")] = None
    """COLUMN of the images in that file."""
    label: Annotated[str | None, unset("COLUMN", "default: as in training", name="data.label")] = None
    """COLUMN of the label in that file."""
    source: Annotated[str | None, unset("COLUMN", "default: as in training", name="data.source")] = None
    """COLUMN of the source in that file, of a run on pairs."""
    target: Annotated[str | None, unset("COLUMN", "default: as in training", name="data.target")] = None
    """COLUMN of the target in that file, of a run on pairs."""
    skip_bad: Annotated[bool, FlagCreatePairsOff, arg(help_behavior_hint="(default: as in training)")] = False
    """Leave out images of that file or folder that cannot be read, and count them."""
    data_dir: Annotated[str | None, unset("DIR", "default: as in training")] = None
    """Folder with local copies of the public data sets."""
    baselines: bool = True
    """Fit the cheap rivals and judge them too; tell what of --data.test the run has learned from."""
    json: Annotated[str | None, unset("FILE", "default: none")] = None
    """FILE to write the figures to, in the form of metrics.json."""
    seed: int = 0
    """Accepted by every command that computes; evaluation draws no random numbers."""


def run(words: list[str]) -> int:
    options = parse(EvaluateOptions, "glassformer evaluate", words)
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
    if options.test is not None:
        require_path(options.test)
    from glassformer.loading import load
    from glassformer.training.run_folder import write_json

    loaded = load(options.run, options)
    metrics, notes = loaded.evaluate(
        options.test,
        columns,
        skip_bad=options.skip_bad,
        data_dir=options.data_dir,
        baselines=options.baselines,
        report=say,
    )
    if options.json:
        write_json(Path(options.json), metrics)
    from glassformer.training.judge import print_table

    command = f"glassformer {shlex.join(['evaluate', *words])}"
    print_table(loaded.task, metrics, loaded.config.model.name, command, loaded.folder, notes)
    return 0
