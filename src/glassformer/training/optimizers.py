"""Optimisers: which parameters learn how."""

import math
import re
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from glassformer.errors import UsageError
from glassformer.tasks.config import OptimConfig


def make_optimizer(
    model: nn.Module, optim: OptimConfig, muon_dtype: torch.dtype = torch.float32
) -> torch.optim.Optimizer:
    """AdamW (Loshchilov & Hutter 2019) for all parameters, or Muon for the matrices of the blocks beside it.

    muon_dtype: of Muon's own products; bfloat16 is enough for them, where the machine is fast at it.
    Raises UsageError where Muon is asked for and the model has no blocks.
    """
    groups = parameter_groups(model, optim)
    adamw: dict[str, Any] = {"lr": optim.learning_rate, "betas": optim.betas, "fused": True}
    if optim.name == "adamw":
        return torch.optim.AdamW(list(groups.values()), **adamw)
    inside = [p for name, p in model.named_parameters() if "blocks." in name and p.ndim == 2]
    if not inside:
        raise UsageError("optim.name=muon is for the matrices of blocks; choose adamw for this model")
    chosen = {id(p) for p in inside}
    matrices = groups["matrix"] | {"params": inside}
    for group in groups.values():
        group["params"] = [p for p in group["params"] if id(p) not in chosen]
    others = [group for group in groups.values() if group["params"]]
    muon = StackedMuon([matrices], muon_dtype, lr=optim.muon_learning_rate, adjust_lr_fn="original")
    return MuonBesideAdamW(muon, torch.optim.AdamW(others, **adamw))


class StackedMuon(torch.optim.Muon):
    """torch.optim.Muon in less time: the matrices of one shape go through one product together, in `dtype`.

    torch.optim.Muon multiplies in bfloat16 everywhere, a hundred times slower on a processor without it.

    The momentum of a matrix's gradient, M = U S V^T, is replaced by about U V^T, so that every direction
    moves alike; the step is scaled by sqrt(max(1, rows / columns)).

    Source: Jordan et al. 2024, 'Muon: an optimizer for hidden layers in neural networks'.
    """

    def __init__(self, groups: list[dict[str, Any]], dtype: torch.dtype, **settings: Any) -> None:
        self.dtype = dtype
        super().__init__(groups, **settings)

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:  # pyrefly: ignore[bad-override]
        """One step of every parameter that has a gradient."""
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        for group in self.param_groups:
            stacks: dict[torch.Size, list[Tensor]] = {}
            for parameter in group["params"]:
                if parameter.grad is not None:
                    stacks.setdefault(parameter.shape, []).append(parameter)
            for (rows, columns), parameters in stacks.items():
                momenta = torch.stack(self._momenta(group, parameters)).to(self.dtype)
                directions = orthogonalized(momenta, group["ns_coefficients"], group["ns_steps"])
                rate = group["lr"] * math.sqrt(max(1, rows / columns))
                torch._foreach_mul_(parameters, 1 - group["lr"] * group["weight_decay"])
                torch._foreach_add_(parameters, directions.to(parameters[0].dtype).unbind(), alpha=-rate)
        return loss

    def _momenta(self, group: dict[str, Any], parameters: list[Tensor]) -> tuple[Tensor, ...]:
        """Nesterov's: g + momentum (m - g), m <- m + (1 - momentum)(g - m)."""
        gradients: list[Any] = [parameter.grad for parameter in parameters]
        for parameter in parameters:
            if "momentum_buffer" not in self.state[parameter]:
                self.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter)
        buffers = [self.state[parameter]["momentum_buffer"] for parameter in parameters]
        torch._foreach_lerp_(buffers, gradients, 1 - group["momentum"])
        return torch._foreach_lerp(gradients, buffers, group["momentum"])


def orthogonalized(matrices: Tensor, coefficients: tuple[float, float, float], steps: int) -> Tensor:
    """About U V^T of each U S V^T in a stack, (matrices rows columns).

    Newton-Schulz: X <- a X + b (X X^T) X + c (X X^T)^2 X, from X / |X|. With Muon's (a, b, c) and five steps
    singular values end between about 0.7 and 1.2, whatever they were.
    """
    a, b, c = coefficients
    upright = matrices.shape[-2] > matrices.shape[-1]
    x = matrices.mT.contiguous() if upright else matrices
    x = x / x.norm(dim=(-2, -1), keepdim=True).clamp(min=1e-7)
    for _ in range(steps):
        gram = x @ x.mT
        x = torch.baddbmm(x, torch.baddbmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.mT if upright else x


class MuonBesideAdamW(torch.optim.Optimizer):
    """Two optimisers, each with parameters of its own, as one: one step, one schedule, one state."""

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
    """Embeddings, matrices, and the rest (biases, norms), each with its own weight decay; none is empty.

    With optim.layer_decay each depth has groups of its own, with learning rates of their own. What is frozen
    is in none.
    """
    embeddings = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    decay = {"embedding": optim.embedding_weight_decay, "matrix": optim.weight_decay, "rest": 0.0}
    groups: dict[str, dict[str, Any]] = {}
    depths = {} if optim.layer_decay == 1 else blocks_above(model)
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        kind = "embedding" if id(parameter) in embeddings else "matrix" if parameter.ndim > 1 else "rest"
        below = depths.get(name, 0)
        group = groups.setdefault(f"{kind}{below or ''}", {"params": [], "weight_decay": decay[kind]})
        if below:
            group["lr"] = optim.learning_rate * optim.layer_decay**below
        group["params"].append(parameter)
    return groups


def blocks_above(model: nn.Module) -> dict[str, int]:
    """Parameter -> how many steps its learning rate falls by: 0 in and after the last block of all.

    In the order of the modules: what stands before the first block, such as an embedding, lies one below it.
    """
    depths, depth, last = {}, 0, ""
    for name, _ in model.named_parameters():
        block = re.match(r"(?:.*\.)?blocks\.\d+\.", name)
        if block is not None and block[0] != last:
            depth, last = depth + 1, block[0]
        depths[name] = depth
    return {name: depth - each for name, each in depths.items()}
