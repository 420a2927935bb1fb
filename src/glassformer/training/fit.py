"""From a configuration to a finished run folder."""

import logging
import shlex
import shutil
import warnings
from collections.abc import Callable
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch import Trainer
from lightning.pytorch.loggers import TensorBoardLogger
from safetensors.torch import load_file

from glassformer.cache import write_atomically
from glassformer.data.splits import few_examples
from glassformer.errors import DataError, UsageError
from glassformer.tasks import find_task
from glassformer.tasks.base import Prepared, Report, Task
from glassformer.tasks.config import TrainConfig
from glassformer.training.callbacks import Clock, History, InterruptedRun, Listener, RunKeeper
from glassformer.training.checkpoint_io import SafetensorsCheckpointIO
from glassformer.training.judge import answers, count_parameters, judge, judge_baselines, print_table
from glassformer.training.machine import Machine, prepare_machine
from glassformer.training.module import TrainingModule
from glassformer.training.optimizers import make_optimizer
from glassformer.training.progress import ProgressBar
from glassformer.training.provenance import peak_host_bytes, provenance
from glassformer.training.run_folder import (
    LAST,
    METRICS,
    MODEL,
    PROVENANCE,
    SCHEMA_VERSION,
    SPLITS,
    TOKENIZER,
    claim,
    new_run_folder,
    read_config,
    read_json,
    require_same_data,
    same_choices,
    write_config,
    write_json,
)


def train(
    task_name: str,
    config: TrainConfig[Any, Any],
    run_dir: str | None = None,
    *,
    command: str | None = None,
    report: Report = print,
    trial: Callable[[int, float], None] | None = None,
) -> Path:
    """Trains, judges and writes a run; returns its folder.

    trial: the run is one of a search's. It hears of each epoch, counted from 1, and its validation accuracy,
    and may raise what ends the run; test is not looked at, since a search chooses, and no rival is fitted.

    Nothing is written before the data and the sizes are known to be good. Raises UsageError, DataError, and
    InterruptedRun after Ctrl-C, when the best model so far and the state to go on from are saved.
    """
    task = find_task(task_name)
    folder = new_run_folder(task_name, run_dir)
    machine = prepare_machine(config)
    config = task.with_published_sizes(config)
    lightning.seed_everything(config.seed, verbose=False)
    prepared = task.prepare(config, report)
    config = task.with_absolute_paths(config)
    config = task.with_facts(config, task.facts(prepared.tokenizer, prepared.class_names, config))
    module = _module(task, prepared, config)
    task.load_published(module.model, config, report)
    if module.averaged is not None:
        module.averaged.module.load_state_dict(module.model.state_dict())

    folder = claim(folder, given=run_dir is not None)
    command = command or _repeating(task, task_name, folder)
    try:
        _write_beginning(folder, task_name, config, machine, prepared, command)
    except BaseException:  # Ctrl-C too: a folder without its configuration is no run, and in the way
        shutil.rmtree(folder, ignore_errors=True)
        raise
    try:
        return _run(task, task_name, folder, config, machine, prepared, module, None, command, report, trial)
    except DataError:
        if not (folder / MODEL).exists():  # it diverged before there was anything to keep
            shutil.rmtree(folder, ignore_errors=True)
        raise


def _write_beginning(
    folder: Path,
    task_name: str,
    config: TrainConfig[Any, Any],
    machine: Machine,
    prepared: Prepared,
    command: str,
) -> None:
    """What a run folder holds before the first step."""
    write_config(folder, task_name, config, prepared.class_names)
    if (tokenizer := prepared.tokenizer) is not None:
        write_atomically(folder / TOKENIZER, lambda scratch: tokenizer.save(str(scratch)))
    choices = {"device": machine.device.type, "precision": machine.precision, "threads": machine.threads}
    write_json(
        folder / PROVENANCE,
        provenance(task_name, config.seed, prepared.checksums, choices) | {"command": command},
    )


def resume(run_dir: str, *, baselines: bool = True, report: Report = print) -> Path:
    """Goes on with a run that was stopped, in its own configuration, and finishes it.

    baselines: False leaves them out where the configuration has them.
    """
    folder = Path(run_dir)
    run = read_config(folder)
    if (folder / METRICS).exists():
        raise UsageError(
            f"{folder} is finished; nothing is left to resume, see `glassformer evaluate {folder}`"
        )
    if not (folder / LAST).exists():
        raise UsageError(
            f"{folder} was stopped before its first state was saved; delete it and start it again"
        )
    config = run.config
    machine = prepare_machine(same_choices(folder, config))
    lightning.seed_everything(config.seed, verbose=False)
    prepared = run.task.prepare(config, report)
    require_same_data(folder, prepared)
    module = _module(run.task, prepared, config)
    command = read_json(folder / PROVENANCE)["command"]  # what began it repeats it, also without its folder
    if config.baselines and not baselines:
        config = replace(config, baselines=False)
        command += " --no-baselines"
        later = f"glassformer evaluate {shlex.quote(str(folder))}"
        prepared.notes.append(f"the baselines are left out; {later} fits them")
    return _run(
        run.task, run.task_name, folder, config, machine, prepared, module, folder / LAST, command, report
    )


def _repeating(task: Task, name: str, folder: Path) -> str:
    return f"glassformer {task.command(name)} --config {shlex.quote(str(folder / 'config.yaml'))}"


def _module(task: Task, prepared: Prepared, config: TrainConfig[Any, Any]) -> TrainingModule:
    facts = task.facts(prepared.tokenizer, prepared.class_names, config)
    model = task.build_model(replace(config.model, **facts))
    make_optimizer(model, config.optim)  # what it refuses is refused before anything is written
    steps = len(task.batches(prepared.examples["train"], config, train=True)) * config.fit.epochs
    return TrainingModule(task, model, config, steps)


def _run(
    task: Task,
    task_name: str,
    folder: Path,
    config: TrainConfig[Any, Any],
    machine: Machine,
    prepared: Prepared,
    module: TrainingModule,
    checkpoint: Path | None,
    command: str,
    report: Report,
    trial: Callable[[int, float], None] | None = None,
) -> Path:
    sizes = ", ".join(
        f"{len(prepared.examples[split]):,} {split}" for split in SPLITS if split in prepared.examples
    )
    parameters = count_parameters(module.model)
    every = sum(each.numel() for each in module.model.parameters())
    of_all = f" of {every:,}" if every > parameters else ""
    report(
        f"{task_name}: {sizes} examples; {config.model.name} of {parameters:,}{of_all} parameters; "
        f"{machine.device.type}, {machine.precision}, {machine.threads} thread{'s' * (machine.threads > 1)}"
    )
    if config.fit.epochs > 1 and not task.kept_by_loss:
        prepared.notes.extend(few_examples([len(prepared.examples["validation"])], "which epoch is best"))
    for note in prepared.notes:
        report(f"note: {note}")
    clock, history = Clock(), History()
    examples = prepared.examples
    here: Any = machine.device.type  # where images are augmented; 'auto' says nothing of it
    to_learn = task.batches(examples["train"], replace(config, device=here), train=True)
    keeper = RunKeeper(folder, to_learn, by_loss=task.kept_by_loss)
    callbacks = [clock, history, keeper, ProgressBar(to_learn), *([Listener(trial)] if trial else [])]
    trainer = _trainer(folder, config, machine, callbacks, min(50, len(to_learn)))
    try:
        state = SafetensorsCheckpointIO().load_checkpoint(checkpoint)["callbacks"] if checkpoint else None
        if state:
            where = state["RunKeeper"]["position"]
            given = f"in epoch {where['epoch'] + 1}, after {where['given']} of {len(to_learn)} batches"
            trained = where["epoch"] >= config.fit.epochs
            report(f"going on {'after the last epoch' if trained else given}")
        if state and state["RunKeeper"]["finished"]:  # it had stopped early, and is left to be judged
            keeper.load_state_dict(state["RunKeeper"])
            clock.load_state_dict(state["Clock"])
            history.load_state_dict(state["History"])
        else:
            with keeper.listening():
                trainer.fit(
                    module,
                    train_dataloaders=to_learn,
                    val_dataloaders=task.batches(examples["validation"], config, train=False),
                    ckpt_path=checkpoint,
                )
        early = f"; stopped early ({keeper.why_finished(config.fit)})" if keeper.finished else ""
        epochs = f"kept epoch {keeper.best_epoch} of {len(clock.epoch_seconds)}"
        report(f"{epochs}, validation accuracy {keeper.best:.4f}{early}")
        metrics = {
            "schema_version": SCHEMA_VERSION,
            "task": task_name,
            "seed": config.seed,
            "parameters": parameters,
            "train_seconds": clock.train_seconds,
            "epoch_seconds": clock.epoch_seconds,
            "examples_per_second": clock.examples / clock.train_seconds,
            "best_epoch": keeper.best_epoch,
            "milestones": clock.milestones,
            "history": history.epochs,
            **task.told_of_training(config, len(history.epochs)),
            **_figures(task, folder, config, machine, prepared, module.model, report, test=trial is None),
        }
        _log_for_tensorboard(trainer, config, metrics)
        (folder / "hparams.yaml").unlink(missing_ok=True)  # the logger's, and empty
        write_json(folder / METRICS, metrics)
    except RuntimeError as error:
        if config.fit.compile and type(error).__module__.startswith(("torch._dynamo", "torch._inductor")):
            why = str(error).splitlines()[0][:200]
            raise DataError(f"torch.compile failed here ({why}); leave out --fit.compile") from error
        raise
    except (InterruptedRun, KeyboardInterrupt, SystemExit):  # Lightning turns a second Ctrl-C into an exit
        kept = (
            f"the best model so far is {folder / MODEL}" if (folder / MODEL).exists() else "no epoch was over"
        )
        verb = task.command(task_name).split()[0]
        raise InterruptedRun(
            f"stopped; {kept}; go on with: glassformer {verb} --resume {shlex.quote(str(folder))}"
        ) from None
    if trial is None:
        print_table(task, metrics, config.model.name, command, folder, prepared.notes)
    return folder


def _log_for_tensorboard(trainer: Trainer, config: TrainConfig[Any, Any], metrics: dict[str, Any]) -> None:
    """The options beside what came of them: TensorBoard's hparams tab, with all runs of a study."""
    options: dict[str, Any] = {"seed": config.seed}
    for part in ("model", "data", "optim", "fit"):
        for name, value in asdict(getattr(config, part)).items():
            options[f"{part}.{name}"] = value if isinstance(value, int | float | str) else str(value)
    for logger in trainer.loggers:
        if isinstance(logger, TensorBoardLogger):
            reached = {
                f"kept/{split}_accuracy": metrics[split]["accuracy"]
                for split in ("validation", "test")
                if split in metrics
            }
            logger.log_hyperparams(options, reached)
            logger.finalize("success")


def _figures(
    task: Task,
    folder: Path,
    config: TrainConfig[Any, Any],
    machine: Machine,
    prepared: Prepared,
    model: torch.nn.Module,
    report: Report,
    *,
    test: bool = True,
) -> dict[str, Any]:
    """What the best model and the baselines are worth; the only look at the test split."""
    model.load_state_dict(load_file(folder / MODEL))
    model.to(machine.device)
    judged = task.judged_splits if test else ("validation",)
    examples = {split: prepared.examples[split] for split in judged}
    batches = {split: task.batches(part, config, train=False) for split, part in examples.items()}
    report("judging " + " and ".join(f"{len(part):,} {split}" for split, part in examples.items()))
    figures: dict[str, Any] = judge(task, model, batches, prepared.class_names, prepared.tokenizer, machine)
    figures["peak_memory_bytes"] = {
        "host": peak_host_bytes(),
        "device": torch.cuda.max_memory_allocated() if machine.device.type == "cuda" else None,
    }
    figures["baselines"] = {}
    if config.baselines and test:
        inputs = {split: prepared.inputs[split] for split in ("validation", "test") if split in judged}
        figures["baselines"] = judge_baselines(
            task, prepared.inputs["train"], inputs, prepared.class_names, config.seed, report
        )
    if (example := task.worked_example(config)) is not None:
        encoded, _ = task.encode([example], prepared.tokenizer, config)
        said = answers(task, model, task.batches(encoded, config, train=False), machine)
        (shown,) = task.predictions([example], said, prepared.class_names, prepared.tokenizer, config)
        figures["example"] = {"input": example, "output": task.told(shown)}
    return figures


def _trainer(
    folder: Path, config: TrainConfig[Any, Any], machine: Machine, callbacks: list[Any], log_every: int
) -> Trainer:
    # its adverts and its advice (more workers, a litlogger) are not for the readers of this command
    for name in ("lightning.pytorch", "lightning.fabric", "lightning.pytorch.utilities.rank_zero"):
        logging.getLogger(name).setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning")
    return Trainer(
        accelerator={"cuda": "gpu"}.get(machine.device.type, machine.device.type),
        devices=1,
        precision="bf16-mixed" if machine.precision == "bf16" else "32-true",
        max_epochs=config.fit.epochs,
        logger=TensorBoardLogger(folder, name="", version="", default_hp_metric=False),
        callbacks=callbacks,
        plugins=[SafetensorsCheckpointIO()],
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        num_sanity_val_steps=0,
        log_every_n_steps=log_every,
        use_distributed_sampler=False,
    )
