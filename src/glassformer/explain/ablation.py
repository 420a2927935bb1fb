"""Heads switched off: what accuracy loses without each of them."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from jaxtyping import Bool
from torch import Tensor, nn

from glassformer.explain.capture import AttentionPlace, attention_places, replaced_attention
from glassformer.models.encoder_decoder import EncoderDecoder
from glassformer.nn.attention import Attention
from glassformer.progress import with_progress
from glassformer.tasks.base import Task
from glassformer.tasks.classification import Classification
from glassformer.tasks.sequence_to_sequence import wholly_right

Z = 1.959963984540054
"""The 97.5% quantile of the normal distribution."""


@dataclass(frozen=True)
class Ablated:
    """A head, or with head=None all heads of a layer, switched off. Layers and heads count from 1.

    lost: accuracy with it minus accuracy without; interval: 95%, paired. fell, rose: answers that went from
    right to wrong and from wrong to right.
    """

    kind: str
    layer: int
    head: int | None
    lost: float
    interval: tuple[float, float]
    fell: int
    rose: int

    @property
    def name(self) -> str:
        """For people."""
        kind = "" if self.kind == "self-attention" else f"{self.kind}, "
        return f"{kind}layer {self.layer}, " + ("all heads" if self.head is None else f"head {self.head}")

    @property
    def counts(self) -> bool:
        """Whether its interval leaves 0 out."""
        return not self.interval[0] <= 0 <= self.interval[1]


def ablate_heads(
    task: Task, model: nn.Module, batches: Sequence[dict[str, Any]]
) -> tuple[float, list[Ablated]]:
    """The accuracy on these batches, and what it loses without each head, and without all of a layer.

    A head that is off gives zeros to the output projection (Michel et al. 2019, 'Are Sixteen Heads Really
    Better than One?', section 3, with their mask variable at 0). The model is unchanged afterwards. Where
    heads do the same, each may be spared while all together may not.
    """
    whole = right_answers(task, model, batches)
    cases = [
        (place, head)
        for place in attention_places(model)
        for head in ([*range(place.heads), None] if place.heads > 1 else [0])
    ]
    found = []
    for place, head in with_progress(cases, lambda case: 1, len(cases), "switching heads off"):
        with switched_off(place, head):
            without = right_answers(task, model, batches)
        lost, low, high = paired_difference(whole, without)
        fell, rose = int((whole & ~without).sum()), int((without & ~whole).sum())
        number = None if head is None else head + 1
        found.append(Ablated(place.kind, place.layer, number, lost, (low, high), fell, rose))
    return float(whole.mean()), found


@contextmanager
def switched_off(place: AttentionPlace, head: int | None) -> Iterator[None]:
    """Within it, this head (counted from 0; None: every head) of an attention gives zeros."""
    own = place.module.attention

    def silenced(
        q: Tensor, k: Tensor, v: Tensor, mask: Any = None, bias: Any = None, *, return_weights: bool = False
    ) -> Tensor | tuple[Tensor, Tensor]:
        result = own(q, k, v, mask, bias, return_weights=return_weights)
        y, weights = result if isinstance(result, tuple) else (result, None)
        y = y.clone()
        y[:, slice(None) if head is None else head] = 0
        return y if weights is None else (y, weights)

    function: Attention = silenced
    with replaced_attention({place.module: function}):
        yield


@torch.inference_mode()
def right_answers(
    task: Task, model: nn.Module, batches: Sequence[dict[str, Any]]
) -> Bool[np.ndarray, " examples"]:
    """Whether the model answers each example right; of a sequence, every token, as `Task.loss` counts."""
    if isinstance(model, EncoderDecoder):
        found = [
            wholly_right(model(batch["source"], batch["target"], batch["source_mask"]), batch["labels"])
            for batch in batches
        ]
    else:
        assert isinstance(task, Classification)
        found = [task.logits(model, batch).argmax(1) == batch["labels"] for batch in batches]
    return torch.cat(found).cpu().numpy()


def paired_difference(
    first: Bool[np.ndarray, " examples"], second: Bool[np.ndarray, " examples"]
) -> tuple[float, float, float]:
    """(difference, low, high) of two shares of right answers to the same examples, first minus second, 95%.

    With b the examples that the first alone has right, c those that the second has, of n:
    (b* - c*) / n* ± 1.96 sqrt(b* + c* - (b* - c*)² / n*) / n*, where b* = b + 1/2, c* = c + 1/2, n* = n + 2.
    The difference itself is (b - c) / n.

    Source: Agresti & Min 2005, 'Simple improved confidence intervals for comparing matched proportions',
    section 3: unlike Wald's it does not collapse where no example changes sides.
    """
    n = len(first)
    b, c = int((first & ~second).sum()), int((second & ~first).sum())
    middle = (b - c) / (n + 2)
    spread = Z * np.sqrt(b + c + 1 - (b - c) ** 2 / (n + 2)) / (n + 2)
    return (b - c) / n, float(max(-1.0, middle - spread)), float(min(1.0, middle + spread))
