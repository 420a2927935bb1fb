"""An encoder-decoder learns to reverse: what it writes, and where each written token looks."""

import torch
from matplotlib.figure import Figure
from torch import Tensor
from torch.nn.functional import cross_entropy

from drawing import heat, panels, plain_ticks
from glassformer.decoding import beam_search, greedy
from glassformer.models.configs import EncoderDecoderConfig
from glassformer.models.encoder_decoder import CachedSteps, EncoderDecoder
from glassformer.nn import Mask
from glassformer.reports.page import BLUE

LENGTH, STEPS, BATCH = 4, 500, 128
START, END = 10, 11  # beside the integers 1 to 9
CONFIG = EncoderDecoderConfig(
    encoder_layers=1, decoder_layers=1, heads=1, d_model=32, d_ff=64, vocab=12, max_tokens=LENGTH,
    max_targets=LENGTH + 1,
)  # fmt: skip


def answers(sources: Tensor) -> Tensor:
    """The integers last to first, and the end."""
    return torch.cat([sources.flip(1), torch.full((len(sources), 1), END)], dim=1)


def train(model: EncoderDecoder) -> list[float]:
    """Teacher forcing: the decoder is given the right tokens so far, and asked for the next, all at once."""
    optimizer = torch.optim.AdamW(model.parameters(), lr=4e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, max_lr=4e-3, total_steps=STEPS, pct_start=0.1)
    losses = []
    for _ in range(STEPS):
        sources = torch.randint(1, 10, (BATCH, LENGTH))
        wanted = answers(sources)
        given = torch.cat([torch.full((BATCH, 1), START), wanted[:, :-1]], dim=1)
        loss = cross_entropy(model(sources, given).flatten(0, 1), wanted.flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
    return losses


def draw() -> Figure:
    model = EncoderDecoder(CONFIG)
    losses = train(model)
    model.eval()
    with torch.no_grad():
        everything = torch.cartesian_prod(*[torch.arange(1, 10)] * LENGTH)
        start = torch.full((len(everything), 1), START)
        written = greedy(CachedSteps(model, everything), start, end=END, max_tokens=LENGTH + 1)
        right = (written == answers(everything)).all(1)
        print(f"greedy: {int(right.sum()):,} of {len(right):,} sequences right, token for token")
        source = torch.tensor([[3, 5, 2, 4]])
        found, scores = beam_search(
            CachedSteps(model, source), start[:1], beams=3, end=END, max_tokens=LENGTH + 1
        )
        print(f"\nbeam search, three beams, of {source[0].tolist()}; {END} is the end:")
        for tokens, score in zip(found[0].tolist(), scores[0].tolist(), strict=True):
            print(f"  {tokens!s:<22} log p = {score:.4f}")
        context = model.encode(source)
        target = torch.cat([start[:1], answers(source)[:, :-1]], dim=1)
        assert model.target_positions is not None
        x = model.target_positions(model.embed(target))
        *_, weights = model.decoder_blocks[0](x, context, Mask(causal=True), return_weights=True)
    figure, (curve, matrix) = panels(
        ["Loss while training", "Attention to the source"],
        f"An encoder-decoder learns to write {LENGTH} integers from the last to the first",
        "Left: the loss of each batch. Right: the weights of the decoder's attention to the encoder, while "
        "it writes the answer to 3, 5, 2, 4: one row for each token written, one column for each token read.",
        height=2.6,
    )
    curve.semilogy(losses, color=BLUE, lw=0.8)
    curve.set(xlabel="step", ylabel="cross-entropy, nats a token")
    plain_ticks(curve.yaxis, [0.01, 0.1, 1.0])
    heat(matrix, weights[0, 0], "read", "written", x_ticks=[str(n) for n in source[0].tolist()],
         y_ticks=[str(n) for n in source[0].flip(0).tolist()] + ["end"], numbers=".2f", vmax=1.0)  # fmt: skip
    return figure
