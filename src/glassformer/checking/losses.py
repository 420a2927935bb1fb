"""Judges the cross-entropy of the next token: the checker's own one, every step replaceable, and mistakes.

    L = - mean over real targets of log softmax(logits_t)[token_{t+1}]

The logits at position t predict the token at t + 1; targets that are padding do not count.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.feeding import Probe, Way, feed
from glassformer.checking.parts import Mistake, PartJudge, Reading, mistake

BATCH, TOKENS, VOCABULARY = 4, 7, 11
LENGTHS = (5, 4, 7, 3)
ALIGNED = ("target", "targets", "tgt", "trg", "y", "gold", "y_true", "tgt_out", "tgt_y", "truth", "label")
"""Names of what is shifted already, where no words say that the function does it."""


@dataclass(frozen=True)
class Loss:
    """shift: of logits and ids. counted: which targets are. reduce: the losses, given what counts."""

    shift: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] = lambda logits, ids: (
        logits[:, :-1],
        ids[:, 1:],
    )
    counted: Callable[[Tensor, int], Tensor] = lambda targets, pad: targets != pad
    reduce: Callable[[Tensor, Tensor], Tensor] = lambda losses, counts: losses[counts].mean()
    first: Callable[[Tensor], Tensor] = lambda logits: logits

    def __call__(self, logits: Tensor, ids: Tensor, pad: int) -> Tensor:
        predictions, targets = self.shift(logits, ids)
        log_p = torch.log_softmax(self.first(predictions), -1)
        counts = self.counted(targets, pad)
        losses = -log_p.gather(-1, targets.clamp(min=0)[..., None])[..., 0]
        return self.reduce(losses, counts)


def _unshifted(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    return logits, ids


def _twice(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    return logits[:, :-2], ids[:, 2:]


def _backwards(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    return logits[:, 1:], ids[:, :-1]


def _cut(logits: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    return logits[:, :-1], ids[:, :-1]


def _every(targets: Tensor, pad: int) -> Tensor:
    return torch.ones_like(targets, dtype=torch.bool)


def _over_all(losses: Tensor, counts: Tensor) -> Tensor:
    return (losses * counts).mean()


def _by_row(losses: Tensor, counts: Tensor) -> Tensor:
    return ((losses * counts).sum(1) / counts.sum(1)).mean()


MISTAKES: tuple[Mistake, ...] = (
    mistake("target-not-shifted", shift=_unshifted),
    mistake("target-not-shifted", shift=_cut),
    mistake("target-shifted-twice", shift=_twice),
    mistake("target-shifted-backwards", shift=_backwards),
    mistake("loss-counts-padding", counted=_every),
    mistake("loss-counts-padding", reduce=_over_all),
    mistake("loss-not-averaged", reduce=lambda losses, counts: losses[counts].sum()),
    mistake("loss-not-averaged", reduce=lambda losses, counts: (losses * counts).sum() / len(losses)),
    mistake("loss-averaged-by-row", reduce=_by_row),
    mistake("softmax-before-loss", first=lambda logits: torch.softmax(logits, -1)),
    mistake("softmax-before-loss", first=lambda logits: torch.log_softmax(-logits, -1)),
)


class CrossEntropyJudge(PartJudge):
    """Takes logits (batch, tokens, vocabulary) and ids (batch, tokens), and the padding if need be."""

    constructor = (
        feed("pad", r".*pad.*|ignore_?index"),
        feed("vocabulary", r"(n_|num_)?(vocab|vocab_size|classes)|c|v|n_vocab"),
    )
    feeds = (
        feed("logits", r".*logits?|pred(s|ictions?)?|outputs?|scores|y_?pred|y_hat|x|input"),
        feed("ids", r"ids|tokens?|labels?|targets?|input_ids|tgt\w*|trg|y|y_true|gold|seq|truth|token_ids"),
        feed("pad", r".*pad.*|ignore_?index"),
        feed("vocabulary", r"(n_|num_)?(vocab|vocab_size|classes)|n_vocab"),
    )
    bank = MISTAKES
    conventions = frozenset({"loss-averaged-by-row"})

    def sizes(self) -> dict[str, Any]:
        return {"pad": self.pad, "vocabulary": VOCABULARY}

    @property
    def defaults(self) -> list[int]:
        """The padding that the signature names."""
        return [
            each.default
            for each in (*self.offer.arguments, *self.offer.forward)
            if re.fullmatch(r".*pad.*|ignore_?index", each.name.lower()) and type(each.default) is int
        ]

    @property
    def pad(self) -> int:
        """The id of the padding: by the signature, or as it is written in the code."""
        written = re.search(r"ignore_index\s*=\s*(-?\d+)|!=\s*(-?\d+)", self.code.text)
        if self.defaults:
            return self.defaults[0]
        return int(written[1] or written[2]) if written else 0

    def probes(self, way: Way) -> dict[str, Probe]:
        draw = np.random.default_rng(self.seed + 6)

        def of(lengths: Sequence[int], tokens: int) -> Probe:
            real = np.arange(tokens) < np.array(lengths)[:, None]
            ordinary = draw.integers(1, VOCABULARY, real.shape)
            ordinary = np.where(ordinary == self.pad, 2 if self.pad == 1 else 1, ordinary)
            logits = 2 * draw.standard_normal((*real.shape, VOCABULARY))
            ids = np.where(real, ordinary, self.pad)
            return {"logits": logits, "ids": ids, "pad": self.pad, "vocabulary": VOCABULARY}

        return {
            "padded rows": of(LENGTHS, TOKENS),
            "no padding": of((TOKENS,) * BATCH, TOKENS),
            "one row": of((TOKENS,), TOKENS),
        }

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return output.size == 1 and output.dtype.kind == "f"

    def readings(self, way: Way) -> Sequence[Reading]:
        words = self.code.words.lower()
        argument = (way.takes_a("ids") or "").lower().strip("_")
        speaks = re.search(r"next|shift|predicts?\b|t ?\+ ?1|n ?\+ ?1|following|< ?n", words)
        aligned = not speaks and argument in ALIGNED
        pads = bool(self.defaults) or way.takes_a("pad") or "pad" in words or "ignore" in self.code.text
        found = []
        for within in (True, False) if not aligned else (False, True):
            for ignores in (True, False):
                steps = Loss() if within else replace(Loss(), shift=_unshifted)
                steps = steps if ignores else replace(steps, counted=_every)
                if (not within and not aligned) or (not ignores and pads):
                    continue
                shifted = "within" if within else "by the caller"
                pad = self.pad if ignores else None
                found.append(Reading(way, steps, _number, found={"targets shifted": shifted, "pad_id": pad}))
        return found

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        return steps(torch.as_tensor(probe["logits"]), torch.as_tensor(probe["ids"]), self.pad)


def _number(output: np.ndarray, probe: Probe) -> np.ndarray:
    return output.reshape(())
