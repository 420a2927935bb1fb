# %% [markdown]
# # C. Self-attention in 2-D and a vision transformer
#
# *The exercise sheet: LMU, 2024.* This notebook answers all of it with [Glassformer](../README.md):
# self-attention over a grid, written out and held against PyTorch's own layers; the blocks; the vision
# transformer of Dosovitskiy et al. 2021; and its training on CIFAR-10.
#
# It is committed without outputs, so no number in it can be out of date: run it from top to bottom, with
# the package and its `dev` extra installed. Every number below a cell comes from that run. The images come
# from `GLASSFORMER_DATA/cifar10/{train,test}.parquet`, or, without that variable, from the Hugging Face
# hub. With `GLASSFORMER_QUICK=1` in the environment everything is tiny and shows only that it works.

# %%
import inspect
import json
import math
import os
import shlex
import sys
import textwrap
import time
import warnings
from contextlib import redirect_stderr
from pathlib import Path

# %matplotlib inline
warnings.filterwarnings("ignore", message="IProgress not found")

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown, display
from torch import nn
from torch.nn import functional

import glassformer as gf
from glassformer.cli import main
from glassformer.explain.capture import captured_attention
from glassformer.models.configs import VisionTransformerConfig
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.nn import (
    FeedForward,
    MultiHeadAttention,
    PatchEmbedding,
    PreNormBlock,
    SelfAttention2d,
    attention_weights,
    explicit_attention,
    patchify,
    unpatchify,
)
from glassformer.reports.figures import draw_confusion, draw_learning_curves
from glassformer.tasks import find_task

QUICK = bool(os.environ.get("GLASSFORMER_QUICK"))
WORK = Path("runs/sheet_c") / time.strftime("%Y-%m-%d_%H-%M-%S")
WORK.mkdir(parents=True)
torch.manual_seed(0)


def glassformer(command: str) -> None:
    """Runs a command as a shell would, and stops the notebook where it fails."""
    with redirect_stderr(sys.stdout):
        assert main(shlex.split(command)) == 0, command


def metrics_of(run: Path) -> dict:
    """The figures that a run has written."""
    return json.loads((run / "metrics.json").read_text(encoding="utf-8"))


def show_code(*things: object) -> None:
    """The source of functions and classes, as it runs."""
    source = "\n\n".join(textwrap.dedent(inspect.getsource(thing)) for thing in things)
    display(Markdown(f"```python\n{source}```"))


def show(figure: plt.Figure, caption: str) -> None:
    """A figure with its caption below."""
    display(figure)
    plt.close(figure)
    display(Markdown(f"*{caption}*"))


def same(ours: torch.Tensor, theirs: torch.Tensor, what: str) -> None:
    """Stops the notebook unless both agree in float64 to ten digits."""
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    print(f"{what}: largest difference {(ours - theirs).abs().max():.1e}")


# %% [markdown]
# # 1. `SelfAttention2d`
#
# The input is a grid of tokens, (batch, channels, height, width). Every token shall attend to every other,
# whatever the distance. Attention does not know what a grid is, and need not: the grid is read row by row
# as a sequence of $n = \mathrm{height} \cdot \mathrm{width}$ tokens with as many features as there are
# channels, goes through self-attention, and becomes a grid again:
#
# $$Q = X W_Q, \quad K = X W_K, \quad V = X W_V, \qquad
#   \mathrm{head}_i = \mathrm{softmax}\!\left(\frac{Q_i K_i^\top}{\sqrt{d_k}}\right) V_i, \qquad
#   Y = [\mathrm{head}_1; \ldots; \mathrm{head}_h]\, W_O$$
#
# **The modules** are the four linear maps; `qkv` holds three of them beside each other. **The forward pass
# for one head** is the formula. **For several heads** the features of the three products are cut into $h$
# pieces, each of $d_k = \mathrm{channels} / h$ features, the formula is applied to each piece by one more
# axis of the batch, and the pieces are put next to each other again. The attention is written out:
# products, a division, a softmax.

# %%
show_code(SelfAttention2d.forward, MultiHeadAttention.__init__, MultiHeadAttention.forward)
show_code(MultiHeadAttention._project, MultiHeadAttention._merge, attention_weights, explicit_attention)

# %% [markdown]
# ## Unit tests against PyTorch, one head and several
#
# The same weights in both, in float64, outputs, attention weights and gradients; height and width differ,
# so that to exchange them cannot pass. A second judge is the formula for one place of the grid, in plain
# loops.

# %%
BATCH, HEIGHT, WIDTH = 3, 4, 5
for heads, channels in ((1, 6), (3, 12)):
    grid = torch.randn(BATCH, channels, HEIGHT, WIDTH, dtype=torch.float64)
    ours = SelfAttention2d(channels, heads).double()
    native = nn.MultiheadAttention(channels, heads, batch_first=True, dtype=torch.float64)
    with torch.no_grad():
        for (
            parameter
        ) in ours.parameters():  # biases too: at their initial zeros they could be forgotten unnoticed
            parameter.normal_(std=0.5)
        native.in_proj_weight.copy_(ours.attention.qkv.weight)
        native.in_proj_bias.copy_(ours.attention.qkv.bias)
        native.out_proj.load_state_dict(ours.attention.output.state_dict())

    mine, theirs = grid.clone().requires_grad_(), grid.clone().requires_grad_()
    y, weights = ours(mine, return_weights=True)
    sequence = theirs.flatten(2).transpose(1, 2)
    their_y, their_weights = native(sequence, sequence, sequence, average_attn_weights=False)
    their_y = their_y.transpose(1, 2).reshape(grid.shape)
    assert y.shape == grid.shape
    assert weights.shape == (BATCH, heads, HEIGHT, WIDTH, HEIGHT, WIDTH)
    same(y, their_y, f"{heads} head(s): output")
    same(weights.flatten(4).flatten(2, 3), their_weights, f"{heads} head(s): weights")
    direction = torch.randn_like(y)
    y.backward(direction)
    their_y.backward(direction)
    same(mine.grad, theirs.grad, f"{heads} head(s): gradient of the input")
    same(
        ours.attention.qkv.weight.grad,
        native.in_proj_weight.grad,
        f"{heads} head(s): gradient of Q, K and V's maps",
    )

# one head, one query, in loops
grid, ours = torch.randn(1, 6, HEIGHT, WIDTH, dtype=torch.float64), SelfAttention2d(6, 1).double()
places = [(row, column) for row in range(HEIGHT) for column in range(WIDTH)]
q, k, v = (
    {place: w @ grid[0, :, *place] + b for place in places}
    for w, b in zip(ours.attention.qkv.weight.chunk(3), ours.attention.qkv.bias.chunk(3), strict=True)
)
here = (2, 1)
powers = {place: torch.exp(q[here] @ k[place] / math.sqrt(6)) for place in places}
mean = sum(powers[place] * v[place] for place in places) / sum(powers.values())
same(ours(grid)[0, :, *here], ours.attention.output(mean), "one place of the grid, by the formula")

# %% [markdown]
# # 2. `FeedForwardBlock` and `SelfAttentionTransformerBlock`
#
# The feed-forward block is the same little network at every token,
# $\mathrm{FFN}(x) = W_2\, \mathrm{GELU}(W_1 x + b_1) + b_2$. The transformer block of the vision
# transformer has its norms *before* the layers:
#
# $$h = x + \mathrm{Attention}(\mathrm{norm}_1(x)), \qquad y = h + \mathrm{FFN}(\mathrm{norm}_2(h))$$
#
# In Glassformer these are `FeedForward` and `PreNormBlock`.

# %%
show_code(FeedForward, PreNormBlock.forward)
D, HEADS, D_FF, TOKENS = 12, 3, 17, 7
x = torch.randn(BATCH, TOKENS, D, dtype=torch.float64)
block = PreNormBlock(MultiHeadAttention(D, HEADS), FeedForward(D, D_FF), D).double()
native = nn.TransformerEncoderLayer(
    D, HEADS, D_FF, dropout=0.0, activation="gelu", batch_first=True, norm_first=True, dtype=torch.float64
)
with torch.no_grad():
    native.self_attn.in_proj_weight.copy_(block.attention.qkv.weight)
    native.self_attn.in_proj_bias.copy_(block.attention.qkv.bias)
native.self_attn.out_proj.load_state_dict(block.attention.output.state_dict())
native.linear1.load_state_dict(block.feed_forward.expand.state_dict())
native.linear2.load_state_dict(block.feed_forward.contract.state_dict())
same(block(x), native(x), "block against torch.nn.TransformerEncoderLayer")

# %% [markdown]
# # 3. `VisionTransformer`
#
# ## 3.1 `patchify()`
#
# An image of $H \times W$ pixels becomes a sequence of $HW / P^2$ patches, each a vector of its $C P^2$
# numbers. The trick is to cut height and width into (rows of patches) times (rows in a patch), and likewise
# for columns, then to bring the two numbers of the patch to the front:

# %%
show_code(patchify, PatchEmbedding)
PATCH = 4
images = torch.randn(BATCH, 3, 8, 12, dtype=torch.float64)
patches = patchify(images, PATCH)
assert patches.shape == (BATCH, 2 * 3, 3 * PATCH * PATCH)
same(
    patches, functional.unfold(images, PATCH, stride=PATCH).transpose(1, 2), "patchify against torch's unfold"
)
same(unpatchify(patches, (8, 12), PATCH), images, "there and back again")

embedding = PatchEmbedding(3, PATCH, D).double()
kernel = embedding.projection.weight.reshape(D, 3, PATCH, PATCH)
convolved = functional.conv2d(images, kernel, embedding.projection.bias, stride=PATCH)
same(
    embedding(images),
    convolved.flatten(2).transpose(1, 2),
    "patch embedding against a convolution of that stride",
)

# %% [markdown]
# On a picture of the data set:

# %%
task = find_task("cifar10")
config = task.preset("cpu", None)
prepared = task.prepare(config, print)
pixels, labels = prepared.inputs["train"].read()
names = prepared.class_names
print({split: f"{len(part):,} images" for split, part in prepared.examples.items()}, names)

NUMBER = 7
picture = torch.from_numpy(np.array(pixels[NUMBER]))
figure = plt.figure(figsize=(8, 4), layout="constrained")
whole, cut = figure.subfigures(1, 2)
axes = whole.subplots()
axes.imshow(picture.permute(1, 2, 0))
axes.set(xlabel="column, pixels", ylabel="row, pixels", title=f"an image: {names[int(labels[NUMBER])]}")
tiles = patchify(picture[None], PATCH)[0].unflatten(1, (3, PATCH, PATCH))
side = picture.shape[1] // PATCH
for number, axes in enumerate(cut.subplots(side, side).flat):
    axes.imshow(tiles[number].permute(1, 2, 0))
    axes.set_axis_off()
cut.suptitle("its patches, in the order of the sequence", fontsize=10)
show(figure, f"Figure 1. Left: an image of the training set. Right: its {side * side} patches, row by row.")

# %% [markdown]
# ## 3.2 The modules and `forward()`
#
# Patches are mapped to tokens; positions are added or turned into queries and keys, since attention does
# not know where a patch lay; blocks follow one another; a last norm; the tokens are pooled (the mean over
# patches, or a CLS token as in the paper: `--model.pool cls`), and a linear head gives a score for each
# class.

# %%
show_code(VisionTransformer.__init__, VisionTransformer.forward)
sizes = VisionTransformerConfig(
    layers=2, heads=3, d_model=12, d_ff=17, patch=4, pool="cls", channels=3, height=8, width=12, classes=10
)
model = VisionTransformer(sizes)
assert model(images.float()).shape == (BATCH, 10)
# attention over patches alone would not notice if the patches changed places
unplaced = VisionTransformer(
    VisionTransformerConfig(**{**vars(sizes), "positions": "none", "pool": "mean"})
).double()
nn.init.normal_(unplaced.head.weight)  # it starts at zero
mixed = unpatchify(patches[:, torch.randperm(6)], (8, 12), PATCH)
same(unplaced(mixed), unplaced(images), "without positions, patches that change places change nothing")

# %% [markdown]
# # 4. CIFAR-10
#
# > More than 25%, 50% and 70% validation accuracy.
#
# A tenth of the training images is held out as the validation set. Images are shifted and mirrored at
# random in training: a vision transformer has nothing built in about neighbours or shifts, and has to learn
# from examples what a convolution knows from the start. To stay within minutes on a CPU, this run is
# smaller and shorter than the package's preset; for the last of the three bars take the preset,
# `glassformer train cifar10`, which has more layers and epochs and wants more time, or a GPU
# (`--preset gpu`).

# %%
if QUICK:
    SIZE = (
        "--model.layers 2 --model.d-model 24 --model.heads 3 --model.d-ff 48 --model.patch 8 "
        "--fit.epochs 2 --threads 1 --data.early-scale 1"
    )
else:
    SIZE = (
        "--model.layers 3 --model.d-model 96 --model.heads 4 --model.d-ff 192 "
        "--fit.epochs 6 --data.early-scale 1"
    )
RUN = WORK / "cifar10"
glassformer(f"train cifar10 {SIZE} --no-baselines --run-dir {RUN}")

# %%
metrics = metrics_of(RUN)
reached = max(epoch["validation_accuracy"] for epoch in metrics["history"])
when = {each["accuracy"]: each for each in metrics["milestones"]}
lines = ["| bar | passed | after |", "|---|---|---|"]
for bar in (0.25, 0.5, 0.7):
    passed = when.get(bar)
    after = f"{passed['seconds']:.0f} s, in epoch {passed['epoch']}" if passed else "not in this run"
    lines.append(f"| {bar:.0%} | {'yes' if reached > bar else 'no'} | {after} |")
low, high = metrics["test"]["accuracy_ci95"]
lines.append(
    f"\nBest validation accuracy {reached:.4f}; test accuracy {metrics['test']['accuracy']:.4f} (95% "
    f"interval {low:.4f} to "
    f"{high:.4f}); {metrics['parameters']:,} parameters; {metrics['train_seconds']:.0f} s of training."
)
display(Markdown("\n".join(lines)))
show(
    draw_learning_curves(metrics, caption=f"Task cifar10, seed {metrics['seed']}."),
    "Figure 2. Loss and accuracy after each epoch. Train: on shifted and mirrored images, while the "
    "weights moved; "
    "validation: on whole images.",
)
show(
    draw_confusion(metrics["test"], caption="Rows are true classes, columns what the model said."),
    "Figure 3. The test images by what they are and what the model says they are, and the pairs confused "
    "most.",
)

# %% [markdown]
# Reading the figures:
#
# - **Train below validation** is no mistake at the beginning: training accuracy is a mean over an epoch in
#   which the model still improved, on images that were shifted and mirrored. When train rises above
#   validation and the gap widens, the model begins to learn its images by heart; then more augmentation
#   helps more than more layers.
# - **Confusions** are mostly between things that look alike: animals with animals, vehicles with vehicles.
#   Where airplanes and ships are taken for each other, the background, sky or water, may have had its say.
#
# ## What it attends to
#
# The attention weights of the last block, for one image: a mean over heads and over all patches that ask.
# Weights say where a model takes its values from; they do not prove why it answers as it does.

# %%
run = gf.load(RUN)
shown = [int(np.flatnonzero(np.asarray(labels) == label)[0]) for label in range(4)]
batch = torch.from_numpy(np.stack([np.array(pixels[number]) for number in shown])).float() / 127.5 - 1
with torch.inference_mode(), captured_attention(run.model) as attended:
    answers = run.model(batch).argmax(1)
side = 32 // run.config.model.patch
taken = attended[-1].weights.mean(dim=(1, 2)).float().unflatten(1, (side, side))
figure, panels = plt.subplots(2, len(shown), figsize=(9, 4.4), layout="constrained")
for column, (number, answer) in enumerate(zip(shown, answers.tolist(), strict=True)):
    panels[0, column].imshow(np.array(pixels[number]).transpose(1, 2, 0))
    panels[0, column].set_title(f"{names[int(labels[number])]}\nmodel: {names[answer]}", fontsize=9)
    image = panels[1, column].imshow(taken[column], cmap="Blues", vmin=0, vmax=float(taken.max()))
    for axes in panels[:, column]:
        axes.set_xticks([])
        axes.set_yticks([])
figure.colorbar(image, ax=panels[1]).set_label("mean weight of a patch")
show(
    figure,
    "Figure 4. Four training images, and how much the patches take from each patch in the last block. All "
    "alike would be "
    f"one part in {side * side} each.",
)
