"""Masks: who may attend to whom, and what that does to the weights."""

import torch
from matplotlib.figure import Figure

from drawing import heat, panels
from glassformer.nn import Mask, attention_weights, padding_mask

TOKENS, REAL, D_HEAD = 6, 4, 8


def draw() -> Figure:
    q, k, v = torch.randn(3, 1, 1, TOKENS, D_HEAD, dtype=torch.float64).unbind(0)
    keys = padding_mask(torch.tensor([REAL]), TOKENS)
    masks = {
        "no mask": None,
        f"padding: {REAL} of {TOKENS} are real": Mask(keys=keys),
        "causal: nothing ahead": Mask(causal=True),
    }
    causal = masks["causal: nothing ahead"]
    before = attention_weights(q, k, causal) @ v
    future_k, future_v = k.clone(), v.clone()
    future_k[:, :, REAL:], future_v[:, :, REAL:] = 100.0, -100.0
    after = attention_weights(q, future_k, causal) @ future_v
    changed = (before - after).abs().amax(dim=-1)[0, 0]
    print(f"keys and values {REAL} and {REAL + 1} replaced; the output of each query changes by at most")
    print("  " + "  ".join(f"{each:.3g}" for each in changed))
    print("\nsums of the rows of weights:")
    nothing = Mask(keys=torch.zeros(1, TOKENS, dtype=torch.bool))
    for name, mask in {**masks, "all keys masked": nothing}.items():
        sums = attention_weights(q, k, mask)[0, 0].sum(-1)
        print(f"  {name:<26} " + " ".join(f"{each:.1f}" for each in sums))
    figure, axes = panels(
        list(masks),
        "A mask says True where a query may attend",
        "The weights of one head over six random tokens. A masked key has weight 0 exactly, and the rest of "
        "its row shares the 1.",
        height=2.0,
        gap=0.75,
    )
    ticks = [str(t) for t in range(TOKENS)]
    for panel, mask in zip(axes, masks.values(), strict=True):
        heat(panel, attention_weights(q, k, mask)[0, 0], "key", "query", x_ticks=ticks, y_ticks=ticks,
             numbers=".2f", vmax=1.0)  # fmt: skip
    return figure
