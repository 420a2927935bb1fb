# %% [markdown]
# # E. A neural network and a transformer from scratch
#
# *The exercise sheet: MCDA5511.* This notebook answers all of it with [Glassformer](../README.md): a
# network whose gradients are written out in NumPy, beside logistic regression; then a transformer from its
# parts, trained to write integers in reverse.
#
# It is committed without outputs, so no number in it can be out of date: run it from top to bottom, with
# the package and its `dev` extra installed. Every number below a cell comes from that run. With
# `GLASSFORMER_QUICK=1` in the environment everything is tiny and shows only that it works.

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
from IPython.display import SVG, Markdown, display

import glassformer as gf
from glassformer.baselines import network
from glassformer.cli import main
from glassformer.data.tokenizer import END, START
from glassformer.decoding import greedy
from glassformer.experiments.backprop import LOGISTIC, compare, described, verdict
from glassformer.experiments.config import BackpropConfig
from glassformer.explain.capture import captured_attention
from glassformer.models.configs import EncoderDecoderConfig
from glassformer.models.encoder_decoder import CachedSteps, EncoderDecoder
from glassformer.nn import (
    FeedForward,
    LearnedPositions,
    Mask,
    MultiHeadAttention,
    PreNormBlock,
    PreNormDecoderBlock,
    SelfAttention,
    SinusoidalPositions,
    TokenEmbedding,
)
from glassformer.reports.backprop_figures import draw_data, draw_losses, draw_regions
from glassformer.reports.figures import draw_learning_curves
from glassformer.tasks import find_task

QUICK = bool(os.environ.get("GLASSFORMER_QUICK"))
WORK = Path("runs/sheet_e") / time.strftime("%Y-%m-%d_%H-%M-%S")
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


# %% [markdown]
# # Part 1. A neural network by hand
#
# ## 1.1 The data
#
# The images of handwritten digits that come with scikit-learn (Alpaydin & Kaynak 1998), eight by eight
# pixels, with the question: *is the digit odd?*
#
# - **A row** is one image. **Its features** are its pixels, row by row, each a number from 0 (paper) to 16
#   (ink): how many points of a square of four by four were inked when the image was scanned. Pixels that
#   are alike in all images say nothing and are left out.
# - **The label** is 1 where the digit is 1, 3, 5, 7 or 9, and 0 otherwise. The ten digits are about equally
#   frequent, so the two classes are balanced, and always giving the same answer is right about half of the
#   time.
#
# A fifth of the rows is kept aside, drawn so that both classes keep their shares, and looked at once, at
# the end. Features are standardised by the mean and deviation *of the training rows*: using all rows would
# let the test rows leak in.

# %%
config = BackpropConfig(epochs=15) if QUICK else BackpropConfig()
comparison = compare(config)
print("\n".join(described(comparison.result)))

# %%
show(
    draw_data(comparison, caption="Training rows by the value of a feature, in the colours of the classes."),
    "Figure 1. The classes, and the five features that correlate most with the label (r: Pearson's "
    "correlation).",
)

# %% [markdown]
# The figure says how hard the question is: no pixel separates odd from even by itself, and the best ones
# overlap widely.
#
# ## 1.2 Logistic regression
#
# $p = \sigma(w \cdot x + b)$ with $\sigma(z) = 1 / (1 + e^{-z})$: one weight a pixel, so each pixel votes
# for or against 'odd' whatever the others show.

# %%
logistic = comparison.result["models"][LOGISTIC]["test"]
low, high = logistic["accuracy_ci95"]
print(
    f"logistic regression: test accuracy {logistic['accuracy']:.4f}, 95% interval {low:.4f} to {high:.4f}, "
    f"on {logistic['count']:,} rows"
)

# %% [markdown]
# ## 1.3 The network, written out
#
# One hidden layer with as many neurons as features, sigmoids, and one output:
#
# $$Z_1 = X W_1 + b_1, \qquad A_1 = \sigma(Z_1), \qquad Z_2 = A_1 W_2 + b_2, \qquad p = \sigma(Z_2)$$
#
# The loss is the mean of $-\ln p$ where the answer is 1 and $-\ln(1 - p)$ where it is 0. Weights begin at
# random: neurons that begin equal would have equal gradients and stay equal for ever. They begin small: a
# sigmoid far from 0 is flat, and where it is flat nothing is learned.

# %%
show_code(network.initial_weights, network.forward, network.loss)

# %% [markdown]
# The backward pass is the chain rule, from the loss back to the weights. Write $dV$ for
# $\partial L / \partial V$. At the output, the derivative of the sigmoid cancels against that of the
# logarithm, and the error is left, prediction less truth; then every layer does the same two things: its
# weights' gradient is *what came in* times *what was wrong with what went out*, and the error is handed
# back through the weights:
#
# $$dZ_2 = \tfrac{1}{n}(p - y), \quad dW_2 = A_1^\top dZ_2, \quad db_2 = \textstyle\sum_i dZ_{2,i}$$
#
# $$dZ_1 = dZ_2 W_2^\top \odot A_1 \odot (1 - A_1), \quad
#   dW_1 = X^\top dZ_1, \quad db_1 = \textstyle\sum_i dZ_{1,i}$$
#
# Gradient descent then moves every weight a little against its gradient,
# $W \leftarrow W - \eta\, \partial L/\partial W$.

# %%
show_code(network.backward, network.step, network.train)

# %% [markdown]
# **Is the gradient right?** Two judges that share no line with it: PyTorch's autograd, and the definition
# of a derivative, $\left(L(w + \epsilon) - L(w - \epsilon)\right) / 2\epsilon$, for one weight after the
# other.

# %%
generator = np.random.default_rng(0)
X, y = generator.normal(size=(11, 5)), generator.integers(0, 2, 11)
weights = network.initial_weights(5, 7, generator)
gradient = network.backward(weights, network.forward(weights, X), y)

tensors = [torch.tensor(w, requires_grad=True) for w in weights]
W1, b1, W2, b2 = tensors
logits = torch.sigmoid(torch.tensor(X) @ W1 + b1) @ W2 + b2
torch.nn.functional.binary_cross_entropy_with_logits(
    logits[:, 0], torch.tensor(y, dtype=torch.float64)
).backward()

EPSILON = 1e-6
for name, ours, theirs, w in zip(weights._fields, gradient, tensors, weights, strict=True):
    numeric = np.zeros_like(w)
    for place in np.ndindex(w.shape):
        kept = w[place]
        ends = []
        for moved in (kept + EPSILON, kept - EPSILON):
            w[place] = moved
            ends.append(network.loss(network.forward(weights, X).Z2, y))
        w[place] = kept
        numeric[place] = (ends[0] - ends[1]) / (2 * EPSILON)
    np.testing.assert_allclose(ours, theirs.grad.numpy(), rtol=1e-10, atol=1e-12)
    np.testing.assert_allclose(ours, numeric, rtol=1e-5, atol=1e-8)
    print(
        f"d{name}: largest difference from autograd {np.abs(ours - theirs.grad.numpy()).max():.1e}, "
        f"from finite differences {np.abs(ours - numeric).max():.1e}"
    )

# %% [markdown]
# ## 1.4 Run to convergence
#
# An epoch is one pass over the training rows in small batches. Training ends when the loss has not fallen
# by a fiftieth in five hundred epochs, or has reached a value at which the rows are told apart; the weights
# kept are those of the epoch with the lowest training loss.

# %%
show(
    draw_losses(comparison, caption="Binary cross-entropy on the training rows; lower is better."),
    "Figure 2. The network's training loss, epoch by epoch, and where the others end.",
)
result = comparison.result
print(f"{result['network']['epochs']:,} epochs; converged: {result['network']['converged']}")
assert QUICK or result["network"]["converged"]

# %% [markdown]
# ## 1.5 The two compared

# %%
rows = [
    f"| {name} | {m['parameters']:,} | {m['train']['accuracy']:.4f} | {m['test']['accuracy']:.4f} "
    f"| {m['test']['accuracy_ci95'][0]:.4f} to {m['test']['accuracy_ci95'][1]:.4f} |"
    for name, m in result["models"].items()
]
table = "| model | parameters | train accuracy | test accuracy | 95% interval |\n|---|---|---|---|---|\n"
display(Markdown(table + "\n".join(rows) + "\n\n" + " ".join(f"{line}." for line in verdict(result))))

# %% [markdown]
# How to read the comparison:
#
# - **Train accuracy says little.** With so many weights the network can learn its training rows by heart;
#   only rows that it has not seen tell whether it has learned something general. That is why both columns
#   stand in the table.
# - **Intervals, and a test by rows.** A few hundred test rows leave a margin of a point or two. McNemar's
#   test looks at the rows on which the two differ, and asks whether a fair coin would have divided them so
#   unevenly.
# - **Why the network should win here.** A plane cannot say 'ink here *and* none there'; 3 and 8 share most
#   of their ink. A hidden neuron can stand for such a combination. Where a plane does well already, as on
#   scikit-learn's breast masses (`glassformer backprop --data breast-cancer`), more freedom buys nothing.
#
# What the freedom looks like, on the two features that tell most, so that it can be drawn:

# %%
show(
    draw_regions(comparison, caption="Both models fitted again on these two features alone."),
    "Figure 3. Decision regions. The line between the classes is straight for logistic regression, "
    "whatever the data; "
    "the network's may bend.",
)

# %% [markdown]
# ## 1.6 'Self-learning', for someone who knows linear regression
#
# You have fitted lines. You wrote $\hat y = w x + b$, you said what a miss costs, and the computer found
# the $w$ and $b$ for which all misses together cost least. You did not choose $w$; you chose the *form* of
# the answer and the *price of a mistake*, and the data chose $w$. A neural network learns in just this
# sense, and in no other. Three things are new.
#
# **1. It makes its own columns.** You know what to do when a line does not fit: add a column, $x^2$, say,
# or the product of two columns. Which columns to add, *you* decide. A network has a layer in between that
# computes new columns from the old ones, each a small regression of its own squeezed through an S-shaped
# curve, and the final regression works on those. The weights that make the columns are unknowns like all
# others. So the data choose not only how much each column counts, but what the columns are. That is the
# 'self' in self-learning. (The curve matters: without it a regression on regressions is one regression, and
# nothing is gained.)
#
# **2. There is no formula.** For a line, the best $w$ can be calculated. Here it must be searched for.
# Think of the total cost as the height of a landscape, with one direction for each weight. Start anywhere.
# Ask in which direction the ground falls, take a small step, ask again. Nobody guides the search; the slope
# does.
#
# **3. Blame is passed back.** The slope needs an answer to: if this weight grew a little, what would happen
# to the cost? For the last layer that is easy: compare prediction and truth. A weight further back acts
# only *through* the later ones, so its share of the blame is the blame of what it feeds, times the weight
# in between, times how far its curve could still move. Working from the end to the beginning, every weight
# gets its share in one sweep. This is called *backpropagation*, and it is the chain rule with good
# book-keeping.
#
# And what it is not: the network does not choose its goal, its data, its shape, or what a mistake costs. It
# does not understand digits. It has found numbers for which the mistakes on the rows it was shown are
# cheap. Whether these numbers are any good on rows it was *not* shown is a question of its own, and the
# reason why some are always kept aside.
#
# A sentence to take away: *a network is a regression that finds its own features, by walking downhill.* [A
# longer version](../docs/self-learning.md) goes through the formulas under the same names as the code.

# %% [markdown]
# # Part 2. A transformer from scratch
#
# ## 2.1 Overview of the components
#
# A transformer turns a sequence of symbols into another sequence (or into a class). All it does is done to
# vectors, one for each symbol, and every part below takes vectors and gives vectors of the same width,
# $d_{model}$:
#
# 1. **Token embedding.** A table with one learned vector for each symbol of the vocabulary.
# 2. **Position.** Attention does not see order, so each place gets a vector (sines and cosines of several
#    wavelengths, or a learned one), which is added to the symbol's.
# 3. **Attention.** Every token forms a *query*, a *key* and a *value*. The product of its query with
#    everybody's keys, through a softmax, says how much it takes of everybody's values. This is the only
#    place where tokens exchange anything. *Several heads* do it side by side, each with maps of its own.
# 4. **Feed-forward network.** Two linear maps with a non-linearity between, the same at each token: here it
#    is computed with what attention has gathered.
# 5. **Residuals and layer norms.** Each layer *adds* to its input, which keeps a straight way for
#    gradients; norms keep sizes in hand. Attention, feed-forward network, residuals and norms make a
#    *block*.
# 6. **Encoder.** A stack of blocks over the source, in which everybody sees everybody.
# 7. **Decoder.** A stack over what has been written so far. Its blocks have two attentions: one to the
#    tokens before (a *causal mask* hides the later ones, or training would show the answer), one to what
#    the encoder made of the source.
# 8. **Output.** A linear map from a vector to one score for each symbol; a softmax makes probabilities of
#    the scores.
# 9. **Training and decoding.** In training, all places are predicted at once, each from the *true* symbols
#    before it. In use, the model writes a symbol, reads it back, and writes the next, until it writes the
#    end.
#
# ## 2.2 Each component a class, with a test of its output shape
#
# All are made of PyTorch's basic parts (`Linear`, `Embedding`, `LayerNorm`, products and softmax). Here are
# the encoder's and the decoder's block and the whole model as they run; the attention stands in the
# notebook of sheet B.

# %%
show_code(TokenEmbedding, FeedForward, PreNormBlock.forward, PreNormDecoderBlock.forward)

# %%
show_code(EncoderDecoder.forward, EncoderDecoder.encode, EncoderDecoder.decode)

# %% [markdown]
# Every size is another number, so that no two axes can be taken for each other. (The package's own tests,
# `pytest tests/nn tests/models`, also compare values and gradients with PyTorch's layers.)

# %%
BATCH, SOURCES, TARGETS, D, HEADS, D_FF, VOCAB = 3, 5, 6, 8, 2, 17, 13
ids, written = torch.randint(VOCAB, (BATCH, SOURCES)), torch.randint(VOCAB, (BATCH, TARGETS))
x, t = torch.randn(BATCH, SOURCES, D), torch.randn(BATCH, TARGETS, D)


def attention() -> MultiHeadAttention:
    return MultiHeadAttention(D, HEADS)


sizes = EncoderDecoderConfig(
    encoder_layers=1,
    decoder_layers=1,
    heads=HEADS,
    d_model=D,
    d_ff=D_FF,
    vocab=VOCAB,
    max_tokens=SOURCES,
    max_targets=TARGETS,
)
decoder_block = PreNormDecoderBlock(attention(), attention(), FeedForward(D, D_FF), D)
model = EncoderDecoder(sizes)
tests = [
    ("TokenEmbedding", TokenEmbedding(VOCAB, D)(ids), (BATCH, SOURCES, D)),
    ("SinusoidalPositions", SinusoidalPositions(D)(x), (BATCH, SOURCES, D)),
    ("LearnedPositions", LearnedPositions(D, SOURCES)(x), (BATCH, SOURCES, D)),
    ("SelfAttention, one head", SelfAttention(D, 4)(x), (BATCH, SOURCES, 4)),
    ("MultiHeadAttention", attention()(x), (BATCH, SOURCES, D)),
    ("... its weights", attention()(x, return_weights=True)[1], (BATCH, HEADS, SOURCES, SOURCES)),
    ("MultiHeadAttention to a context", attention()(t, x), (BATCH, TARGETS, D)),
    ("FeedForward", FeedForward(D, D_FF)(x), (BATCH, SOURCES, D)),
    ("PreNormBlock", PreNormBlock(attention(), FeedForward(D, D_FF), D)(x), (BATCH, SOURCES, D)),
    ("PreNormDecoderBlock", decoder_block(t, x, Mask(causal=True)), (BATCH, TARGETS, D)),
    ("EncoderDecoder.encode", model.encode(ids), (BATCH, SOURCES, D)),
    ("EncoderDecoder", model(ids, written), (BATCH, TARGETS, VOCAB)),
]
for name, output, expected in tests:
    assert output.shape == expected, f"{name}: {tuple(output.shape)}, not {expected}"
    print(f"{name:<32} {tuple(output.shape)}")

# the causal mask does its work: a later symbol changes nothing before it
changed = written.clone()
changed[:, -1] = (changed[:, -1] + 1) % VOCAB
model.eval()
torch.testing.assert_close(model(ids, written)[:, :-1], model(ids, changed)[:, :-1])

# %% [markdown]
# ## 2.3 The architecture, with the dimensions at each step
#
# Drawn from watching the model trained below run, not from a drawing of it: every part with the shapes
# that go in and come out, and its parameters at the right.

# %%
DIAGRAM = WORK / "reverse.svg"
glassformer(f"diagram reverse --out {DIAGRAM}")
display(SVG(filename=str(DIAGRAM)))
display(
    Markdown(
        "*Figure 4. The encoder-decoder that is trained below. Left the encoder, right the decoder; the "
        "arrow "
        "between them is what the decoder attends to.*"
    )
)

# %% [markdown]
# ## 2.4 Reversing five integers
#
# [3, 5, 2, 4, 1] becomes [1, 4, 2, 5, 3]. **Data:** the sequences of five integers from 1 to 9 can be
# counted. A few thousand are drawn to learn from, a tenth of these held out to choose the best epoch; *all
# others* are the test, so that nothing judged has been seen. **Tokenisation:** every integer is a symbol;
# beside them there are a start, an end, a padding and an unknown symbol.

# %%
task = find_task("reverse")
prepared = task.prepare(task.preset(None, None), print)
tokenizer = prepared.tokenizer
print("vocabulary:", dict(sorted(tokenizer.get_vocab().items(), key=lambda each: each[1])))
print({split: f"{len(part):,}" for split, part in prepared.examples.items()})
pair = prepared.examples["train"].take(np.array([0]))
print("a source", pair.sources[0].tolist(), "and its target", pair.targets[0].tolist())

# %% [markdown]
# **The training loop** in its shortest form, to be read; a few steps of it show the loss falling. The
# decoder is given the true symbols so far and asked for the next one, at all places at once:

# %%
torch.manual_seed(0)
settings = task.preset(None, None)
model = task.build_model(
    EncoderDecoderConfig(
        encoder_layers=1, decoder_layers=1, vocab=tokenizer.get_vocab_size(), max_tokens=5, max_targets=6
    )
)
optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
losses = []
for step, batch in enumerate(task.batches(prepared.examples["train"], settings, train=True)):
    logits = model(batch["source"], batch["target"])
    loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), batch["labels"].flatten())
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
    if step == 30:
        break
print(f"loss of the first step {losses[0]:.2f}, of the last {losses[-1]:.2f} nats a symbol")
assert losses[-1] < losses[0]

# %% [markdown]
# The command does the same with what a real training wants besides: a schedule of the learning rate, the
# best epoch by validation, a baseline, and a folder with all that is needed to repeat it.

# %%
RUN = WORK / "reverse"
glassformer(
    f"train reverse --run-dir {RUN}" + " --fit.epochs 2 --data.sequences 500 --data.judged 500" * QUICK
)

# %%
metrics = metrics_of(RUN)
show(
    draw_learning_curves(metrics, caption=f"Task reverse, seed {metrics['seed']}."),
    "Figure 5. Loss a symbol, and the share of sequences right from start to end, after each epoch.",
)

# %% [markdown]
# **Generating output.** Greedy decoding takes the likeliest symbol at each step, until the end symbol:

# %%
show_code(greedy)
run = gf.load(RUN)
for written in run.predict(["[3, 5, 2, 4, 1]", "[9, 9, 8, 7, 1]", "[1, 2, 3, 4, 5]"]):
    print(f"{written.input} -> {written.output}")

# %% [markdown]
# The same by hand: the encoder reads once; the decoder writes symbol after symbol. Beside the answer, the
# weights of the attention to the source say where the model looked when it wrote each symbol.

# %%
INTEGERS = [3, 5, 2, 4, 1]
source = torch.tensor([[run.tokenizer.token_to_id(str(number)) for number in INTEGERS]])
with torch.inference_mode():
    answer = greedy(
        CachedSteps(run.model, source), torch.tensor([[START]]), end=END, max_tokens=len(INTEGERS) + 1
    )
    with captured_attention(run.model) as attended:
        run.model(source, torch.cat([torch.tensor([[START]]), answer[:, :-1]], dim=1))
(cross,) = (each.weights[0] for each in attended if each.kind == "cross-attention")
symbols = [run.tokenizer.id_to_token(int(each)) for each in answer[0]]

figure, panels = plt.subplots(1, len(cross), figsize=(11, 3.2), layout="constrained")
for head, axes in enumerate(np.atleast_1d(panels)):
    image = axes.imshow(cross[head], cmap="Blues", vmin=0, vmax=1)
    axes.set_xticks(range(len(INTEGERS)), [str(number) for number in INTEGERS])
    axes.set_yticks(range(len(symbols)), symbols)
    axes.set(xlabel="read: symbol of the source", ylabel="written", title=f"head {head + 1}")
bar = figure.colorbar(image, ax=panels, shrink=0.8)
bar.set_label("weight")
show(
    figure,
    "Figure 6. Attention of each written symbol (row) to the source (column), head by head; each row sums to "
    "one.",
)

# %% [markdown]
# Nothing in the architecture says 'copy from the other end'. Where a trained model answers rightly, some
# head has usually found that rule: its weights lie along the diagonal that falls from the upper right to
# the lower left. Heads need not all take part, and weights show where a model looks, not why it answers as
# it does.
#
# ## 2.5 Evaluation
#
# *Exact match* counts a sequence only if every symbol is right, up to the end. It is told for the unseen
# sequences, which is what matters, and for those trained on, which would show learning by heart.

# %%
test = metrics["test"]
low, high = test["accuracy_ci95"]
baselines = {name: figures["accuracy"] for name, figures in metrics["baselines"].items()}
lines = [
    f"- unseen sequences: exact match {test['accuracy']:.4f} (95% interval {low:.4f} to {high:.4f}) "
    f"of {test['count']:,}",
    f"- sequences trained on: {metrics['train']['accuracy']:.4f} of {metrics['train']['count']:,}",
    f"- difference, trained on less unseen: {metrics['train']['accuracy'] - test['accuracy']:+.4f}",
    *(f"- baseline {name}, on the unseen: {accuracy:.4f}" for name, accuracy in baselines.items()),
    f"- {metrics['parameters']:,} parameters, {metrics['train_seconds']:.0f} s of training",
]
display(Markdown("\n".join(lines)))

# %%
unseen = prepared.examples["test"].take(np.arange(300 if QUICK else 5000))
texts = [" ".join(tokenizer.id_to_token(int(each)) for each in row) for row in unseen.sources]
wanted = [" ".join(tokenizer.id_to_token(int(each)) for each in row) for row in unseen.targets]
outputs = [each.output for each in run.predict(texts)]
by_place = [
    np.mean(
        [
            (output.split() + [""] * 5)[place] == want.split()[place]
            for output, want in zip(outputs, wanted, strict=True)
        ]
    )
    for place in range(5)
]
figure, axes = plt.subplots(figsize=(6.5, 3), layout="constrained")
axes.bar(range(1, 6), by_place, color="#0072B2", label="the model")
axes.axhline(1 / 9, color="#D55E00", linestyle="--", label="a guess, one of nine")
axes.set(xlabel="place in the answer", ylabel="share of symbols right", ylim=(0, 1.2))
axes.legend(loc="upper center", ncols=2, frameon=False)
show(
    figure,
    f"Figure 7. Unseen sequences: the share of right symbols at each place of the answer, of {len(texts):,}.",
)
mistakes = [
    (text, output, want) for text, output, want in zip(texts, outputs, wanted, strict=True) if output != want
]
print(f"{len(mistakes):,} of {len(texts):,} answers wrong")
for text, output, want in mistakes[:5]:
    print(f"  {text} -> {output} instead of {want}")

# %% [markdown]
# Commentary:
#
# - **Unseen against trained on** is the comparison that counts. A model that had learned its sequences by
#   heart would be right on those and lost on the others, of which there are more than ten times as many; a
#   difference near zero says that it has found the rule.
# - **The baseline** is logistic regression on the places. In a reversal every symbol goes to a fixed place,
#   so a linear map can do it as well: the task shows that the machinery works, not that it is needed. The
#   harder tasks below do.
# - **Positions are needed.** Without them an encoder cannot tell the orders of its symbols apart, and with
#   `--model.positions none` the model can only guess which came first.
# - **Where mistakes occur**, figure 7 shows by place. A wrong symbol early on is read back by the decoder
#   and may spoil what follows; that is the price of writing symbol by symbol.
# - **What is not shown:** sequences longer than those trained on. The positions beyond are new to the
#   model, and nothing in this test says that it would know what to do.
#
# ## 2.6 Something harder: addition
#
# To add, a digit of the answer depends on two digits and on a carry that may come from far to the right. No
# symbol has a fixed place to be copied from, and the linear baseline fails:

# %%
ADD = WORK / "add"
glassformer(
    f"train add --data.digits 2 --run-dir {ADD}"
    + " --fit.epochs 1 --data.sequences 500 --data.judged 500" * QUICK
)
print({answer.input: answer.output for answer in gf.load(ADD).predict(["27+35", "99+1", "8+90"])})

# %% [markdown]
# ## 2.7 A search of the hyper-parameters (optional)
#
# Optuna proposes a configuration, it is trained, validation accuracy decides, and the hopeless ones are
# ended early. The test split plays no part in it, or it would be trained on by way of our choices.

# %%
SEARCH = WORK / "search"
effort = "--trials 2 --fit.epochs 1 --data.sequences 300" if QUICK else "--trials 12 --fit.epochs 8"
glassformer(
    f"tune reverse {effort} --search optim.learning_rate=3e-4..1e-2 --search model.d_model=16,32,64 "
    f"--search model.heads=1,2,4 --study {SEARCH}"
)

# %% [markdown]
# With the best configuration in `best.yaml`, `glassformer train reverse --config best.yaml` trains it for
# good. Two cautions: the best of many trials looks better than it is, since it was chosen for a good day;
# and a search over short trainings prefers what learns fast, which is not always what ends best.
