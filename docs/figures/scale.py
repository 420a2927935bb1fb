"""Why scores are divided by the square root of d: without it the softmax of long vectors picks one."""

import math

import torch
from matplotlib.figure import Figure

from drawing import panels, plain_ticks
from glassformer.reports.page import BLUE, ORANGE

SIZES = [1.0, 4.0, 16.0, 64.0, 256.0, 1024.0]
KEYS, QUERIES = 16, 500


def draw() -> Figure:
    spread, plain, divided = [], [], []
    print(f"   d   deviation of q · k    √d   largest of {KEYS} weights   ... after division by √d")
    for d in SIZES:
        scores = torch.randn(QUERIES, 1, int(d)) @ torch.randn(QUERIES, int(d), KEYS)
        spread.append(float(scores.std()))
        plain.append(float(scores.softmax(-1).amax(-1).mean()))
        divided.append(float((scores / math.sqrt(d)).softmax(-1).amax(-1).mean()))
        print(f"{d:4.0f} {spread[-1]:20.2f} {math.sqrt(d):5.0f} {plain[-1]:24.3f} {divided[-1]:28.3f}")
    figure, (deviation, largest) = panels(
        ["Standard deviation of q · k", f"Largest of {KEYS} weights, mean"],
        "Long vectors have large dot products",
        f"Features drawn from N(0, 1), {QUERIES} queries with {KEYS} keys each. Left: the deviation of the "
        "dot products grows as √d. Right: the softmax of such scores gives nearly everything to one key; "
        "divided by √d the scores keep their spread, whatever d is.",
    )
    deviation.loglog(SIZES, spread, "o", color=BLUE, label="measured")
    deviation.loglog(SIZES, [math.sqrt(d) for d in SIZES], color="#888888", lw=1, label="√d")
    deviation.set(xlabel="d, features", ylabel="standard deviation")
    deviation.legend(frameon=False)
    largest.semilogx(SIZES, plain, "o-", color=ORANGE, label="softmax(q · k)")
    largest.semilogx(SIZES, divided, "s-", color=BLUE, label="softmax(q · k / √d)")
    largest.axhline(1 / KEYS, color="#888888", lw=1, ls=":", label=f"all equal, 1/{KEYS}")
    largest.set(xlabel="d, features", ylabel="weight", ylim=(0, 1.05))
    largest.legend(frameon=False, loc="center left", bbox_to_anchor=(0.36, 0.45))
    for axes in (deviation, largest):
        plain_ticks(axes.xaxis, SIZES)
    plain_ticks(deviation.yaxis, [1, 2, 4, 8, 16, 32])
    return figure
