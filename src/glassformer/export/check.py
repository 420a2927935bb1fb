"""Is a graph the model? Both compute the same batches, of many sizes, padded and not."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from glassformer.errors import DataError
from glassformer.models.vision_transformer import VisionTransformer

TOLERANCE = 1e-4
"""Of a logit; of logits beyond 1, relative to the largest."""

SIZES = ((1, 1), (1, 5), (2, 2), (3, 64), (5, 7), (6, 23))
"""Batch and tokens of the made-up batches; one of the longest input comes to them."""

LONGEST = 2048
"""Tokens, at most, of that one: the scores of explicit attention grow with their square."""

IMAGES = (1, 2, 5)


@dataclass(frozen=True)
class Checked:
    """How a graph compared: the largest difference of a logit, over so many batches."""

    batches: int
    largest: float


def require_equal(model: nn.Module, graph: nn.Module, longest: int | None) -> Checked:
    """Compares the graph with the model that it was made from. longest: tokens of the longest text.

    Raises DataError for a difference above TOLERANCE, and for what is not a number.
    """
    model.eval()
    batches, largest = 0, 0.0
    for inputs in made_up_batches(model, longest):
        with torch.inference_mode():
            wanted, given = model(*inputs), graph(*inputs)
        allowed = TOLERANCE * max(1.0, float(wanted.abs().max()))
        difference = float((wanted - given).abs().max()) if wanted.shape == given.shape else float("nan")
        if not difference <= allowed:  # written so that NaN fails it
            size = " x ".join(map(str, inputs[0].shape))
            padded = ", padded" if inputs[1:] and inputs[1] is not None else ""
            raise DataError(
                f"the graph and the model differ by {difference:.2g} on a batch of {size}{padded}, more than "
                f"{allowed:.2g}; nothing was written. This is a defect of the export, please report it"
            )
        batches, largest = batches + 1, max(largest, difference)
    return Checked(batches, largest)


def made_up_batches(model: nn.Module, longest: int | None) -> Iterator[tuple[Any, ...]]:
    """What the model is called with: images, or ids with a mask, which is None where nothing is padded."""
    generator = torch.Generator().manual_seed(0)
    if isinstance(model, VisionTransformer):
        config = model.config
        for batch in IMAGES:
            size = (batch, config.channels, config.height, config.width)
            yield (torch.rand(size, generator=generator) * 2 - 1,)
        return
    assert longest is not None
    vocab: int = model.config.vocab  # pyrefly: ignore[bad-assignment, missing-attribute]
    for batch, tokens in (*SIZES, (2, min(longest, LONGEST))):
        tokens = min(tokens, longest)
        ids = torch.randint(vocab, (batch, tokens), generator=generator)
        yield ids, None
        lengths = torch.randint(1, tokens + 1, (batch, 1), generator=generator)
        mask = torch.arange(tokens) < lengths
        if not mask.all():
            yield ids, mask
