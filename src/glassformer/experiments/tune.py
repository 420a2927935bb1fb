"""A search for the best configuration: Optuna proposes, validation accuracy decides, the hopeless end early.

A study is a journal file in its folder, or a database; any number of processes, on any number of machines
that see it, work on one study until it has its trials. Every trial is a run folder without a test figure.
"""

import gc
import json
import math
import platform
import shutil
import time
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import optuna
import yaml
from filelock import FileLock, Timeout
from optuna.samplers import TPESampler
from optuna.trial import FrozenTrial, TrialState

from glassformer.cache import write_atomically
from glassformer.data.splits import few_examples
from glassformer.errors import DataError, UsageError
from glassformer.experiments.plan import Configure
from glassformer.experiments.space import Space, same_data
from glassformer.experiments.study import STUDY, TRIALS, require_good_data
from glassformer.tasks import find_task
from glassformer.tasks.base import Report
from glassformer.tasks.config import TrainConfig
from glassformer.training.callbacks import InterruptedRun
from glassformer.training.fit import train
from glassformer.training.run_folder import CONFIG, METRICS, SCHEMA_VERSION, read_json, write_json

JOURNAL, BEST, RESULT = "journal.log", "best.yaml", "tuning.json"
COUNTED = (TrialState.RUNNING, TrialState.COMPLETE, TrialState.PRUNED)
RANDOM_FIRST = 10
"""Trials drawn at random, a third of all at most, before the sampler begins to learn from them."""
PRUNE_AFTER_TRIALS, PRUNE_AFTER_SHARE = 5, 1 / 3
"""No trial ends early before so many others have ended, nor in this share of its epochs.

After one epoch most are at chance, and a median of chance picks at random: it ended all that became good.
"""


def tune(
    task_name: str,
    space: Space,
    configure: Configure,
    folder: Path,
    *,
    storage: str | None,
    trials: int,
    seed: int,
    prune: bool,
    command: str,
    report: Report,
) -> dict[str, Any]:
    """Works on the study until it has so many trials; writes best.yaml and tuning.json, and gives the latter.

    storage: a database's URL; None keeps a journal in the folder. A trial that the median of the others at
    its epoch beats is ended early, once it has had a third of its epochs. Raises UsageError for a study of
    another task or of other options, DataError where no trial came to an end.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    warnings.filterwarnings("ignore", module="optuna")
    pruner: Any = optuna.pruners.NopPruner()
    if prune:
        least = max(1, math.ceil(PRUNE_AFTER_SHARE * configure({}).fit.epochs))
        pruner = optuna.pruners.MedianPruner(PRUNE_AFTER_TRIALS, least)
    said = {
        "task": task_name,
        "seed": seed,
        "space": {option: str(values) for option, values in space.items()},
        "options": _shared_options(configure({})),
    }
    if same_data(space):
        task = find_task(task_name)
        require_good_data(task, task.with_published_sizes(configure({})), report)
    study, ran = open_study(folder, storage, pruner, said), 0
    while True:
        with FileLock(folder / ".study.lock"):
            trial = _ask(study, folder, trials, seed)
            if trial is None:
                break
            held = FileLock(_lock_of(folder, trial.number))
            held.acquire()
        try:
            _attempt(study, trial, task_name, space, configure, folder, report)
            ran += 1
        finally:
            held.release()
    result = summary(study, task_name, command)
    if result["best"] is None:
        why = "see the lines above" if ran else "they ended before: give more --trials, or another --study"
        raise DataError(f"no trial of {folder} came to its end; {why}, or narrow the search")
    judged = read_json(folder / TRIALS / f"{result['best']['number']:04d}" / METRICS)["validation"]
    result["notes"] = few_examples([judged["count"]], "what ranks best")
    write_json(folder / RESULT, result)
    write_best(folder, result)
    return result


def open_study(folder: Path, storage: str | None, pruner: Any, said: dict[str, Any]) -> optuna.Study:
    """The study of a folder, new or begun before. said: what all who work on it have to agree on.

    Raises UsageError where they do not, or where the storage cannot be opened.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give another --study")
    if (folder / STUDY).exists():
        raise UsageError(f"{folder} is a study of glassformer compare; give another --study")
    (folder / TRIALS).mkdir(parents=True, exist_ok=True)
    with FileLock(folder / ".study.lock"):  # two processes that create one study at once can crash
        try:
            kept: Any = storage or _journal(folder / JOURNAL)
            study = optuna.create_study(
                storage=kept, study_name=folder.name, direction="maximize", load_if_exists=True, pruner=pruner
            )
            before = dict(study.user_attrs)
        except Exception as error:  # of whichever database it is
            reason = " ".join(str(error).split())[:200]
            raise UsageError(f"the study {storage or folder} cannot be opened ({reason})") from error
        if before and before != said:
            raise UsageError(
                f"{folder} is a study of another {_difference(before, said)}; give another --study"
            )
        for name, value in said.items():
            study.set_user_attr(name, value)
    return study


def _shared_options(config: TrainConfig[Any, Any]) -> dict[str, Any]:
    """Option -> value of what all trials share; of files the name alone, as machines keep them anywhere."""
    said = {
        f"{part}.{name}": Path(value).name if isinstance(value, str) else value
        for part in ("model", "data", "optim", "fit")
        for name, value in asdict(getattr(config, part)).items()
    }
    return dict(json.loads(json.dumps(said, default=str)))


def _difference(before: dict[str, Any], said: dict[str, Any]) -> str:
    """In what two searches differ, the options one by one."""
    parts = [key for key in said if key != "options" and before.get(key) != said[key]]
    ours, theirs = said["options"], before.get("options", {})
    options = [name for name in {**theirs, **ours} if theirs.get(name) != ours.get(name)]
    shown = [f"{name} ({theirs.get(name)} there, {ours.get(name)} here)" for name in options[:3]]
    return ", ".join([*parts, *shown, *(["..."] if len(options) > 3 else [])])


def _journal(path: Path) -> Any:
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend

    return JournalStorage(JournalFileBackend(str(path)))


def _ask(study: optuna.Study, folder: Path, trials: int, seed: int) -> optuna.Trial | None:
    """The next trial; None once there are enough, those that others have under way included."""
    _give_up_the_dead(study, folder)
    all_so_far = study.get_trials(deepcopy=False)
    if sum(each.state in COUNTED for each in all_so_far) >= trials:
        return None
    # by the trial's number: reproducible alone, and two processes do not propose the same
    study.sampler = TPESampler(
        n_startup_trials=min(RANDOM_FIRST, max(1, trials // 3)),
        constant_liar=True,
        seed=(seed * 100_003 + len(all_so_far)) % 2**32,
    )
    trial = study.ask()
    trial.set_user_attr("host", platform.node())
    if sum(each.state in COUNTED and each.number < trial.number for each in study.get_trials()) >= trials:
        study.tell(trial, state=TrialState.FAIL)  # another machine, which our lock does not reach, was faster
        return None
    return trial


def _give_up_the_dead(study: optuna.Study, folder: Path) -> None:
    """Trials of this machine whose process is gone are marked as failed, and their values tried again."""
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if trial.user_attrs.get("host") != platform.node():
            continue
        try:
            with FileLock(_lock_of(folder, trial.number), timeout=0):
                study.tell(trial.number, state=TrialState.FAIL)
                study.enqueue_trial(trial.params)
        except Timeout:
            continue  # at work


def _lock_of(folder: Path, number: int) -> Path:
    return folder / TRIALS / f".{number:04d}.lock"


def _attempt(
    study: optuna.Study,
    trial: optuna.Trial,
    task_name: str,
    space: Space,
    configure: Configure,
    folder: Path,
    report: Report,
) -> None:
    """One trial, told to the study however it ends."""
    settings = {option: values.suggest(trial, option) for option, values in space.items()}
    trial.set_user_attr("settings", settings)
    run = folder / TRIALS / f"{trial.number:04d}"
    words = ", ".join(f"{option}={value}" for option, value in settings.items())
    since = time.monotonic()

    def ended(how: str) -> None:
        trial.set_user_attr("seconds", time.monotonic() - since)
        report(f"trial {trial.number}: {how}, {time.monotonic() - since:.0f} s ({words})")

    def each_epoch(epoch: int, accuracy: float) -> None:
        trial.set_user_attr("trained", epoch)
        trial.report(accuracy, epoch)
        if trial.should_prune():
            raise optuna.TrialPruned(f"ended early after epoch {epoch}, validation {accuracy:.4f}")

    try:
        config = configure(settings)
    except UsageError as error:  # heads that do not divide d_model, say
        ended(f"no model ({error})")
        study.tell(trial, state=TrialState.PRUNED)
        return
    try:
        shutil.rmtree(run, ignore_errors=True)
        gc.collect()  # the trial before is in memory still: its trainer and model hold one another
        train(task_name, config, str(run), report=lambda line: None, trial=each_epoch)
        accuracy = float(read_json(run / METRICS)["validation"]["accuracy"])
    except (optuna.TrialPruned, DataError) as error:  # or it diverged
        ended(" ".join(str(error).split()))
        study.tell(trial, state=TrialState.PRUNED)
    except BaseException as error:
        study.tell(trial, state=TrialState.FAIL)
        if isinstance(error, InterruptedRun | KeyboardInterrupt):
            study.enqueue_trial(trial.params)
            raise KeyboardInterrupt from None
        raise
    else:
        # good enough before its last epoch, it is so afterwards too: later trials are held against it there
        for epoch in range(trial.user_attrs["trained"] + 1, config.fit.epochs + 1):
            trial.report(accuracy, epoch)
        ended(f"validation {accuracy:.4f}")
        study.tell(trial, accuracy)


def summary(study: optuna.Study, task_name: str, command: str) -> dict[str, Any]:
    """The content of tuning.json: every trial that counts, the best one, and how much each option matters."""
    counted = [each for each in study.get_trials(deepcopy=False) if each.state in COUNTED]
    finished = [each for each in counted if each.state == TrialState.COMPLETE]
    best = max(finished, key=lambda each: (each.value or 0.0, -each.number), default=None)
    return {
        "schema_version": SCHEMA_VERSION,
        "task": task_name,
        "command": command,
        "trials": [_told(each) for each in counted],
        "best": None if best is None else _told(best),
        "importances": importances(study, finished),
    }


def _told(trial: FrozenTrial) -> dict[str, Any]:
    return {
        "number": trial.number,
        "state": trial.state.name.lower(),
        "validation_accuracy": trial.value if trial.state == TrialState.COMPLETE else None,
        "settings": trial.user_attrs.get("settings", {}),
        "epochs": {
            str(epoch): value
            for epoch, value in trial.intermediate_values.items()
            if epoch <= trial.user_attrs.get("trained", 0)
        },
        "seconds": trial.user_attrs.get("seconds"),
    }


def importances(study: optuna.Study, finished: list[FrozenTrial]) -> dict[str, float] | None:
    """Each option's share of the variance of validation accuracy over the finished trials, largest first.

    None where fewer than four finished, or none differs. Source: Hutter et al. 2014, 'An efficient approach
    for assessing hyperparameter importance' (fANOVA), as Optuna has it.
    """
    if len(finished) < 4 or len({each.value for each in finished}) < 2:
        return None
    from optuna.importance import FanovaImportanceEvaluator, get_param_importances

    return {
        option: float(share)
        for option, share in get_param_importances(study, evaluator=FanovaImportanceEvaluator(seed=0)).items()
    }


def write_best(folder: Path, result: dict[str, Any]) -> None:
    """Writes best.yaml, which `train --config` takes: the best trial's model, data, optimiser and epochs."""
    best = result["best"]
    run = yaml.safe_load((folder / TRIALS / f"{best['number']:04d}" / CONFIG).read_text(encoding="utf-8"))
    kept = {part: run[part] for part in ("schema_version", "task", "model", "data", "optim", "fit")}
    accuracy = best["validation_accuracy"]
    text = (
        f"# the best of {len(result['trials'])} trials: validation accuracy {accuracy:.4f},\n"
        "# chosen by it, so judge this configuration on test, with other seeds too\n"
        f"# found by: {result['command']}\n"
        f"# use: glassformer {find_task(result['task']).command(result['task'])} --config {BEST}\n"
    ) + yaml.safe_dump(kept, sort_keys=False)
    write_atomically(folder / BEST, lambda scratch: scratch.write_text(text, encoding="utf-8"))
