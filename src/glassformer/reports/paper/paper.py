"""From a run or a study to its paper: reads, looks inside once, puts the sections together, writes."""

from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

from glassformer.cache import write_atomically
from glassformer.errors import DataError, UsageError
from glassformer.experiments.compare import COMPARISON
from glassformer.experiments.study import RUNS, STUDY, locked, metrics_of
from glassformer.reports.paper import discussion, run_sections, study_sections
from glassformer.reports.paper.document import Block, Bullets, Code, Document, Markdown, Section, said
from glassformer.reports.paper.html_page import as_html
from glassformer.reports.paper.look import look_inside
from glassformer.reports.paper.markdown import read_sections
from glassformer.reports.paper.record import Record, read_record
from glassformer.reports.paper.typst_page import as_pdf
from glassformer.tasks.base import Report
from glassformer.tasks.config import MachineConfig
from glassformer.training.run_folder import CONFIG, read_config, read_json

TASK, MODEL, PROCESS, RESULTS, DISCUSSION, PROOF = HEADINGS = (
    "Task and data", "Model", "Process", "Results", "Discussion", "Proof",
)  # fmt: skip
KINDS = (".pdf", ".html")
TUNING = "tuning.json"
"""What a search ends with; see `glassformer.experiments.tune`, whose import takes seconds."""


@dataclass(frozen=True)
class Choices:
    """What a user may choose of a paper.

    text: a Markdown file of the user's own, a section a heading. look: an input to look at, else one of
    validation is taken; examples: of validation, to measure on what the look is worth, 0 leaves it out.
    """

    title: str | None = None
    author: str = ""
    text: Path | None = None
    look: str | None = None
    examples: int = 50
    seed: int = 0
    data_dir: str | None = None


def write_paper(
    folder: Path,
    paths: list[Path],
    choices: Choices,
    machine: MachineConfig,
    *,
    command: str,
    report: Report = print,
) -> None:
    """Writes the paper of a run or of a study as each path's suffix says, whole or not at all.

    Raises UsageError for what is neither, for a run without test figures, a study that is being written, or a
    text too long for the pages; DataError for what is broken.
    """
    for path in paths:
        if path.suffix.lower() not in KINDS or path.is_dir():
            raise UsageError(f"{path} ends in {path.suffix!r}, or is a folder; choose a file, .pdf or .html")
    own = read_sections(choices.text, HEADINGS) if choices.text else {}
    study = _study(folder)
    run = folder if study is None else folder / RUNS / _best_run(study)
    record = read_record(run, machine, choices.data_dir, report)
    document = _document(record, study, own, choices, command, report)
    made: dict[Path, bytes] = {}
    for path in paths:
        if path.suffix.lower() == ".pdf":
            made[path] = as_pdf(document, user_text=str(choices.text) if own else "")
        else:
            made[path] = as_html(document).encode()
    for path, content in made.items():
        write_atomically(path, lambda scratch, content=content: scratch.write_bytes(content))


def _document(
    record: Record,
    study: dict[str, Any] | None,
    own: dict[str, str],
    choices: Choices,
    command: str,
    report: Report,
) -> Document:
    explanation, rule = None, "The look inside was left out (--examples 0)."
    if choices.examples or choices.look is not None:
        explanation, rule = look_inside(
            record, choices.look, choices.examples, choices.seed, choices.data_dir, report
        )
    architecture = record.architecture(report)
    model = run_sections.model_blocks(record, architecture)
    process = run_sections.process_blocks(record)
    results: list[Block] = [run_sections.result_table(record), *run_sections.remarks(record)]
    sentences = discussion.of_run(
        record.metrics, record.accuracy_word, explanation, alone=study is None or len(study["seeds"]) < 2
    )
    if study is not None:
        process = [*study_sections.plan_blocks(study), *process]
        results = [
            study_sections.rows_table(study),
            *study_sections.pairs_table(study),
            *study_sections.effects_figure(study),
            *results,
        ]
        sentences = [*discussion.of_study(study), *sentences]
    results += [
        *run_sections.confusion_blocks(record),
        *run_sections.look_blocks(explanation, rule),
    ]
    proof = run_sections.proof_blocks(record, command)
    if study is not None:
        proof = [said(_of_study(study), Code(study["command"]), ". Below: the run shown here."), *proof]
    blocks: dict[str, list[Block]] = {
        TASK: run_sections.task_blocks(record),
        MODEL: model,
        PROCESS: [*process, *run_sections.curves(record)],
        RESULTS: results,
        DISCUSSION: [Bullets(tuple(said(sentence) for sentence in sentences))],
        PROOF: proof,
    }
    return Document(
        title=choices.title or _title(record, study),
        author=choices.author,
        date=date.today().isoformat(),
        sections=tuple(
            Section(heading, (*([Markdown(own[heading])] if heading in own else []), *blocks[heading]))
            for heading in HEADINGS
        ),
    )


def _title(record: Record, study: dict[str, Any] | None) -> str:
    if study is not None:
        return f"{record.run.task_name}: what the choices change"
    words, done = record.model_words, "fine-tuned" if record.fine_tuned else "trained"
    return f"{record.run.task_name}: a{'n' * words.startswith('e')} {words}, {done} and judged"


def _of_study(study: dict[str, Any]) -> str:
    runs = sum(len(names) for names in study["runs"].values())
    return f"The study is {runs} runs, whose folders hold what each was made of, begun by the command "


def _study(folder: Path) -> dict[str, Any] | None:
    """The table of a study, None for the folder of a run. Raises UsageError for anything else."""
    if (folder / CONFIG).is_file():
        return None
    if not (folder / STUDY).is_file() and (folder / TUNING).is_file():
        raise UsageError(
            f"{folder} is a search, which never looks at test; train its best.yaml and report that run"
        )
    if not (folder / STUDY).is_file():
        raise UsageError(
            f"{folder} is neither a run nor a study; give the folder that train or compare printed"
        )
    with locked(folder, "wait until it has ended"):
        return _whole_study(folder)


def _whole_study(folder: Path) -> dict[str, Any]:
    if not (folder / COMPARISON).is_file():
        raise UsageError(
            f"{folder} is not finished (it has no {COMPARISON}); start the same comparison again, it goes on"
        )
    study = read_json(folder / COMPARISON)
    try:
        names = [name for names in study["runs"].values() for name in names]
        task = str(study["task"])
        failed = set(study["failures"])
        study["rows"], study["pairs"], study["seeds"], study["notes"], study["command"]
    except (KeyError, TypeError, AttributeError) as error:
        raise DataError(f"{folder / COMPARISON} is broken or of another version ({error})") from None
    for name in names:
        if name in failed:
            continue
        run = folder / RUNS / name
        metrics_of(run)
        of_run = read_config(run).task_name
        if of_run != task:
            raise DataError(
                f"{run} is a run on {of_run}, the study is on {task}; a report is about one task, so take "
                "the run out of the folder and start the comparison again"
            )
    return study


def _best_run(study: dict[str, Any]) -> str:
    """The first seed of the best configuration by validation."""
    for row in study["rows"]:
        if row["kind"] == "model" and row["seeds"]:
            place = study["seeds"].index(row["seeds"][0])
            return str(study["runs"][row["label"]][place])
    raise UsageError("no run of the study finished, so there is nothing to report; its logs say why")
