"""Three ways to say where a token stands, each as a similarity of places."""

import torch
from matplotlib.figure import Figure

from drawing import heat, panels
from glassformer.nn import AlibiBias, MultiHeadAttention, RotaryPositions, SinusoidalPositions, sinusoids
from glassformer.reports.page import BLUE, ORANGE, SMALL

TOKENS, D = 64, 32
HERE = 24


def rotary_scores(q: torch.Tensor, k: torch.Tensor, here: int) -> torch.Tensor:
    """q at place `here` against the same k at every place, (tokens)."""
    rotary = RotaryPositions(D)
    everywhere = torch.ones(1, 1, TOKENS, 1, dtype=torch.float64)
    turned_q, turned_k = rotary(q * everywhere, k * everywhere)
    return turned_k[0, 0] @ turned_q[0, 0, here]


def draw() -> Figure:
    attention = MultiHeadAttention(D, 4).double()
    x = torch.randn(1, 9, D, dtype=torch.float64)
    order = torch.randperm(9)
    print("a shuffled sequence gives the shuffled output, up to")
    print(f"  without positions     {(attention(x)[:, order] - attention(x[:, order])).abs().max():.1e}")
    placed = SinusoidalPositions(D)
    moved = attention(placed(x))[:, order] - attention(placed(x[:, order]))
    print(f"  sinusoidal positions  {moved.abs().max():.1e}")
    q = torch.ones(D, dtype=torch.float64)
    here, later = rotary_scores(q, q, HERE), rotary_scores(q, q, HERE + 10)
    print(f"rotary: place {HERE} against 20 gives {here[20]:.6f}, {HERE + 10} against 30 {later[30]:.6f}")
    table = sinusoids(TOKENS, D)
    figure, axes = panels(
        ["Sinusoidal, the table", f"Seen from place {HERE}", "ALiBi, four heads"],
        "Where a token stands",
        f"Left: the sinusoids added to tokens, {D} features, from -1 to 1. Middle: how alike places are to "
        f"place {HERE}, by the dot product of sinusoids, and by rotary positions with q and k all ones; both "
        "divided by their value there; the two curves are one. Right: what ALiBi adds to the score, one line "
        "for each head.",
        height=2.3,
        gap=1.05,
        left=0.65,
    )
    image = heat(axes[0], table.T, "place t", "feature", cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
    bar = figure.colorbar(image, cax=axes[0].inset_axes((1.04, 0, 0.05, 1)), ticks=[-1, 0, 1])
    bar.ax.tick_params(labelsize=SMALL)
    bar.set_label("value", fontsize=SMALL, labelpad=1)
    alike = table @ table[HERE]
    axes[1].plot((alike / alike[HERE]).tolist(), color=BLUE, label="sinusoidal")
    axes[1].plot((here / here[HERE]).tolist(), color=ORANGE, ls="--", label="rotary")
    axes[1].axvline(HERE, color="#bbbbbb", lw=0.8, zorder=0)
    axes[1].set(xlabel="place t", ylabel="similarity", ylim=(0, 1.3))
    axes[1].legend(frameon=False, loc="upper right", fontsize=SMALL, borderaxespad=0)
    bias = AlibiBias(4).dense(TOKENS, TOKENS)[0, :, HERE]
    for head, (line, style) in enumerate(zip(bias, ("-", "--", "-.", ":"), strict=True)):
        axes[2].plot(line.tolist(), ls=style, color=BLUE, label=f"head {head + 1}")
    axes[2].set(xlabel="place t", ylabel="added to the score", ylim=(-13.5, 0.5))
    axes[2].legend(frameon=False, loc="lower left", fontsize=SMALL)
    return figure
