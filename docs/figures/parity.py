"""A classifier learns parity: a whole training in one function, and what comes of it."""

import itertools

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy

from drawing import panels
from glassformer.evaluation import wilson_interval
from glassformer.models.configs import TextClassifierConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.reports.page import BLUE, ORANGE, SMALL

BITS, STEPS, BATCH = 8, 600, 64
CONFIG = TextClassifierConfig(
    layers=2, heads=4, d_model=16, d_ff=32, positions="none", activation="relu", embedding_std=1.0, vocab=2,
    classes=2, max_tokens=BITS,
)  # fmt: skip


def train(model: TextClassifier, strings: Tensor, labels: Tensor) -> list[float]:
    """Adam on random batches; gives the loss of every step."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=3e-3, total_steps=STEPS, pct_start=0.1)
    losses = []
    for _ in range(STEPS):
        rows = torch.randint(len(strings), (BATCH,))
        loss = cross_entropy(model(strings[rows]), labels[rows])
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def draw() -> Figure:
    strings = torch.tensor(list(itertools.product((0, 1), repeat=BITS)))
    ones = strings.sum(1)
    labels = ones % 2
    order = torch.randperm(len(strings))
    seen, unseen = order.chunk(2)
    model = TextClassifier(CONFIG)
    losses = train(model, strings[seen], labels[seen])
    with torch.no_grad():
        right = model.eval()(strings).argmax(1) == labels
    print(f"{sum(p.numel() for p in model.parameters()):,} parameters, {STEPS} steps of {BATCH} strings")
    for name, rows in (("seen", seen), ("never seen", unseen)):
        correct = int(right[rows].sum())
        low, high = wilson_interval(correct, len(rows))
        print(
            f"{name:<11} {correct} of {len(rows)} right, {correct / len(rows):.3f} ({low:.3f} to {high:.3f})"
        )
    print(f"majority    {max(labels[unseen].bincount().tolist()) / len(unseen):.3f} of those never seen")
    figure, (curve, by_ones) = panels(
        ["Loss while training", "Accuracy by the number of ones"],
        f"Parity of {BITS} bits, learned from half of the {len(strings):,} strings",
        "Left: the loss of each batch, and its mean over 25 steps; ln 2 is the loss of a guess. Right: the "
        "share of strings never seen that are answered rightly, with the number of strings above each bar.",
        height=2.5,
    )
    curve.plot(losses, color=BLUE, lw=0.5, alpha=0.5, label="batch")
    smooth = torch.tensor(losses).unfold(0, 25, 1).mean(-1)
    curve.plot(range(24, STEPS), smooth.tolist(), color=BLUE, label="mean of 25")
    curve.axhline(float(torch.tensor(2.0).log()), color=ORANGE, ls="--", lw=1, label="guess, ln 2")
    curve.set(xlabel="step", ylabel="cross-entropy, nats", ylim=(0, 1))
    curve.legend(frameon=False)
    counts = [int((ones[unseen] == n).sum()) for n in range(BITS + 1)]
    there = [n for n in range(BITS + 1) if counts[n]]
    shares = [float(right[unseen][ones[unseen] == n].double().mean()) for n in there]
    by_ones.bar(there, shares, color=BLUE)
    for n, share in zip(there, shares, strict=True):
        by_ones.text(n, share + 0.02, str(counts[n]), ha="center", fontsize=SMALL)
    by_ones.axhline(0.5, color=ORANGE, ls="--", lw=1, label="guess")
    by_ones.set_xticks(range(BITS + 1))
    by_ones.set(xlabel="ones in the string", ylabel="share answered rightly", ylim=(0, 1.12))
    return figure
