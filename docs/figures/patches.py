"""An image becomes a sequence: cut into patches, read row by row, each with its place."""

from typing import Any

import torch
from matplotlib.figure import Figure
from sklearn.datasets import load_digits

from drawing import heat, panels
from glassformer.nn import PatchEmbedding, SinusoidalGridPositions, patchify, unpatchify
from glassformer.reports.page import ORANGE

PATCH, D_MODEL = 2, 32
HERE = 5


def draw() -> Figure:
    digits: Any = load_digits()
    image = torch.tensor(digits.images[3] / 16, dtype=torch.float32)[None, None]
    tokens = patchify(image, PATCH)
    embedding = PatchEmbedding(1, PATCH, D_MODEL)
    embedded = embedding(image)
    back = unpatchify(tokens, (8, 8), PATCH)
    print(f"image {tuple(image.shape)} -> patches {tuple(tokens.shape)} -> tokens {tuple(embedded.shape)}")
    print(f"cut and put together again, largest difference: {(back - image).abs().max():.0f}")
    kernel = embedding.projection.weight.view(D_MODEL, 1, PATCH, PATCH)
    native = torch.nn.functional.conv2d(image, kernel, embedding.projection.bias, stride=PATCH)
    difference = (native.flatten(2).transpose(1, 2) - embedded).abs().max()
    print(f"against a convolution with stride {PATCH}: {difference:.1e}")
    places = SinusoidalGridPositions(D_MODEL, 4, 4)(torch.zeros(1, 16, D_MODEL))[0]
    alike = (places @ places[HERE] / (places[HERE] @ places[HERE])).view(4, 4)
    figure, axes = panels(
        ["The image, 8 x 8 pixels", "Its 16 tokens, 4 pixels each", f"Places alike to patch {HERE}"],
        "An image read as a sequence of patches",
        f"A {digits.target[3]} of scikit-learn's digits. Orange lines cut it into 16 patches, numbered row "
        "by row; the middle shows the four pixels of each, before they are mapped to d_model features. "
        f"Right: the dot product of each patch's position with that of patch {HERE}, divided by its own.",
        height=2.1,
        gap=0.75,
    )
    heat(axes[0], image[0, 0], "column", "row", cmap="Greys", vmax=1.0)
    for line in (1.5, 3.5, 5.5):
        axes[0].axhline(line, color=ORANGE, lw=1)
        axes[0].axvline(line, color=ORANGE, lw=1)
    heat(axes[1], tokens[0], "pixel of the patch", "patch", cmap="Greys", vmax=1.0, aspect="auto",
         x_ticks=["0", "1", "2", "3"])  # fmt: skip
    heat(axes[2], alike, "column of patches", "row of patches", numbers=".2f", vmin=0.75, vmax=1.0,
         x_ticks=["0", "1", "2", "3"], y_ticks=["0", "1", "2", "3"])  # fmt: skip
    return figure
