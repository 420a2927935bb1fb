"""Pairs of sequences, source and target, as token numbers, and batches of them."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from glassformer.data.batching import Position
from glassformer.data.tokenizer import END, PAD, START, UNK

NO_LABEL = -100
"""A label that counts for nothing, as torch's cross-entropy has it."""

JUDGED_TOKENS = 1 << 16
"""Source and target tokens, padding included, in a batch that is only judged: it bounds the memory."""


@dataclass(frozen=True)
class Pairs:
    """Some pairs of a split.

    sources: (examples sources), targets: (examples targets) token numbers, [PAD] behind the end of a row.
    hashes: (examples,) of the sources.
    """

    sources: np.ndarray
    targets: np.ndarray
    hashes: np.ndarray

    def __len__(self) -> int:
        return len(self.sources)

    def take(self, rows: np.ndarray) -> "Pairs":
        """These rows, in this order."""
        return Pairs(self.sources[rows], self.targets[rows], self.hashes[rows])

    def labels(self) -> np.ndarray:
        """(examples targets + 1) the targets with [END] behind, and NO_LABEL behind that."""
        lengths = (self.targets != PAD).sum(1)
        labels = np.full((len(self), self.targets.shape[1] + 1), NO_LABEL, dtype=np.int64)
        labels[:, :-1][self.targets != PAD] = self.targets[self.targets != PAD]
        labels[np.arange(len(self)), lengths] = END
        return labels


def padded(rows: Sequence[Sequence[int]]) -> np.ndarray:
    """(rows, longest) with [PAD] behind each row; at least one column."""
    result = np.full((len(rows), max((len(row) for row in rows), default=1) or 1), PAD, dtype=np.int32)
    for i, row in enumerate(rows):
        result[i, : len(row)] = row
    return result


class PairBatches(Position):
    """Yields `{"source", "source_mask", "target", "labels"}`, each (batch, tokens) and as wide as needed.

    source_mask: True at real tokens, None where nothing is padded. target begins with [START] and lacks the
    last token; labels are what follows each of its tokens, NO_LABEL where nothing does. Shuffled batches come
    in a new order in each epoch; otherwise the longest sources come first, in larger batches (`order` tells
    which example stands where). A run that was stopped goes on with the very next batch: see `position`.
    """

    def __init__(self, examples: Pairs, batch_size: int, *, shuffle: bool = False, seed: int = 0) -> None:
        super().__init__()
        self.examples = examples
        self.shuffle = shuffle
        self.seed = seed
        width = examples.sources.shape[1] + examples.targets.shape[1] + 1
        self.batch_size = batch_size if shuffle else max(1, JUDGED_TOKENS // width)
        self.order = np.argsort(-(examples.sources != PAD).sum(1), kind="stable")

    def __len__(self) -> int:
        return math.ceil(len(self.examples) / self.batch_size)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        order = self.order
        if self.shuffle:
            order = np.random.default_rng([self.seed, self.epoch]).permutation(len(order))
        size = self.batch_size
        return self._from_here([order[i : i + size] for i in range(0, len(order), size)], self._batch)

    def _batch(self, chosen: np.ndarray, number: int) -> dict[str, Any]:
        pairs = self.examples.take(chosen)
        real = pairs.sources != PAD
        width = int(real.sum(1).max())
        labels = pairs.labels()
        labels = labels[:, : int((labels != NO_LABEL).sum(1).max())]
        target = np.full_like(labels, PAD)
        target[:, 0] = START
        target[:, 1:] = pairs.targets[:, : labels.shape[1] - 1]
        return {
            "source": torch.from_numpy(pairs.sources[:, :width].astype(np.int64)),
            "source_mask": None if real[:, :width].all() else torch.from_numpy(real[:, :width]),
            "target": torch.from_numpy(target),
            "labels": torch.from_numpy(labels),
        }


def with_labels(answers: np.ndarray, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Answers and labels of one width, for `glassformer.evaluation.sequence_report`.

    answers: (examples tokens), with nothing but [PAD] and [END] behind the end. targets: as in `Pairs`. An
    unknown token in an answer is never right: nobody knows which one it stands for.
    """
    labels = Pairs(targets, targets, targets[:, 0]).labels()
    width = max(answers.shape[1] + 1, labels.shape[1])
    wide = np.full((len(answers), width), END, dtype=np.int64)
    wide[:, : answers.shape[1]] = answers
    over = np.logical_and.accumulate(np.isin(wide, (PAD, END))[:, ::-1], axis=1)[:, ::-1]
    wide[over] = END
    wide[wide == UNK] = PAD
    wanted = np.full((len(labels), width), NO_LABEL, dtype=np.int64)
    wanted[:, : labels.shape[1]] = labels
    return wide, wanted
