"""Self-attention without parameters: each token becomes a mean of all, nearer ones counting more."""

import math

import torch
from matplotlib.figure import Figure

from drawing import heat, panels
from glassformer.nn import parameter_free_attention, parameter_free_attention_loops
from glassformer.reports.page import BLUE, ORANGE

X = torch.tensor([[2.0, 0.4], [1.6, 0.9], [-0.6, 1.8], [-1.7, -0.3], [-1.2, -1.1]], dtype=torch.float64)


def draw() -> Figure:
    weights = (X @ X.T).softmax(dim=-1)
    y = parameter_free_attention(X[None])[0]
    print("softmax(X Xᵀ), a row for each token i, a column for each j:")
    for row in weights:
        print("  " + "  ".join(f"{each:.3f}" for each in row) + f"   sum {row.sum():.3f}")
    by_loops = parameter_free_attention_loops(X[None])[0]
    print(
        f"\nlargest difference between the matrix expression and the loops: {(y - by_loops).abs().max():.1e}"
    )
    names = [str(i + 1) for i in range(len(X))]
    figure, (plane, matrix) = panels(
        ["Tokens before (blue) and after (orange)", "Weights softmax(X Xᵀ)"],
        "Every token becomes a weighted mean of all tokens",
        "Left: five tokens x of two features; each arrow leads to its y, which always lies among the x. "
        "Right: how much token i takes from token j. Each row sums to 1.",
        height=2.7,
    )
    plane.scatter(*X.T.tolist(), color=BLUE, zorder=3, label="x: before")
    plane.scatter(*y.T.tolist(), color=ORANGE, marker="s", zorder=3, label="y: after")
    for name, (x_0, x_1), (y_0, y_1) in zip(names, X.tolist(), y.tolist(), strict=True):
        plane.annotate("", (y_0, y_1), (x_0, x_1), arrowprops={"arrowstyle": "->", "color": "#888888"})
        away = 1 + 0.2 / math.hypot(x_0, x_1)  # outwards, where no arrow goes
        plane.text(away * x_0, away * x_1, name, ha="center", va="center", color=BLUE)
    plane.set(xlim=(-2.5, 2.7), ylim=(-1.7, 2.7), xlabel="first feature", ylabel="second feature")
    plane.legend(loc="upper right", frameon=False)
    heat(matrix, weights, "taken from token j", "by token i", x_ticks=names, y_ticks=names,
         numbers=".2f", vmax=1.0)  # fmt: skip
    return figure
