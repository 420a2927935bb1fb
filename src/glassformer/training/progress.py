"""The progress bar: where the run stands, how good it is, how fast it goes, how long it still takes."""

import sys
import time
from typing import Any

from lightning.pytorch import Callback, Trainer
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.table import Column
from rich.text import Text

from glassformer.tasks.base import Batches

REFRESHES_A_SECOND = 4


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.fields['rate']:,.0f}/s")


class ProgressBar(Callback):
    """One bar for the whole run; where the output is no terminal, a line an epoch instead."""

    def __init__(self, batches: Batches) -> None:
        self.batches = batches
        self.console = Console(file=sys.stderr)
        self.bar: Progress | None = None
        self._examples = 0
        self._since = 0.0
        self._next_update = 0.0
        self._rate = 0.0
        self._accuracy: float | None = None

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Shows the bar, at the step where a resumed run goes on."""
        self.on_train_epoch_start(trainer, pl_module)
        if not self.console.is_terminal:
            return
        self.bar = Progress(
            TextColumn("epoch {task.fields[epoch]}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None),
            TextColumn("accuracy {task.fields[accuracy]}", table_column=Column(no_wrap=True)),
            _Rate(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(table_column=Column(no_wrap=True)),
            TextColumn("left"),
            console=self.console,
            expand=True,
            refresh_per_second=REFRESHES_A_SECOND,
        )
        self.bar.add_task(
            "train",
            total=self.work_of(pl_module.total_steps),
            completed=self.work_of(trainer.global_step),  # pyrefly: ignore[bad-argument-type]
            epoch="1",
            accuracy="...",
            rate=0.0,
        )
        self.bar.start()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """The rate is that of this epoch."""
        self._examples, self._since = 0, time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Moves the bar a few times a second, not at every step: drawing costs more than a small step."""
        self._examples += len(batch["labels"])
        now = time.perf_counter()
        if now < self._next_update and batch_idx + 1 < trainer.num_training_batches:
            return
        self._next_update = now + 1 / REFRESHES_A_SECOND
        self._rate = self._examples / max(now - self._since, 1e-9)
        if self.bar:
            train = float(trainer.callback_metrics.get("train/accuracy", 0.0))
            judged = "" if self._accuracy is None else f" (validation {self._accuracy:.4f})"
            self.bar.update(
                self.bar.task_ids[0],
                completed=self.work_of(trainer.global_step),
                epoch=f"{trainer.current_epoch + 1}/{trainer.max_epochs}",
                accuracy=f"{train:.2f}{judged}",
                rate=self._rate,
            )

    def work_of(self, steps: int) -> float:
        """Of the first `steps`, counted in those of the last epoch."""
        epochs, more = divmod(steps, len(self.batches))
        whole = sum(self.batches.work(epoch) for epoch in range(epochs))
        return whole * len(self.batches) + self.batches.work(epochs) * more

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """One line an epoch that stays."""
        self._accuracy = float(trainer.callback_metrics["validation/accuracy"])
        loss = float(trainer.callback_metrics["validation/loss"])
        self.console.print(
            f"epoch {trainer.current_epoch + 1}/{trainer.max_epochs}: validation accuracy "
            f"{self._accuracy:.4f}, validation loss {loss:.3f}, {self._rate:,.0f} examples/s",
            highlight=False,
            soft_wrap=True,  # a line of a log is one line, whatever the width that is assumed for it
        )

    def on_exception(self, trainer: Trainer, pl_module: Any, exception: BaseException) -> None:
        """After an error Lightning calls this and not `teardown`."""
        self.teardown(trainer, pl_module, "fit")

    def teardown(self, trainer: Trainer, pl_module: Any, stage: str) -> None:
        """Takes the bar away."""
        if self.bar:
            self.bar.stop()
            self.bar = None
