"""Why a block has residuals and norms: what becomes of tokens in a deep stack with and without."""

import torch
from matplotlib.figure import Figure
from torch import Tensor, nn

from drawing import panels, plain_ticks
from glassformer.nn import FeedForward, MultiHeadAttention, PostNormBlock, PreNormBlock
from glassformer.reports.page import BLUE, ORANGE

LAYERS, D_MODEL, HEADS, D_FF, TOKENS, BATCH = 24, 48, 4, 96, 11, 8


class NoResidual(PreNormBlock):
    """A block without x + ...: only what attention and feed-forward layer make."""

    def forward(self, x: Tensor) -> Tensor:  # pyrefly: ignore[bad-override]
        return self.feed_forward(self.feed_forward_norm(self.attention(self.attention_norm(x))))


def through(kind: type[nn.Module]) -> tuple[list[float], list[float], float]:
    """24 fresh blocks. The size of the features after each, how much tokens still differ there, and the
    gradient at the input, relative to that at the output, of a random direction of the output.

    Sizes are root mean squares; the difference is that of a token from the mean of its sequence, as a share
    of the size.
    """
    torch.manual_seed(1)
    states = [torch.randn(BATCH, TOKENS, D_MODEL, dtype=torch.float64, requires_grad=True)]
    for _ in range(LAYERS):
        block = kind(MultiHeadAttention(D_MODEL, HEADS), FeedForward(D_MODEL, D_FF), D_MODEL)
        states.append(block.double()(states[-1]))
    first, last = torch.autograd.grad(
        (states[-1] * torch.randn_like(states[-1])).sum(), (states[0], states[-1])
    )
    sizes = [root_mean_square(state) for state in states]
    different = [
        root_mean_square(state - state.mean(1, keepdim=True)) / size
        for state, size in zip(states, sizes, strict=True)
    ]
    return sizes, different, root_mean_square(first) / root_mean_square(last)


def root_mean_square(x: Tensor) -> float:
    return float(x.detach().pow(2).mean().sqrt())


def draw() -> Figure:
    figure, (features, difference) = panels(
        ["Size of the features", "How much the tokens differ"],
        f"{LAYERS} fresh blocks, with and without residuals",
        f"d_model {D_MODEL}, {BATCH} sequences of {TOKENS} random tokens, in float64. Left: "
        "the root mean square of the features. Right: how far a token is from the mean of its sequence, as a "
        "share of its size. Without residuals attention averages the differences away, down to the rounding.",
    )
    kinds = {
        "pre-norm": (PreNormBlock, BLUE, "-"),
        "post-norm": (PostNormBlock, ORANGE, "--"),
        "no residual": (NoResidual, "#555555", ":"),
    }
    print(f"{LAYERS} blocks    size of the features   difference of tokens   gradient at the input / output")
    for name, (kind, colour, style) in kinds.items():
        sizes, different, gradient = through(kind)
        print(f"{name:<12} {sizes[-1]:19.2f} {different[-1]:22.2g} {gradient:32.2g}")
        features.plot(sizes, color=colour, ls=style, label=name)
        difference.semilogy(different, color=colour, ls=style, label=name)
    features.set(xlabel="after block", ylabel="root mean square", ylim=(0, None))
    difference.set(xlabel="after block", ylabel="share of the size")
    plain_ticks(difference.yaxis, [1e-16, 1e-12, 1e-8, 1e-4, 1.0])
    features.legend(frameon=False)
    difference.legend(frameon=False, loc="center right")
    return figure
