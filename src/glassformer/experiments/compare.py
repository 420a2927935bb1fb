"""A comparison: every configuration of a plan trained with every seed, and the table that comes of it."""

import os
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

from glassformer.data.splits import few_examples
from glassformer.errors import DataError, UsageError
from glassformer.experiments.comparison import pairs, table_rows
from glassformer.experiments.plan import Row, run_name
from glassformer.experiments.study import (
    RUNS,
    STUDY,
    TRIALS,
    Job,
    is_finished,
    locked,
    metrics_of,
    require_good_data,
    run_all,
)
from glassformer.tasks import find_task
from glassformer.tasks.base import Report
from glassformer.tasks.config import MachineConfig, TrainConfig
from glassformer.training.machine import available_cores, prepare_machine
from glassformer.training.run_folder import CONFIG, PROVENANCE, SCHEMA_VERSION, read_json, write_json

COMPARISON = "comparison.json"


@dataclass(frozen=True)
class Watch:
    """Who hears of it: lines for the reader, each run that ended, and what the runs under way say."""

    report: Report
    ended: Callable[[Job, str | None, float], None]
    going_on: Callable[[dict[str, str]], None]


def compare(
    task_name: str,
    rows: Sequence[Row],
    seeds: Sequence[int],
    folder: Path,
    *,
    at_once: int,
    command: str,
    command_of: Callable[[Row, int], str],
    watch: Watch,
) -> dict[str, Any]:
    """Trains what the study lacks; writes and gives its table, the content of comparison.json.

    command_of: the command that repeats one run. Raises UsageError for a folder that holds a study of another
    task or that another process writes, DataError for a run in it that is broken; both for a
    configuration or data (the base's) of no use, before anything is written.
    """
    task = find_task(task_name)
    with locked(folder):
        begun = _begun(task_name, folder)
        machine = _machine_for(rows[0].config) if begun is None else begun
        planned: list[list[Job]] = []
        for row in rows:
            jobs = []
            for seed in seeds:
                config = replace(row.config, seed=seed)
                task.with_published_sizes(config)  # refused now, not after the others have trained
                chosen = _on_machine(config, machine, at_once)
                name = run_name(row, seed, config)
                jobs.append(Job(name, task_name, chosen, command_of(row, seed)))
            planned.append(jobs)
        if begun is None:
            require_good_data(task, task.with_published_sizes(rows[0].config), watch.report)
            about = {"schema_version": SCHEMA_VERSION, "task": task_name, "machine": machine}
            write_json(folder / STUDY, about)
        # seed by seed, so that a study that is stopped early has something of every configuration
        in_turn = [jobs[place] for place in range(len(seeds)) for jobs in planned]
        finished = [job for job in in_turn if is_finished(folder / RUNS / job.name)]
        for job in finished:
            metrics_of(folder / RUNS / job.name)
        sizes = (len(rows), "configuration"), (len(seeds), "seed"), (len(in_turn), "run")
        each, of_each, in_all = (f"{count} {word}{'s' * (count > 1)}" for count, word in sizes)
        before = f", {len(finished)} of them finished before" * bool(finished)
        watch.report(f"{task_name}: {each}, {of_each} each, {in_all}{before}")
        failures: dict[str, str] = {}

        def ended(job: Job, why: str | None, seconds: float) -> None:
            if why is not None:
                failures[job.name] = why
            watch.ended(job, why, seconds)

        run_all(folder, in_turn, at_once=at_once, ended=ended, going_on=watch.going_on)
        outcomes = [
            {
                seed: metrics_of(folder / RUNS / job.name)
                for seed, job in zip(seeds, jobs, strict=True)
                if is_finished(folder / RUNS / job.name)
            }
            for jobs in planned
        ]
        base = rows[0].config
        result = {
            "schema_version": SCHEMA_VERSION,
            "task": task_name,
            "command": command,
            "seeds": list(seeds),
            "runs": {row.label: [job.name for job in jobs] for row, jobs in zip(rows, planned, strict=True)},
            "rows": table_rows(rows, outcomes),
            "pairs": pairs(rows, outcomes),
            "failures": failures,
            "notes": [
                *few_examples(
                    [each["validation"]["count"] for runs in outcomes for each in runs.values()],
                    "what ranks best",
                ),
                *_notes(base, planned, folder),
            ],
        }
        write_json(folder / COMPARISON, result)
        return result


def _begun(task_name: str, folder: Path) -> dict[str, str] | None:
    """The device and the number format of all runs of a study that was begun before, None of a new one."""
    path = folder / STUDY
    if path.exists():
        study = read_json(path)
        if study.get("task") != task_name:
            raise UsageError(
                f"{folder} is a study of the task {study.get('task')}, not {task_name}; give another --study"
            )
        machine = study.get("machine")
        if study.get("schema_version") != SCHEMA_VERSION or not isinstance(machine, dict):
            raise DataError(f"{path} is broken or of another version; begin anew in another folder")
        return machine
    if (folder / TRIALS).exists():
        raise UsageError(f"{folder} is a search of glassformer tune; give another --study")
    if (folder / CONFIG).exists():
        raise UsageError(f"{folder} is not a study, but the folder of a run; give another --study")
    if others := [name for name in os.listdir(folder) if name != "lock" and not name.startswith(".")]:
        raise UsageError(f"{folder} holds {others[0]}, and no study; give another --study")
    return None


def _machine_for(base: TrainConfig[Any, Any]) -> dict[str, str]:
    """The device and the number format that this machine has for all runs of a new study."""
    chosen = prepare_machine(MachineConfig(base.device, base.precision, base.threads))
    return {"device": chosen.device.type, "precision": chosen.precision}


def _on_machine(config: Any, machine: dict[str, str], at_once: int) -> Any:
    """'auto' said in full, so that no run decides for itself; the cores shared among the runs."""
    device = machine["device"] if config.device == "auto" else config.device
    precision = machine["precision"] if config.precision == "auto" else config.precision
    threads = config.threads or max(1, available_cores() // at_once)
    return replace(config, device=device, precision=precision, threads=threads)


def _notes(base: Any, planned: list[list[Job]], folder: Path) -> list[str]:
    """What a reader of the table has to know."""
    notes = []
    fraction = asdict(base.data).get("fraction", 1.0)
    if fraction < 1:
        notes.append(f"trained on {fraction:.0%} of the training examples; on all, other choices may be best")
    if len(planned[0]) == 2:
        notes.append(
            "of two seeds a 95% interval (Student's t) is seven times as wide as of five alike, and a spread "
            "below one example's share counts as that share"
        )
    checksums: dict[tuple[int, str], set[str]] = {}
    for jobs in planned:
        for job in jobs:
            if (folder / RUNS / job.name / PROVENANCE).is_file():
                for split, value in read_json(folder / RUNS / job.name / PROVENANCE)["data_sha256"].items():
                    checksums.setdefault((job.config.seed, split), set()).add(value)
    changed = dict.fromkeys(split for (_, split), values in checksums.items() if len(values) > 1)
    if changed:
        notes.append(f"configurations differ in their {' and '.join(changed)} data, and so may their figures")
    notes.append("ranked and tested by validation accuracy; the test figures stand beside and choose nothing")
    return notes
