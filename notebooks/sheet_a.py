# %% [markdown]
# # A. Sentiment classification of film reviews
#
# *The exercise sheet: Advanced Deep Learning in Computer Vision, DTU, 2025.* Is a film review positive or
# negative? This notebook answers the sheet with [Glassformer](../README.md): an attention module and
# positional encodings, tested before anything is trained; a transformer trained and evaluated; and what its
# choices change. Read in order, it is also the report that the sheet asks for: model, data, process,
# evaluation, results and their discussion.
#
# It is committed without outputs, so no number in it can be out of date: run it from top to bottom, with
# the package and its `dev` extra installed. Every number below a cell comes from that run. The reviews come
# from `GLASSFORMER_DATA/imdb/{train,test}.parquet`, or, without that variable, from the Hugging Face hub.
# With `GLASSFORMER_QUICK=1` in the environment everything is tiny and shows only that it works.

# %%
import inspect
import json
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

import glassformer as gf
from glassformer.cli import main
from glassformer.models.text_classifier import TextClassifier
from glassformer.nn import (
    ClsPool,
    LearnedPositions,
    Mask,
    MeanPool,
    MultiHeadAttention,
    SinusoidalPositions,
    attention_weights,
    explicit_attention,
    padding_mask,
    sinusoids,
)
from glassformer.reports.comparison_figures import draw_effects
from glassformer.reports.figures import draw_confusion, draw_learning_curves

QUICK = bool(os.environ.get("GLASSFORMER_QUICK"))
WORK = Path("runs/sheet_a") / time.strftime("%Y-%m-%d_%H-%M-%S")
WORK.mkdir(parents=True)
BLUE, ORANGE = "#0072B2", "#D55E00"
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
# # 1. The parts, tested before any training
#
# A wrong attention module often trains all the same, only worse, and nobody notices. So each part is held
# against something that is not us first: PyTorch's own layer, a formula, a property that it must have.
#
# ## 1.1 Attention
#
# $$\mathrm{Attention}(Q, K, V) = \mathrm{softmax}\!\left(\frac{Q K^\top}{\sqrt{d_k}}\right) V, \qquad
#   Y = [\mathrm{head}_1; \ldots; \mathrm{head}_h]\, W_O$$
#
# Reviews in a batch are padded to one length, and nobody may attend to the padding: a mask says True where
# a token *may* be attended to.

# %%
show_code(attention_weights, explicit_attention, MultiHeadAttention.forward)

# %%
BATCH, TOKENS, D, HEADS = 5, 11, 12, 3
x = torch.randn(BATCH, TOKENS, D, dtype=torch.float64)
lengths = torch.tensor([11, 3, 7, 1, 9])
real = padding_mask(lengths, TOKENS)
attention = MultiHeadAttention(D, HEADS).double()
native = nn.MultiheadAttention(D, HEADS, batch_first=True, dtype=torch.float64)
with torch.no_grad():
    native.in_proj_weight.copy_(attention.qkv.weight)
    native.in_proj_bias.copy_(attention.qkv.bias)
    native.out_proj.load_state_dict(attention.output.state_dict())

y, weights = attention(x, mask=Mask(keys=real), return_weights=True)
# PyTorch's mask says the opposite: True = ignore
theirs, their_weights = native(x, x, x, key_padding_mask=~real, average_attn_weights=False)
assert y.shape == x.shape
assert weights.shape == (BATCH, HEADS, TOKENS, TOKENS)
same(y, theirs, "attention with padding against torch.nn.MultiheadAttention")
same(weights, their_weights, "its weights")
same(weights.sum(-1), torch.ones(BATCH, HEADS, TOKENS, dtype=torch.float64), "weights of each query sum to 1")
assert (weights.masked_select(~real[:, None, None].expand_as(weights)) == 0).all(), "padding is attended to"

other = torch.where(real[..., None], x, torch.randn_like(x))
changed = attention(other, mask=Mask(keys=real))
same(changed[real], y[real], "other values in the padding change nothing")
short = attention(x[1:2, :3])
same(short[0], y[1, :3], "a padded review against the same review alone")

# %% [markdown]
# ## 1.2 Positions
#
# Attention sees a bag of words. The sinusoidal encoding gives each place $t$ a vector that is added to the
# word's:
#
# $$p_{t, 2i} = \sin\!\left(\frac{t}{10000^{2i/d}}\right), \qquad
#   p_{t, 2i+1} = \cos\!\left(\frac{t}{10000^{2i/d}}\right)$$
#
# Each pair of features is a clock hand of its own speed. Two things follow, which are tested here: every
# $p_t$ has the same length, and $p_t \cdot p_{t+s}$ depends on the distance $s$ alone.

# %%
show_code(sinusoids, SinusoidalPositions.forward, LearnedPositions)

# %%
PLACES, WIDTH = 100, 32
table = sinusoids(PLACES, WIDTH)
by_formula = np.zeros((PLACES, WIDTH))
for t in range(PLACES):
    for i in range(WIDTH // 2):
        by_formula[t, 2 * i] = np.sin(t / 10000 ** (2 * i / WIDTH))
        by_formula[t, 2 * i + 1] = np.cos(t / 10000 ** (2 * i / WIDTH))
same(table, torch.from_numpy(by_formula), "sinusoids against the formula, number by number")
same(
    table.square().sum(-1),
    torch.full((PLACES,), WIDTH / 2, dtype=torch.float64),
    "all places have one length",
)
for shift in (1, 10):
    alike = (table[:-shift] * table[shift:]).sum(-1)
    same(alike, alike[:1].expand_as(alike), f"places {shift} apart are equally alike everywhere")

order = torch.randperm(TOKENS)
placed = SinusoidalPositions(D)
same(
    attention(x)[:, order], attention(x[:, order]), "without positions, shuffled words give shuffled outputs"
)
moved = (attention(placed(x))[:, order] - attention(placed(x[:, order]))).abs().max()
assert moved > 1e-3, "positions should make a difference"
learned = LearnedPositions(D, TOKENS).double()
same(learned(x), x + learned.embedding.weight, "learned positions are a row of a table for each place")

# %%
figure, (left, right) = plt.subplots(1, 2, figsize=(10, 3.4), layout="constrained")
image = left.imshow(table.T, cmap="RdBu", vmin=-1, vmax=1, aspect="auto")
left.set(xlabel="place t", ylabel="feature")
figure.colorbar(image, ax=left).set_label("value added to the word's vector")
for place, color in ((20, BLUE), (60, ORANGE)):
    right.plot(table @ table[place], color=color, label=f"to place {place}")
right.set(xlabel="place t", ylabel="dot product of the encodings")
right.legend(frameon=False)
show(
    figure,
    "Figure 1. Sinusoidal positions. Left: the table, one column for each place. Right: how alike places "
    "are to two of them; "
    "both curves have one shape, since only the distance counts.",
)

# %% [markdown]
# # 2. Data
#
# The Large Movie Review Dataset (Maas et al. 2011): reviews from IMDB with few stars, negative, or many,
# positive; the lukewarm ones in between are left out. Half of the reviews are for training, half for the
# test, and no film is in both.
#
# **Process.** A tokeniser learns the most frequent words *of the training reviews*; the rest become one
# unknown word. Reviews are cut to their first tokens. A tenth of the training reviews is held out to choose
# the best epoch, in runs of neighbours: the file lies film by film, and single rows would ask the model
# about films that it knows.
#
# The run below is in the sheet's own setting:
#
# > a fifth of the training reviews, at most 512 tokens, a vocabulary of 50,000, batches of 16

# %%
if QUICK:
    SETTING = "--data.max-tokens 64 --fit.epochs 1 --threads 1"
else:
    SETTING = "--data.fraction 0.2 --data.max-tokens 512 --data.vocab 50000 --fit.batch-size 16"
RUN = WORK / "transformer"
glassformer(f"train imdb {SETTING} --run-dir {RUN}")

# %%
run = gf.load(RUN)
prepared = run.task.prepare(run.config, lambda line: None)
names = prepared.class_names
lines = [
    "| split | reviews | " + " | ".join(names) + " | median tokens | cut short |",
    "|---|---|---|---|---|---|",
]
longest = run.config.data.max_tokens
for split, part in prepared.examples.items():
    counts = np.bincount(part.labels, minlength=len(names))
    lines.append(
        f"| {split} | {len(part):,} | {' | '.join(f'{count:,}' for count in counts)} | "
        f"{np.median(part.lengths):.0f} "
        f"| {(part.lengths == longest).mean():.1%} |"
    )
display(Markdown("\n".join(lines)))

figure, axes = plt.subplots(figsize=(7, 3), layout="constrained")
for split, color in (("train", BLUE), ("test", ORANGE)):
    lengths = prepared.examples[split].lengths
    axes.hist(lengths, bins=40, range=(0, longest), density=True, histtype="step", color=color, label=split)
axes.set(xlabel="tokens of a review, after cutting", ylabel="share of reviews, a token")
axes.legend(frameon=False)
show(
    figure,
    f"Figure 2. Lengths of the reviews, cut after {longest} tokens; the last bar holds all that were longer.",
)

# %% [markdown]
# # 3. Model
#
# Words become vectors; positions, if any, are added; a stack of blocks (attention, then a feed-forward
# network, each with a norm before it and a residual around it); a pool makes one vector of a review; a
# linear map gives a score for each class. The loss is the cross-entropy.

# %%
show_code(TextClassifier.forward, MeanPool, ClsPool)
parts = {name: sum(p.numel() for p in child.parameters()) for name, child in run.model.named_children()}
lines = ["| part | parameters | share |", "|---|---|---|"]
total = sum(parts.values())
lines += [f"| {name} | {count:,} | {count / total:.1%} |" for name, count in parts.items() if count]
display(Markdown("\n".join(lines) + f"\n\nOptions: `{run.config.model}`"))
assert QUICK or parts["embed"] == max(parts.values())

# %% [markdown]
# Most parameters are the words' vectors. With few reviews that is where overfitting begins, since a rare
# word is seen a few times only: hence dropout on the embedded words and a weight decay of its own for them,
# and an average of the weights over the last steps instead of the last ones.
#
# # 4. Training and evaluation
#
# The run above was trained with AdamW, a learning rate that rises and then falls, and the best epoch by
# validation. Test was read once, after that.

# %%
metrics = metrics_of(RUN)
seconds = metrics["epoch_seconds"]
print(
    f"an epoch took {min(seconds):.0f} to {max(seconds):.0f} s on this machine; in less than a minute: "
    f"{max(seconds) < 60}"
)
show(
    draw_learning_curves(metrics, caption=f"Task imdb, seed {metrics['seed']}."),
    "Figure 3. Loss and accuracy after each epoch. Train: means while the weights moved, with dropout; "
    "validation: the "
    "averaged weights, without dropout, which is why it can look better.",
)

# %%
lines = ["| model | validation accuracy | test accuracy | 95% interval |", "|---|---|---|---|"]
rivals = {"transformer": metrics} | metrics["baselines"]
ranked = sorted(rivals, key=lambda name: -rivals[name]["validation"]["accuracy"])
for name in ranked:
    test = rivals[name].get("test", rivals[name])
    low, high = test["accuracy_ci95"]
    lines.append(
        f"| {name} | {rivals[name]['validation']['accuracy']:.4f} | {test['accuracy']:.4f} | {low:.4f} to "
        f"{high:.4f} |"
    )
lines.append(f"\nBest by validation accuracy: **{ranked[0]}**.")
display(Markdown("\n".join(lines)))
show(
    draw_confusion(metrics["test"], caption="Rows are true classes, columns what the model said."),
    "Figure 4. The test reviews by what they are and what the model says they are.",
)

# %% [markdown]
# **Beside what is cheaper.** Logistic regression on the frequencies of words (TF-IDF), or on pairs of words
# weighed by naive Bayes, takes seconds and has no layer at all. A transformer that is trained from nothing
# on a few thousand reviews has to find out what a word is worth from them, like those, and has more freedom
# to get it wrong. The table shows how far it comes.
#
# A few sentences of our own; note what happens to negation and irony:

# %%
for prediction in run.predict(
    [
        "A wonderful film, I loved every minute of it.",
        "Dull, predictable and far too long.",
        "Not bad at all.",
        "I expected to hate it, and I was wrong.",
        "A masterpiece, if you enjoy watching paint dry.",
    ]
):
    probability = prediction.probabilities[prediction.label]
    print(f"{prediction.label:<9} ({probability:.2f})  {prediction.input}")

# %% [markdown]
# # 5. How choices change performance
#
# > Positional encoding, number of layers, number of heads, and others; a CLS token and learned positions.
#
# One option at a time differs from the base, each with several seeds: two runs that differ in an option
# differ in their luck too. Everything that is ranked or tested is validation accuracy.

# %%
STUDY = WORK / "choices"
if QUICK:
    options = "--data.max-tokens 32 --fit.epochs 1 --threads 1 --seeds 1 --vary model.pool=mean,cls"
else:
    options = (
        "--data.fraction 0.1 --data.max-tokens 256 --seeds 2 --vary model.positions=none,sinusoidal,learned "
        "--vary model.layers=1,2,4 --vary model.heads=1,4 --vary model.pool=mean,cls"
    )
glassformer(f"compare imdb --no-baselines {options} --study {STUDY}")

# %%
result = json.loads((STUDY / "comparison.json").read_text(encoding="utf-8"))
show(
    draw_effects(
        result, caption="Small marks: the seeds. Large marks and bars: their mean and its 95% interval."
    ),
    "Figure 5. Validation accuracy by option; all else is as in the base.",
)
lines = [
    f"- `{pair['option']}`: {pair['first']} against {pair['second']}: {pair['difference']:+.3f}; "
    f"{pair['verdict']}"
    for pair in result["pairs"]
]
display(Markdown("**Each option, as this run measured it:**\n\n" + "\n".join(lines)))

# %% [markdown]
# # 6. Discussion
#
# - **Positions.** Which words a review holds says most about its sentiment; their order decides only some.
#   So a model without positions is hard to beat here, and positions that are *learned* cost parameters that
#   few reviews pay for: places far back are seen only in long reviews. Sinusoids cost none, but they are as
#   large as the words' vectors or larger while these are young, and may drown them: see Figure 5.
# - **Layers.** One block that takes means of words has most of what can be had. Each further block is more
#   to overfit with and more to wait for. With all the reviews, or a pretrained model, depth pays.
# - **Heads.** At one width, more heads are narrower ones; the number of parameters stays. Several heads can
#   look for several kinds of words at once, which the mean over tokens makes partly superfluous.
# - **CLS against mean.** The mean gives each word a direct way into the classifier, and a gradient from the
#   first step. A CLS token has to learn first to gather from all others, through the only block there is.
#   It catches up with depth and data.
# - **Others worth trying**: dropout on the embedded words, weight decay of the embedding, the size of the
#   vocabulary, how much of a review is read (`--vary data.max_tokens=128,256,512`), post-norm against
#   pre-norm.
# - **Limits.** Few seeds, a part of the data, one schedule for all: an option that needs more steps is at a
#   disadvantage. *Undecided* in the list above means that so few seeds cannot tell, not that there is no
#   difference.
#
# # 7. The paper
#
# > A PDF of up to 4 pages that documents and discusses model, data, process, performance evaluation and
# > results.
#
# One command writes it, and every number in it is read from the runs. `--text own.md` puts words of one's
# own into its sections.

# %%
PAPER = WORK / "report.pdf"
EXAMPLES = 4 if QUICK else 50
TITLE = "Which choices matter on film reviews?"
glassformer(f"report {STUDY} --title '{TITLE}' --examples {EXAMPLES} --out {PAPER}")
print(f"{PAPER}: {PAPER.stat().st_size:,} bytes")

# %% [markdown]
# **A pretrained BERT**, which the sheet offers too, is a model to name:
# `glassformer train imdb --model.pretrained FOLDER` runs published weights in the parts of this notebook; see
# [published models](../docs/how-to/finetune.md). [The README](../README.md) has the measured figures on all
# reviews.
