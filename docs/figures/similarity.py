"""One query, four keys: the angle and the length decide the dot product, the softmax who is listened to."""

import math

import torch
from matplotlib.figure import Figure

from drawing import panels
from glassformer.reports.page import BLUE, ORANGE, SMALL

QUERY = torch.tensor([2.0, 1.0])
KEYS = torch.tensor([[2.0, 0.5], [0.5, 2.0], [-1.0, 2.0], [-2.0, -0.5]])


def draw() -> Figure:
    scores = KEYS @ QUERY
    weights = scores.softmax(dim=0)
    print(f"query q = {QUERY.tolist()}\n\nkey              q · k    angle   softmax")
    for key, score, weight in zip(KEYS, scores, weights, strict=True):
        angle = math.degrees(math.acos(float(score / (QUERY.norm() * key.norm()))))
        print(f"{key.tolist()!s:<14} {score:7.2f} {angle:7.0f}°   {weight:.4f}")
    figure, (plane, bars) = panels(
        ["Vectors of two features", "Their dot products with q"],
        "A dot product is a similarity",
        "Left: a query (orange) and four keys (blue). Right: the dot product of the query with each key, and "
        "above each bar the weight that the softmax makes of it.",
        height=2.7,
    )
    for vector, name, colour in [(QUERY, "q", ORANGE)] + [(k, f"k{i + 1}", BLUE) for i, k in enumerate(KEYS)]:
        x, y = vector.tolist()
        plane.annotate("", (x, y), (0, 0), arrowprops={"arrowstyle": "-|>", "color": colour, "lw": 1.6,
                                                       "shrinkA": 0, "shrinkB": 0})  # fmt: skip
        plane.text(1.14 * x, 1.14 * y + 0.05, name, color=colour, ha="center", va="center")
    plane.set(xlim=(-2.9, 2.9), ylim=(-1.7, 3.1), xlabel="first feature", ylabel="second feature")
    plane.axhline(0, color="#cccccc", lw=0.8, zorder=0)
    plane.axvline(0, color="#cccccc", lw=0.8, zorder=0)
    plane.set_aspect("equal")
    bars.bar(range(4), scores.tolist(), color=BLUE, width=0.6)
    bars.axhline(0, color="black", lw=0.8)
    for i, (score, weight) in enumerate(zip(scores.tolist(), weights.tolist(), strict=True)):
        bars.text(i, max(score, 0) + 0.2, f"{weight:.3f}", ha="center", fontsize=SMALL)
    bars.set_xticks(range(4), [f"k{i + 1}" for i in range(4)])
    bars.set(xlabel="key", ylabel="q · k", ylim=(float(scores.min()) - 0.5, float(scores.max()) + 1))
    return figure
