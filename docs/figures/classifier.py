"""A classifier, looked into: the shape after every part, and where the parameters are."""

import torch
from matplotlib.figure import Figure

from drawing import panels
from glassformer.models.configs import TextClassifierConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.reports.page import BLUE, SMALL

CONFIG = TextClassifierConfig(
    layers=2, heads=4, d_model=32, d_ff=128, positions="none", activation="relu", vocab=4,
    classes=2, max_tokens=16,
)  # fmt: skip
BATCH, TOKENS = 3, 16


def draw() -> Figure:
    model = TextClassifier(CONFIG)
    parts = {
        "embed": model.embed,
        **{
            f"blocks.{i}.{name}": getattr(block, name)
            for i, block in enumerate(model.blocks)
            for name in ("attention_norm", "attention", "feed_forward_norm", "feed_forward")
        },
        "norm": model.norm,
        "pool": model.pool,
        "head": model.head,
    }
    shapes: dict[str, tuple[int, ...]] = {}
    for name, part in parts.items():
        part.register_forward_hook(
            lambda module, given, made, name=name: shapes.update({name: tuple(made.shape)})
        )
    model(torch.randint(CONFIG.vocab, (BATCH, TOKENS)))
    counts = {name: sum(p.numel() for p in part.parameters()) for name, part in parts.items()}
    total = sum(p.numel() for p in model.parameters())
    assert sum(counts.values()) == total
    print(f"{'part':<28}{'output':<16}parameters")
    for name in parts:
        print(f"{name:<28}{shapes[name]!s:<16}{counts[name]:,}")
    print(f"{'all':<44}{total:,}")
    figure, (bars,) = panels(
        ["Parameters of each part"],
        f"Where the {total:,} parameters are",
        f"A classifier with {CONFIG.layers} blocks, d_model {CONFIG.d_model} and d_ff {CONFIG.d_ff}, the "
        "model that learns parity. Feed-forward layers hold the most, and attention most of the rest.",
        height=2.9,
        left=1.9,
        right=0.7,
    )
    bars.barh(list(counts), list(counts.values()), color=BLUE, height=0.7)
    for row, count in enumerate(counts.values()):
        bars.text(count + 70, row, f"{count:,}", va="center", fontsize=SMALL)
    bars.invert_yaxis()
    bars.set(xlabel="parameters", ylabel="part, in the order of the forward pass")
    return figure
