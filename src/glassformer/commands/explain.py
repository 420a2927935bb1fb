"""glassformer explain RUN INPUT"""

import shlex
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from tyro.conf import Positional, arg

from glassformer.commands.parsing import parse, require_seed, say
from glassformer.errors import UsageError
from glassformer.options import unset
from glassformer.tasks.config import MachineConfig

if TYPE_CHECKING:
    from glassformer.explain.explanation import Explanation

TOKENS_PRINTED, HEADS_PRINTED, WRITTEN_PRINTED = 5, 5, 8


@dataclass(frozen=True, kw_only=True)
class ExplainOptions(MachineConfig):
    """Looks inside a run at work on one input: attention, what speaks for the answer, heads that count.

    Each picture is held against deleting parts at random, over validation examples: one that explains no
    better says so. Computed in fp32 unless --precision bf16 is given.
    """

    run: Annotated[Positional[str], arg(metavar="RUN")]
    """Folder of the run."""
    given: Annotated[Positional[str], arg(metavar="INPUT")]
    """A text, a sequence, or the path of an image, as the run's task has it."""
    out: Annotated[str | None, unset("FILE", "default: explain.html in the run")] = None
    """FILE to write: .html (one file, works offline), .png or .pdf."""
    examples: int = 300
    """Validation examples to measure on."""
    ablation: bool = True
    """Switch off each head and measure what accuracy loses."""
    data_dir: Annotated[str | None, unset("DIR", "default: as in training")] = None
    """Folder with local copies of the public data sets."""
    seed: int = 0
    """Seed of the validation examples drawn and of the random orders."""


def run(words: list[str]) -> int:
    options = parse(ExplainOptions, "glassformer explain", words)
    if not options.given.strip():
        raise UsageError("an empty input cannot be explained; give a text, a sequence or an image file")
    require_seed(options.seed)
    from glassformer.training.run_folder import read_config, require_run

    require_run(Path(options.run))
    read_config(Path(options.run)).task.require_inputs([options.given])
    from glassformer.reports.explanation import require_kind, write_explanation

    path = Path(options.out or Path(options.run) / "explain.html")
    require_kind(path)
    from glassformer.explain.explanation import explain
    from glassformer.training.loaded import load

    precision = "fp32" if options.precision == "auto" else options.precision
    loaded = load(options.run, replace(options, precision=precision))
    found = explain(
        loaded,
        options.given,
        examples=options.examples,
        ablation=options.ablation,
        seed=options.seed,
        data_dir=options.data_dir,
        report=say,
    )
    write_explanation(found, path, f"glassformer {shlex.join(['explain', *words])}")
    _print(found)
    print(path)
    return 0


def _named(found: "Explanation", place: int) -> str:
    """A part of the input: a patch, or a token, with its place where others are written alike."""
    name = found.parts[place]
    if found.grid:
        return f"patch in {name}"
    return f"{name!r} (place {place + 1})" if found.parts.count(name) > 1 else repr(name)


def _print(found: "Explanation") -> None:
    print(found.told)
    for name, values in found.attributions.items():
        for row, of_row in enumerate(values[:WRITTEN_PRINTED]):
            order = sorted(range(len(of_row)), key=lambda i: -abs(of_row[i]))[:TOKENS_PRINTED]
            top = ", ".join(f"{_named(found, i)} {of_row[i]:+.3g}" for i in order)
            about = f", {found.written[row]} is written for" if found.written else ""
            print(f"{name}{about}: {top}")
    if len(found.ablation) > HEADS_PRINTED:
        print(f"of {len(found.ablation)} heads and layers switched off, the {HEADS_PRINTED} that cost most:")
    for each in sorted(found.ablation, key=lambda each: -each.lost)[:HEADS_PRINTED]:
        low, high = each.interval
        print(f"without {each.name}: accuracy lost {each.lost:+.4f}, 95% interval {low:+.4f} to {high:+.4f}")
    for curve in found.faithfulness:
        print(curve.sentence)
    for note in found.notes:
        print(f"note: {note}")
