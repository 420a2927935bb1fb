"""glassformer report RUN|STUDY"""

import shlex
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from tyro.conf import Positional, UseAppendAction, arg

from glassformer.commands.parsing import parse, require_seed, say, without_value
from glassformer.errors import UsageError
from glassformer.options import unset
from glassformer.tasks.config import MachineConfig


@dataclass(frozen=True, kw_only=True)
class ReportOptions(MachineConfig):
    """A run or a study as a paper of at most four pages, PDF and HTML; every figure is read from the run.

    Sections: Task and data, Model, Process, Results, Discussion, Proof. A study is reported with its best
    configuration by validation. Computed in fp32 unless --precision bf16 is given.
    """

    folder: Annotated[Positional[str], arg(metavar="RUN|STUDY")]
    """Folder of a run, or of a study that compare made."""
    out: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="FILE")] = ()
    """FILE to write, .pdf or .html; may be given twice. Default: report.pdf and report.html in the folder."""
    title: Annotated[str | None, unset("TEXT", "default: the task and its model")] = None
    """Title of the paper."""
    author: Annotated[str, unset("NAME", "default: none")] = ""
    """Who wrote it, below the title."""
    text: Annotated[str | None, unset("FILE.md", "default: none")] = None
    """Markdown of your own: what stands under '# Discussion', say, opens that section of the paper."""
    look: Annotated[str | None, unset("INPUT", "default: a validation example, by a rule")] = None
    """Input to look at: a text, a sequence, an image file."""
    examples: int = 50
    """Validation examples to measure on whether that look is true to the model; 0 leaves the look out."""
    data_dir: Annotated[str | None, unset("DIR", "default: as in training")] = None
    """Folder with local copies of the public data sets."""
    seed: int = 0
    """Seed of those validation examples."""


def run(words: list[str]) -> int:
    options = parse(ReportOptions, "glassformer report", words)
    if options.examples < 0 or options.examples == 1:
        raise UsageError(f"examples={options.examples} has no interval; choose 2 or more, or 0 for no look")
    if options.look is not None and not options.examples:
        raise UsageError("--look asks for a look and --examples 0 for none; leave one of them out")
    require_seed(options.seed)
    folder = Path(options.folder)
    if not folder.is_dir():
        raise UsageError(f"there is no folder {folder}; give that of a run or of a study")
    paths = [Path(name) for name in options.out] or [folder / "report.pdf", folder / "report.html"]
    from glassformer.reports.paper.paper import Choices, write_paper

    choices = Choices(
        title=options.title,
        author=options.author,
        text=Path(options.text) if options.text else None,
        look=options.look,
        examples=options.examples,
        seed=options.seed,
        data_dir=options.data_dir,
    )
    precision = "fp32" if options.precision == "auto" else options.precision
    machine = MachineConfig(options.device, precision, options.threads)
    command = f"glassformer {shlex.join(['report', *without_value('--out', words)])}"
    write_paper(folder, paths, choices, machine, command=command, report=say)
    for path in paths:
        print(path)
    return 0
