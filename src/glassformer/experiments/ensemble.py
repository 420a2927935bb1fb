"""One small model trained from several seeds at once: weights are stacked, and every product does for all.

A model of some hundred parameters takes as long as its operations take to be called. Stacked, a step of
sixteen seeds costs little more than a step of one.
"""

import copy
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from glassformer.tasks.base import Prepared, Task
from glassformer.tasks.config import OptimConfig, TrainConfig
from glassformer.training.module import rate_factor


class Ensemble:
    """Models of one configuration that differ in their initial weights alone, and their optimiser.

    All see the same batches in the same order; the gradient of each is clipped on its own, so that no seed
    depends on another. AdamW, or SGD with momentum, with the schedule of `TrainConfig.optim`. No dropout: the
    models are in their evaluation mode.
    """

    def __init__(
        self,
        task: Task,
        prepared: Prepared,
        config: TrainConfig[Any, Any],
        seeds: Sequence[int],
        optimiser: str = "adamw",
    ) -> None:
        self.optimiser = optimiser
        self.task, self.config = task, config
        model = replace(config.model, **task.facts(prepared.tokenizer, prepared.class_names, config))
        models = [_built(task, model, seed) for seed in seeds]
        self.seeds = list(seeds)
        self.weights = {
            name: each.detach().clone().requires_grad_()
            for name, each in stack_module_state(models)[0].items()
        }
        self._skeleton = copy.deepcopy(models[0]).to("meta")
        self._optimizer = self._new_optimizer(config.optim)

    def _new_optimizer(self, optim: OptimConfig) -> torch.optim.Optimizer:
        weights, rate, decay = list(self.weights.values()), optim.learning_rate, optim.weight_decay
        if self.optimiser == "sgd":
            return torch.optim.SGD(weights, lr=rate, momentum=0.9, weight_decay=decay)
        return torch.optim.AdamW(weights, lr=rate, betas=optim.betas, weight_decay=decay)

    def _losses(self, batch: dict[str, Any]) -> tuple[Tensor, Tensor]:
        """(seeds,) mean losses, (seeds,) numbers of right answers."""

        def of_one(weights: dict[str, Tensor]) -> tuple[Tensor, Tensor]:
            def model(*inputs: Any) -> Any:
                return functional_call(self._skeleton, weights, inputs)

            # a task calls a model and nothing else of it
            loss, correct, _ = self.task.loss(model, batch, 0.0)  # pyrefly: ignore[bad-argument-type]
            return loss, correct

        return vmap(of_one, randomness="different")(self.weights)

    def step(self, batch: dict[str, Any], number: int, total: int) -> Tensor:
        """One step of every seed, the one of this number, from 0, of so many; gives the losses, (seeds,)."""
        factor = rate_factor(number, total, self.config.optim)
        for group in self._optimizer.param_groups:
            group["lr"] = self.config.optim.learning_rate * factor
        losses, _ = self._losses(batch)
        self._optimizer.zero_grad(set_to_none=True)
        losses.sum().backward()
        self._clip(self.config.optim.clip)
        self._optimizer.step()
        return losses.detach()

    def _clip(self, norm: float) -> None:
        gradients = [each.grad for each in self.weights.values() if each.grad is not None]
        norms = torch.stack([each.flatten(1).square().sum(1) for each in gradients]).sum(0).sqrt()
        factors = (norm / norms.clamp(min=1e-12)).clamp(max=1.0) if norm else torch.ones_like(norms)
        for each in gradients:
            each.mul_(factors.view(-1, *[1] * (each.ndim - 1)))

    @torch.no_grad()
    def judged(self, batches: Any) -> tuple[Tensor, Tensor]:
        """(seeds,) mean losses and (seeds,) shares of right answers."""
        loss, correct, count = torch.zeros(len(self.seeds)), torch.zeros(len(self.seeds)), 0
        for batch in batches:
            losses, right = self._losses(batch)
            loss += losses * len(batch["labels"])
            correct += right
            count += len(batch["labels"])
        return loss / count, correct / count

    def keep(self, rows: Tensor) -> None:
        """Goes on with these seeds alone, in this order, each with its optimiser's memory."""
        self.seeds = [self.seeds[row] for row in rows.tolist()]
        states = [self._optimizer.state[each] for each in self.weights.values()]
        self.weights = {name: each.detach()[rows].requires_grad_() for name, each in self.weights.items()}
        self._optimizer = self._new_optimizer(self.config.optim)
        for each, state in zip(self.weights.values(), states, strict=True):
            self._optimizer.state[each] = {
                name: part[rows] if part.ndim and name != "step" else part for name, part in state.items()
            }

    def model(self, place: int) -> nn.Module:
        """The model of one of the seeds, by its place among them."""
        model = copy.deepcopy(self._skeleton).to_empty(device="cpu")
        model.load_state_dict({name: each.detach()[place] for name, each in self.weights.items()})
        return model.eval()


def _built(task: Task, model: Any, seed: int) -> nn.Module:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        return task.build_model(model).eval()
