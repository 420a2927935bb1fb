"""A study is a folder of runs that may be stopped at any moment, and goes on where it was.

    study.json    what is compared, and on what kind of machine
    runs/NAME/    one run folder each; TensorBoard opens them all: tensorboard --logdir FOLDER/runs
    logs/NAME.log what the run had to say
    lock          held while a process writes

Every run is trained in a process of its own, so that one that fails, or is killed, stops no other. Nothing is
remembered but the run folders: a run that has its metrics is finished, one that has a saved state goes on
from it, any other begins anew.
"""

import gc
import multiprocessing
import multiprocessing.connection
import os
import shutil
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from glassformer.errors import DataError, UsageError
from glassformer.tasks.base import Report, Task
from glassformer.tasks.config import TrainConfig
from glassformer.training.run_folder import LAST, METRICS, read_json

STUDY, RUNS, LOGS = "study.json", "runs", "logs"
TRIALS = "trials"
"""What a search has in place of runs; see `tune`."""
TAIL_BYTES = 4096
END_SECONDS = 60
"""How long a run may take to save its state when it is asked to end."""


@dataclass(frozen=True)
class Job:
    """One run of a study."""

    name: str
    task: str
    config: TrainConfig[Any, Any]
    command: str


@contextmanager
def locked(folder: Path, advice: str = "wait for it, or give another --study") -> Iterator[None]:
    """Holds the study against other processes. Raises UsageError with the advice where one writes it.

    Where no study was begun, what this made is taken away again.
    """
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is not a folder; give another --study")
    made = [each for each in (folder, *folder.parents) if not each.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / "lock", timeout=0)
    try:
        lock.acquire()
    except Timeout:
        raise UsageError(f"{folder} is being written by another process; {advice}") from None
    try:
        yield
    finally:
        with suppress(OSError):  # of folders that others have written to meanwhile
            if not (folder / STUDY).exists():
                os.unlink(folder / "lock")
                for each in made:
                    each.rmdir()
        lock.release()


def require_good_data(task: Task, config: TrainConfig[Any, Any], report: Report) -> None:
    """Bad data end a study here, before it begins, and not each of its runs.

    What `prepare` decodes or encodes, those find in the cache.
    """
    task.prepare(config, report)
    gc.collect()


def is_finished(folder: Path) -> bool:
    """Whether a run has its figures, which are written last."""
    return (folder / METRICS).is_file()


def metrics_of(folder: Path) -> dict[str, Any]:
    """The figures of a finished run. Raises DataError where they are missing or broken."""
    if not folder.is_dir():
        raise DataError(f"{folder} is missing; start the same comparison again, which trains it")
    try:
        metrics = read_json(folder / METRICS)
        metrics["validation"]["accuracy"], metrics["test"]["accuracy"], metrics["parameters"]
    except (DataError, KeyError, TypeError) as error:
        raise DataError(
            f"{folder} is half-written or broken ({type(error).__name__}); delete that folder and start the "
            "study again"
        ) from None
    return metrics


def run_all(
    folder: Path,
    jobs: list[Job],
    *,
    at_once: int,
    ended: Callable[[Job, str | None, float], None],
    going_on: Callable[[dict[str, str]], None] = lambda lines: None,
) -> None:
    """Trains what is not finished, `at_once` at a time, in the order given.

    ended: hears of each run that has ended: why it failed (None where it did not), and its seconds. going_on:
    hears a few times a second what the runs under way said last, by name.
    Ctrl-C, and the request to end, lets the runs save their state, then raises KeyboardInterrupt.
    """
    waiting = [job for job in jobs if not is_finished(folder / RUNS / job.name)]
    context = _context()
    if waiting and context.get_start_method() == "forkserver":
        _start_deaf_server()
    running: dict[int, tuple[Job, Any, Any, float]] = {}
    try:
        with _request_to_end_as_interrupt():
            while waiting or running:
                while waiting and len(running) < at_once:
                    job = waiting.pop(0)
                    log = folder / LOGS / f"{job.name}.log"
                    log.parent.mkdir(parents=True, exist_ok=True)
                    log.write_bytes(b"")
                    alive, ours = context.Pipe(duplex=False)
                    process = context.Process(target=_work, args=(job, folder / RUNS / job.name, log, alive))
                    process.start()
                    alive.close()
                    running[process.sentinel] = (job, process, ours, time.monotonic())
                over = multiprocessing.connection.wait(list(running), timeout=0.25)
                going_on({job.name: last_line(folder, job.name) for job, *_ in running.values()})
                for sentinel in over:
                    job, process, ours, since = running.pop(sentinel)  # type: ignore[call-overload]
                    process.join()
                    ours.close()
                    ended(job, _failure(folder, job, process.exitcode), time.monotonic() - since)
    except KeyboardInterrupt:
        for _, process, *_ in running.values():
            process.terminate()  # which the training hears as a wish to save and end
        for _, process, *_ in running.values():
            process.join(END_SECONDS)
        raise
    finally:
        for _, process, ours, _ in running.values():
            process.kill()
            ours.close()


def last_line(folder: Path, name: str) -> str:
    """What a run said last, '' where it has said nothing."""
    with suppress(OSError), (folder / LOGS / f"{name}.log").open("rb") as file:
        file.seek(max(0, file.seek(0, os.SEEK_END) - TAIL_BYTES))
        lines = [line.strip() for line in file.read().decode("utf-8", "replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")
    return ""


def _failure(folder: Path, job: Job, status: int | None) -> str | None:
    if status == 0 and is_finished(folder / RUNS / job.name):
        return None
    if status is not None and status < 0:
        ended_by = signal.Signals(-status).name
        return f"ended by {ended_by}" + "; perhaps memory ran out" * (ended_by == "SIGKILL")
    return last_line(folder, job.name).removeprefix("glassformer: ") or f"exit status {status}"


def _context() -> Any:
    # a server that has imported all forks each run in milliseconds; elsewhere than on Linux that is not safe
    context = multiprocessing.get_context("forkserver" if sys.platform == "linux" else "spawn")
    if sys.platform == "linux":
        context.set_forkserver_preload(["glassformer.training.fit"])
    return context


def _start_deaf_server() -> None:
    """The server that forks the runs, deaf to Ctrl-C: it is for us to hear, also while the server imports."""
    from multiprocessing.forkserver import ensure_running

    previous = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        ensure_running()
    finally:
        signal.signal(signal.SIGINT, previous)


@contextmanager
def _request_to_end_as_interrupt() -> Iterator[None]:
    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    previous = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)


def _work(job: Job, run: Path, log: Path, alive: Any) -> None:
    """In the process of one run."""
    if hasattr(os, "setpgrp"):
        os.setpgrp()  # Ctrl-C reaches the study, which asks its runs to end, once
    with log.open("ab", buffering=0) as file:
        os.dup2(file.fileno(), 1)
        os.dup2(file.fileno(), 2)
    threading.Thread(target=_end_with_the_study, args=(alive,), daemon=True).start()
    from glassformer.training.callbacks import InterruptedRun

    try:
        run.parent.mkdir(parents=True, exist_ok=True)
        # the run of a study that was killed just now may still be about to notice
        with FileLock(run.with_name(f".{run.name}.lock"), timeout=END_SECONDS):
            _train(job, run)
    except InterruptedRun as stop:
        print(stop, flush=True)
        sys.exit(130)
    except Exception as error:
        reason = " ".join(str(error).split()) or "no reason given"
        kind = "" if isinstance(error, UsageError | DataError) else f"{type(error).__name__}: "
        print(f"glassformer: {kind}{reason}", flush=True)
        sys.exit(1)


def _train(job: Job, run: Path) -> None:
    from glassformer.training.fit import resume, train

    if (run / LAST).exists():
        resume(str(run), report=_say)
        return
    shutil.rmtree(run, ignore_errors=True)
    train(job.task, job.config, str(run), command=job.command, report=_say)


def _say(line: str) -> None:
    print(line, flush=True)


def _end_with_the_study(alive: Any) -> None:
    """Nobody writes into this pipe; it ends when the study does, however it was ended."""
    with suppress(EOFError, OSError):
        alive.recv_bytes()
    os._exit(1)
