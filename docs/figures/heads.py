"""Several heads over the same tokens: each has a softmax of its own, and all are one matrix product."""

import torch
from matplotlib.figure import Figure

from drawing import heat, panels
from glassformer.nn import MultiHeadAttention, MultiHeadSelfAttention

WORDS = ["the", "film", "was", "not", "bad"]
D_MODEL, HEADS = 24, 3


def draw() -> Figure:
    read = MultiHeadSelfAttention(D_MODEL, HEADS).double()
    for name, weight in read.named_parameters():
        if name.endswith(("query.weight", "key.weight")):
            torch.nn.init.normal_(weight, std=0.35)  # larger than in a fresh module, to be seen
    x = torch.randn(1, len(WORDS), D_MODEL, dtype=torch.float64)
    y, weights = read(x, return_weights=True)
    fast = MultiHeadAttention.from_heads(read)
    native = torch.nn.MultiheadAttention(D_MODEL, HEADS, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        native.in_proj_weight.copy_(fast.qkv.weight)
        native.in_proj_bias.copy_(fast.qkv.bias)
        native.out_proj.load_state_dict(fast.output.state_dict())
    print(f"x {tuple(x.shape)} -> y {tuple(y.shape)}, weights {tuple(weights.shape)}")
    print(f"head after head against all in one product: {(y - fast(x)).abs().max():.1e}")
    print(f"against torch.nn.MultiheadAttention:        {(y - native(x, x, x)[0]).abs().max():.1e}")
    figure, axes = panels(
        [f"Head {head + 1}" for head in range(HEADS)],
        "Three heads, three softmaxes over the same tokens",
        f"Weights of a module with d_model {D_MODEL}; tokens and projections are random, the words only name "
        "them. What the heads look at is not learned yet, but it differs, which one softmax cannot do. Each "
        "row sums to 1.",
        height=2.0,
        gap=0.75,
    )
    for panel, matrix in zip(axes, weights[0].detach(), strict=True):
        heat(panel, matrix, "key", "query", x_ticks=WORDS, y_ticks=WORDS, numbers=".2f", vmax=1.0)
    return figure
