"""Examples: dropout, layers, norms, residuals, activations."""

import copy
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional

from glassformer.checking.example_sides import Sides, floats, table
from glassformer.checking.norms import EPS, Norm, mistakes
from glassformer.checking.parts import with_mistakes

BANK = mistakes(())
X = torch.tensor([1.0, 2.0, 3.0, 6.0], dtype=torch.float64)
SIGNED = torch.tensor([-1.0, 1.0, 2.0, 3.0], dtype=torch.float64)
SMALL = torch.tensor([0.001, 0.002, 0.003, 0.006], dtype=torch.float64)


def norm(x: Tensor, *slugs: str, eps: float = EPS) -> Tensor:
    """(x - mean) / sqrt(variance + eps), or with mistakes."""
    return with_mistakes(Norm(eps=eps), BANK, *slugs)(x, None, None)


def _double(x: Tensor) -> Tensor:
    return 2 * x


def _turn(x: Tensor) -> Tensor:
    return x.flip(-1)


def _block(right: Tensor, wrong: Tensor, what: str = "") -> Sides:
    given = what or "x = [1 2 3 6], the sublayer f doubles; one half of the block"
    return Sides(given, table(right), table(wrong))


def _residual_from_input() -> Sides:
    halfway = X + _double(norm(X))
    what = "x = [1 2 3 6], the first sublayer doubles, the second turns round; the block, pre-norm"
    return _block(halfway + _turn(norm(halfway)), X + _turn(norm(halfway)), what)


def _two_norms(first: float, second: float) -> Sides:
    """The norm before the first sublayer has the gain 1, the one before the second 10; and these instead."""

    def block(one: float, other: float) -> Tensor:
        halfway = X + _double(one * norm(X))
        return halfway + _turn(other * norm(halfway))

    what = "x = [1 2 3 6]; the first norm has the gain 1, the second one 10; the block, pre-norm"
    return _block(block(1, 10), block(first, second), what)


def _normed(wrong: Tensor, right: Tensor | None = None, more: str = "") -> Sides:
    return _block(norm(X) if right is None else right, wrong, f"x = [1 2 3 6], after the norm{more}")


def _feed_forward(last: Callable[[Tensor], Tensor]) -> Sides:
    right = -2 * functional.relu(SIGNED)
    what = "x = [-1 1 2 3]; the first layer leaves x as it is, then ReLU, the second multiplies by -2"
    return _block(right, last(right), what)


def _axis() -> Sides:
    x = floats([1, 2, 3], [10, 20, 60])
    across = Norm(axes=(0,))(x, None, None)
    what = "two tokens: [1 2 3] and [10 20 60]; both after the norm"
    return Sides(what, table(norm(x)), table(across))


def _eps_outside() -> Sides:
    what = "x = [0.001 0.002 0.003 0.006], eps = 1e-5, after the norm"
    return Sides(what, table(norm(SMALL)), table(norm(SMALL, "eps-outside-root")))


def _other_eps() -> Sides:
    what = "x = [0.001 0.002 0.003 0.006], after the norm, with eps = 1e-5 and with 1e-8"
    return Sides(what, table(norm(SMALL)), table(norm(SMALL, eps=1e-8)))


def _activation() -> Sides:
    x = torch.tensor([-2.0, -1, -0.5, 0.5, 1, 2], dtype=torch.float64)
    what = "x = -2, -1, -0.5, 0.5, 1, 2; GELU where it was asked for, and ReLU"
    return Sides(what, table(functional.gelu(x)), table(functional.relu(x)))


def _dropout(wrong_drops: bool) -> Sides:
    names = ["first call ", "second call"]
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        dropped = table(torch.stack([functional.dropout(torch.ones(5), 0.5) for _ in names]), 0, names)
    kept = table(torch.ones(2, 5), 0, names)
    what = f"x = 1 1 1 1 1, dropout 0.5, twice, in {'eval' if wrong_drops else 'train'} mode"
    return Sides(what, kept, dropped) if wrong_drops else Sides(what, dropped, kept)


class _Stack(nn.Module):
    def __init__(self, layers: list[nn.Linear], seen: bool = True) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers) if seen else layers


def _parameters(slug: str) -> Sides:
    def count(stack: nn.Module) -> str:
        return str(sum(each.numel() for each in stack.parameters()))

    one = nn.Linear(2, 2)
    right = _Stack([nn.Linear(2, 2) for _ in range(3)])
    wrong = _Stack([one] * 3) if slug == "layers-shared" else _Stack([one, one, one], seen=False)
    what = "three layers nn.Linear(2, 2), of 6 parameters each; how many parameters there are"
    return Sides(what, count(right), count(wrong))


def _copied() -> Sides:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        one, other = nn.Linear(3, 1, bias=False), nn.Linear(3, 1, bias=False)
    names = ["layer 1", "layer 2"]

    def shown(second: nn.Linear) -> str:
        return table(torch.stack([one.weight[0], second.weight[0]]).detach(), names=names)

    return Sides("the weights of two layers before training", shown(other), shown(copy.deepcopy(one)))


EXAMPLES: dict[str, Callable[[], Sides]] = {
    "dropout-in-eval": lambda: _dropout(True),
    "no-dropout-in-train": lambda: _dropout(False),
    "layers-shared": lambda: _parameters("layers-shared"),
    "layers-in-list": lambda: _parameters("layers-in-list"),
    "layers-copied": _copied,
    "post-norm-for-pre-norm": lambda: _block(X + _double(norm(X)), norm(X + _double(X))),
    "pre-norm-for-post-norm": lambda: _block(norm(X + _double(X)), X + _double(norm(X))),
    "norm-before-addition": lambda: _block(norm(X + _double(X)), X + norm(_double(X))),
    "residual-after-norm": lambda: _block(X + _double(norm(X)), norm(X) + _double(norm(X))),
    "residual-missing": lambda: _block(X + _double(norm(X)), _double(norm(X))),
    "residual-from-input": _residual_from_input,
    "norms-swapped": lambda: _two_norms(10, 1),
    "norm-shared": lambda: _two_norms(1, 1),
    "norm-over-wrong-axis": _axis,
    "unbiased-variance": lambda: _normed(norm(X, "unbiased-variance")),
    "eps-outside-root": _eps_outside,
    "other-eps": _other_eps,
    "norm-without-mean": lambda: _normed(norm(X, "norm-without-mean")),
    "norm-without-root": lambda: _normed(norm(X, "norm-without-root")),
    "norm-gain-forgotten": lambda: _normed(norm(X), 10 * norm(X), ", and times the gain 10"),
    "norm-shift-forgotten": lambda: _normed(norm(X), norm(X) + 10, ", and plus the bias 10"),
    "wrong-activation": _activation,
    "activation-after-last-layer": lambda: _feed_forward(functional.relu),
    "residual-inside-feed-forward": lambda: _feed_forward(lambda y: y + SIGNED),
}
