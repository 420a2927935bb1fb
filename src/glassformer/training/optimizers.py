"""Optimisers: which parameters learn how."""

from collections.abc import Callable
from typing import Any

import torch
from torch import nn

from glassformer.errors import UsageError
from glassformer.tasks.config import OptimConfig


def make_optimizer(model: nn.Module, optim: OptimConfig) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) for all parameters, or Muon for the matrices of the blocks beside it.

    Raises UsageError where Muon is asked for and the model has no blocks.
    """
    groups = parameter_groups(model, optim)
    adamw: dict[str, Any] = {"lr": optim.learning_rate, "betas": optim.betas, "fused": True}
    if optim.name == "adamw":
        return torch.optim.AdamW(list(groups.values()), **adamw)
    inside = [p for name, p in model.named_parameters() if name.startswith("blocks.") and p.ndim == 2]
    if not inside:
        raise UsageError("optim.name=muon is for the matrices of encoder blocks; choose adamw for this model")
    chosen = {id(p) for p in inside}
    matrices = groups["matrix"] | {"params": inside}
    for group in groups.values():
        group["params"] = [p for p in group["params"] if id(p) not in chosen]
    others = [group for group in groups.values() if group["params"]]
    muon = torch.optim.Muon([matrices], lr=optim.muon_learning_rate, adjust_lr_fn="original")
    return MuonBesideAdamW(muon, torch.optim.AdamW(others, **adamw))


class MuonBesideAdamW(torch.optim.Optimizer):
    """Two optimisers, each with parameters of its own, as one: one step, one schedule, one state.

    Muon: the momentum of a matrix's gradient, M = U S V^T, is replaced by about U V^T (five Newton-Schulz
    iterations), so that every direction moves alike; the step is scaled by sqrt(max(1, rows / columns)).
    Source: Jordan et al. 2024, 'Muon: an optimizer for hidden layers in neural networks'; torch.optim.Muon.
    """

    def __init__(self, muon: torch.optim.Optimizer, adamw: torch.optim.Optimizer) -> None:
        self.parts = (muon, adamw)
        super().__init__([*muon.param_groups, *adamw.param_groups], {})
        self._share()

    def _share(self) -> None:
        """Groups and state are the same objects here and in the parts."""
        first = len(self.parts[0].param_groups)
        self.parts[0].param_groups = self.param_groups[:first]
        self.parts[1].param_groups = self.param_groups[first:]
        for part in self.parts:
            part.state = self.state

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """One step of both; the closure, if any, is called once."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for part in self.parts:
            part.step()
        return loss

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Comes back from a checkpoint."""
        super().load_state_dict(state_dict)
        self._share()


def parameter_groups(model: nn.Module, optim: OptimConfig) -> dict[str, dict[str, Any]]:
    """Embeddings, matrices, and the rest (biases, norms), each with its own weight decay; none is empty."""
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    groups: dict[str, list[nn.Parameter]] = {"embedding": [], "matrix": [], "rest": []}
    for parameter in model.parameters():
        kind = "embedding" if id(parameter) in embeddings else "matrix" if parameter.ndim > 1 else "rest"
        groups[kind].append(parameter)
    decay = {"embedding": optim.embedding_weight_decay, "matrix": optim.weight_decay, "rest": 0.0}
    return {
        kind: {"params": parameters, "weight_decay": decay[kind]}
        for kind, parameters in groups.items()
        if parameters
    }
