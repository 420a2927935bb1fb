"""What happens around the steps: the best model is kept, time is counted, Ctrl-C is heard."""

import math
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from lightning.pytorch import Callback, Trainer

from glassformer.errors import DataError
from glassformer.tasks.base import Batches
from glassformer.tasks.config import FitConfig
from glassformer.training.run_folder import LAST, save_model


class InterruptedRun(Exception):
    """The user pressed Ctrl-C (or the system asked to end), and everything was saved."""


class RunKeeper(Callback):
    """Keeps the best model by validation accuracy, and the training state after every epoch and on Ctrl-C.

    Equal accuracies are told apart by the validation loss; by_loss: the loss alone decides. Early stopping:
    after `patience` epochs that were no better, or once the accuracy passes `stop_above`.
    """

    def __init__(self, folder: Path, batches: Batches, *, by_loss: bool = False) -> None:
        self.folder = folder
        self.batches = batches
        self.by_loss = by_loss
        self.best = -1.0
        self.best_loss = math.inf
        self.best_epoch = 0
        self.epochs_without_better = 0
        self.finished = False
        self.last_saved = time.monotonic()
        self._interrupted = threading.Event()

    @contextmanager
    def listening(self) -> Iterator[None]:
        """Within it, Ctrl-C and the request to end are heard; a second one ends at once.

        Around the whole fit, since Lightning puts back, after an error, what it found when it began.
        """
        previous: dict[int, Any] = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                previous[number] = signal.signal(number, self._on_signal)
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _on_signal(self, number: int, frame: Any) -> None:
        if self._interrupted.is_set():
            raise KeyboardInterrupt
        self._interrupted.set()
        print("\nstopping after this step; once more ends at once", file=sys.stderr, flush=True)

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Within an epoch: saves and stops on Ctrl-C, and saves from time to time."""
        if batch_idx + 1 == trainer.num_training_batches:
            return  # the end of the epoch is near, where it is saved anyway
        if self._interrupted.is_set():
            self._save_state(trainer)
            raise InterruptedRun
        if time.monotonic() - self.last_saved > SAVE_EVERY_SECONDS:
            self._save_state(trainer)

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Keeps the model if it is the best so far."""
        accuracy = float(trainer.callback_metrics["validation/accuracy"])
        loss = float(trainer.callback_metrics["validation/loss"])
        if not math.isfinite(loss):
            optim = pl_module.config.optim
            muon = f", and --optim.muon-learning-rate, now {optim.peak}" * (optim.name == "muon")
            raise DataError(
                f"the training diverged: in epoch {trainer.current_epoch + 1} the validation loss is not a "
                f"number; lower --optim.learning-rate, now {optim.learning_rate}{muon}"
            )
        fit = pl_module.config.fit
        better = loss < self.best_loss if self.by_loss else (accuracy, -loss) > (self.best, -self.best_loss)
        if better:
            self.best, self.best_loss, self.best_epoch = accuracy, loss, trainer.current_epoch + 1
            self.epochs_without_better = 0
            save_model(pl_module.best_guess, self.folder)
        else:
            self.epochs_without_better += 1
        tired = fit.patience and self.epochs_without_better >= fit.patience
        self.finished = bool(tired or (fit.stop_above and accuracy > fit.stop_above))

    def on_train_epoch_end(self, trainer: Trainer, pl_module: Any) -> None:
        """After the epoch: saves, and stops early, or because Ctrl-C was pressed meanwhile."""
        self._save_state(trainer)
        if self._interrupted.is_set():
            raise InterruptedRun
        trainer.should_stop = self.finished

    def why_finished(self, fit: FitConfig) -> str:
        """For the reader, who sees fewer epochs than were asked for."""
        if fit.stop_above and self.best > fit.stop_above:
            return f"validation accuracy passed {fit.stop_above}"
        return f"no better epoch for {self.epochs_without_better}"

    def state_dict(self) -> dict[str, Any]:
        """Goes into the checkpoint. Lightning itself forgets a loader's position between two epochs."""
        return {
            "position": self.batches.position,
            "best": self.best,
            "best_loss": self.best_loss,
            "best_epoch": self.best_epoch,
            "epochs_without_better": self.epochs_without_better,
            "finished": self.finished,
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Comes back from the checkpoint."""
        self.batches.go_to(state_dict["position"])
        self.best, self.best_loss = state_dict["best"], state_dict["best_loss"]
        self.best_epoch = state_dict["best_epoch"]
        self.epochs_without_better = state_dict["epochs_without_better"]
        self.finished = state_dict["finished"]

    def _save_state(self, trainer: Trainer) -> None:
        trainer.save_checkpoint(self.folder / LAST)
        self.last_saved = time.monotonic()


SAVE_EVERY_SECONDS = 300
"""So that a machine that dies takes five minutes of training with it, not an epoch."""


class Listener(Callback):
    """Tells of each epoch, counted from 1, and its validation accuracy; what it raises ends the run."""

    def __init__(self, told: Callable[[int, float], None]) -> None:
        self.told = told

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """After the other callbacks have kept the model."""
        self.told(trainer.current_epoch + 1, float(trainer.callback_metrics["validation/accuracy"]))


class Clock(Callback):
    """Seconds of training, validation and start-up excluded, and how fast the examples went by.

    The seconds of a resumed run add up over its parts. `milestones`: for each validation accuracy in steps
    of five hundredths, the training seconds after which it was first passed.
    """

    def __init__(self) -> None:
        self.epoch_seconds: list[float] = []
        self.examples = 0
        self.milestones: list[dict[str, float]] = []
        self._partial = 0.0
        self._since: float | None = None

    @property
    def train_seconds(self) -> float:
        """Of all epochs, and of the one under way."""
        running = 0.0 if self._since is None else time.perf_counter() - self._since
        return sum(self.epoch_seconds) + self._partial + running

    def on_train_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Starts counting, also where a resumed run goes on within an epoch."""
        self._since = time.perf_counter()

    def on_train_epoch_start(self, trainer: Trainer, pl_module: Any) -> None:
        """Starts counting after a validation."""
        self._since = time.perf_counter()

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Counts examples; the last batch ends the epoch's time, before validation begins."""
        self.examples += len(batch["labels"])
        if batch_idx + 1 == trainer.num_training_batches and self._since is not None:
            if pl_module.device.type == "cuda":
                torch.cuda.synchronize()  # what is queued belongs to the epoch too
            self.epoch_seconds.append(self._partial + time.perf_counter() - self._since)
            self._partial, self._since = 0.0, None

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Notes which accuracies were passed for the first time."""
        accuracy = float(trainer.callback_metrics["validation/accuracy"])
        passed = {milestone["accuracy"] for milestone in self.milestones}
        for hundredths in range(5, 100, 5):
            if accuracy > hundredths / 100 and hundredths / 100 not in passed:
                self.milestones.append(
                    {
                        "accuracy": hundredths / 100,
                        "seconds": self.train_seconds,
                        "epoch": trainer.current_epoch + 1,
                    }
                )

    def state_dict(self) -> dict[str, Any]:
        """Goes into the checkpoint."""
        partial = self.train_seconds - sum(self.epoch_seconds)
        return {
            "epoch_seconds": list(self.epoch_seconds),
            "partial": partial,
            "examples": self.examples,
            "milestones": [dict(m) for m in self.milestones],
        }

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Comes back from the checkpoint."""
        self.epoch_seconds = state_dict["epoch_seconds"]
        self._partial = state_dict["partial"]
        self.examples = state_dict["examples"]
        self.milestones = state_dict["milestones"]


class History(Callback):
    """The figures of each epoch, for the learning curves.

    epochs: `epoch`, counted from 1; `train_loss` in nats and `train_accuracy`, means over the epoch's batches
    as they were trained on (augmented, with dropout, while the weights moved); `validation_loss` and
    `validation_accuracy` of the weights that would be kept.
    """

    def __init__(self) -> None:
        self.epochs: list[dict[str, float]] = []
        self._sums = torch.zeros(3)  # of losses, of correct answers, of examples

    def on_train_batch_end(
        self, trainer: Trainer, pl_module: Any, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        """Adds a batch, on its device, so that nothing waits for a figure."""
        count = len(batch["labels"])
        loss, accuracy = outputs["loss"].detach(), trainer.callback_metrics["train/accuracy"]
        of_batch = torch.stack([loss.float(), accuracy.float().to(loss.device), torch.ones_like(loss)])
        self._sums = self._sums.to(loss.device) + of_batch * count

    def on_validation_end(self, trainer: Trainer, pl_module: Any) -> None:
        """Ends the epoch; its validation comes after its last batch."""
        loss, correct, count = self._sums.tolist()
        self._sums = torch.zeros(3)
        self.epochs.append(
            {
                "epoch": trainer.current_epoch + 1,
                "train_loss": loss / count,
                "train_accuracy": correct / count,
                "validation_loss": float(trainer.callback_metrics["validation/loss"]),
                "validation_accuracy": float(trainer.callback_metrics["validation/accuracy"]),
            }
        )

    def state_dict(self) -> dict[str, Any]:
        """Goes into the checkpoint."""
        return {"epochs": [dict(epoch) for epoch in self.epochs], "sums": self._sums.tolist()}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Comes back from the checkpoint."""
        self.epochs = state_dict["epochs"]
        self._sums = torch.tensor(state_dict["sums"])
