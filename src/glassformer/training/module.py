"""The only LightningModule: a task's model, an optimiser, a schedule and, if asked for, averaged weights."""

import math
from typing import Any

import torch
from lightning.pytorch import LightningModule
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from glassformer.tasks.base import Task
from glassformer.tasks.config import OptimConfig, TrainConfig
from glassformer.training.optimizers import make_optimizer


class TrainingModule(LightningModule):
    """Trains `model` on `task`.

    The learning rate rises linearly over the first `warmup` of `total_steps` and then falls as chosen.
    With `average` the weights that judge and are kept are an exponential moving average of those that learn
    (Polyak & Juditsky 1992; the form of Tarvainen & Valpola 2017), whose decay warms up from 0.1 so that the
    first steps are soon forgotten.
    """

    def __init__(self, task: Task, model: nn.Module, config: TrainConfig[Any, Any], total_steps: int) -> None:
        super().__init__()
        self.task = task
        self.model = model
        self.config = config
        self.total_steps = total_steps
        decay = config.fit.average
        self.averaged = AveragedModel(model) if decay else None
        self._rng_state: list[Tensor] = []
        learner = task.in_training(model, config)
        # in a tuple: as a part of this module it would name all weights of a checkpoint a second time
        self._learner: tuple[Any] = (torch.compile(learner) if config.fit.compile else learner,)

    @property
    def best_guess(self) -> nn.Module:
        """The weights to judge and to keep: the averaged ones where there are any."""
        return self.model if self.averaged is None else self.averaged.module

    def training_step(self, batch: dict[str, Any], batch_idx: int) -> Tensor:
        """One batch; logs the loss and the share of correct answers."""
        loss, correct, count = self.task.loss(self._learner[0], batch, self.config.optim.label_smoothing)
        self.log("train/loss", loss.detach(), on_step=True, on_epoch=False)
        self.log("train/accuracy", correct / count, on_step=True, on_epoch=False)
        rates = [group["lr"] for group in self.trainer.optimizers[0].param_groups]
        self.log("train/learning_rate", max(rates))
        return loss

    def validation_step(self, batch: dict[str, Any], batch_idx: int) -> None:
        """One batch, judged by the best guess."""
        loss, correct, count = self.task.loss(self.best_guess, batch, 0.0)
        self.log("validation/loss", loss, batch_size=count, on_epoch=True)
        self.log("validation/accuracy", correct / count, batch_size=count, on_epoch=True)

    def configure_gradient_clipping(self, *args: Any, **kwargs: Any) -> None:
        """Scales the gradients down to the global norm `clip`; Lightning's own way refuses a fused AdamW."""
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.config.optim.clip or math.inf)
        self.log("train/gradient_norm", norm)

    def optimizer_step(self, *args: Any, **kwargs: Any) -> None:
        """One step, and the average moves a little towards it."""
        super().optimizer_step(*args, **kwargs)
        if self.averaged is not None:
            steps = int(self.averaged.n_averaged)
            follow(self.averaged.module, self.model, self.config.fit.average, steps)
            self.averaged.n_averaged += 1

    def configure_optimizers(self) -> Any:
        """The optimiser, with the schedule as a factor a step."""
        optim = self.config.optim
        dtype = torch.bfloat16 if self.trainer.precision == "bf16-mixed" else torch.float32
        optimizer = make_optimizer(self.model, optim, dtype)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_factor(step, self.total_steps, optim)
        )
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def on_save_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Dropout goes on with the very next random number after a restart."""
        checkpoint["rng_state"] = [torch.get_rng_state(), *torch.cuda.get_rng_state_all()]

    def on_load_checkpoint(self, checkpoint: dict[str, Any]) -> None:
        """Kept until training starts, since loading itself may draw numbers."""
        self._rng_state = checkpoint["rng_state"]

    def on_train_start(self) -> None:
        """See `on_load_checkpoint`; and the average's count stays where no step waits to read it."""
        if self.averaged is not None:
            self.averaged.n_averaged = self.averaged.n_averaged.cpu()
        if self._rng_state:
            torch.set_rng_state(self._rng_state[0])
            if len(self._rng_state) - 1 == torch.cuda.device_count():
                torch.cuda.set_rng_state_all(self._rng_state[1:])


def rate_factor(step: int, total_steps: int, optim: OptimConfig) -> float:
    """Share of the peak learning rate at a step, counted from 0; never 0 while steps are left."""
    warmup = round(optim.warmup * total_steps)
    if optim.decay == "one-cycle":
        return _one_cycle(step, warmup, total_steps)
    if step < warmup:
        return (step + 1) / (warmup + 1)
    left = 1 - (step - warmup) / max(1, total_steps - warmup)
    if optim.decay == "linear":
        return max(left, 0.0)
    if optim.decay == "cosine":
        return 0.5 * (1 - math.cos(math.pi * max(left, 0.0)))
    return 1.0


def _one_cycle(step: int, warmup: int, total_steps: int) -> float:
    """Half a cosine from 1/25 up to 1, another down to nearly 0: Smith & Topin 2018, as in OneCycleLR."""
    first, last = 1 / 25, 1 / 25 / 1e4
    peak = max(1, warmup) - 1
    if step <= peak:
        start, end, share = first, 1.0, step / max(1, peak)
    else:
        start, end, share = 1.0, last, (step - peak) / max(1, total_steps - 1 - peak)
    return end + (start - end) * 0.5 * (1 + math.cos(math.pi * min(1.0, share)))


@torch.no_grad()
def follow(averaged: nn.Module, current: nn.Module, decay: float, steps: int) -> None:
    """averaged <- d averaged + (1 - d) current,  d = min(decay, (1 + steps) / (10 + steps)), 0 at first."""
    weight = 1.0 if steps == 0 else 1 - min(decay, (1 + steps) / (10 + steps))
    slow, fast = [p.data for p in averaged.parameters()], [p.data for p in current.parameters()]
    torch._foreach_lerp_(slow, fast, weight)
    for kept, newest in zip(averaged.buffers(), current.buffers(), strict=True):
        kept.copy_(newest)
