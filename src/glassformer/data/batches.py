"""Batches of like length, padded on the right, with a state that survives a restart."""

import math
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch

from glassformer.data.batching import Position
from glassformer.data.encoded import Examples

SORTED_TOGETHER = 50
"""Batches whose examples are sorted by length together: enough to save padding, few enough to mix."""

JUDGED_TOKENS = 1 << 13
"""Tokens, padding included, in a batch that is only judged: it bounds the memory, whatever the lengths."""

WIDTHS_AN_OCTAVE = 8
"""Sequences of more than 64 tokens are padded to one of so many widths between each two powers of two.

Kernels are made for a shape: with a width of its own for every batch, oneDNN makes them anew in nearly every
step, and its store of them takes gigabytes. The padding is 3% on average, and never seen by attention.
"""


class TextBatches(Position):
    """Yields `{"ids": (batch tokens), "mask": (batch tokens) or None, "labels": (batch,)}`.

    mask: True is a real token, None where nothing is padded (a mask that masks nothing costs time).
    Shuffled batches have `batch_size` examples and a new order in each epoch. Without shuffling the longest
    come first (`order` tells which example stands where), and long examples in smaller batches. Shorter ones
    find the memory that longer ones left; the other way round no freed block is ever large enough, and the
    process grows by gigabytes.
    `token_dropout` leaves each entry of the vocabulary out of a batch with that probability, wherever it
    stands (Gal & Ghahramani 2016, section 4.2): what a text says again and again, such as the name of a film,
    cannot be learned by heart. The sequence gets shorter, so it is also cheaper.

    It is its own loader, since the rows are in memory maps and need no worker. A run that was stopped, also
    inside an epoch, goes on with the very next batch: see `position`.
    """

    def __init__(
        self,
        examples: Examples,
        batch_size: int,
        *,
        shuffle: bool = False,
        token_dropout: float = 0.0,
        seed: int = 0,
    ) -> None:
        super().__init__()
        self.examples = examples
        self.batch_size = batch_size
        self.shuffle = shuffle
        self.token_dropout = token_dropout
        self.seed = seed
        self.order = np.argsort(-examples.lengths, kind="stable")
        self.longest = int(examples.lengths.max(initial=1))
        self._by_length = [] if shuffle else self._sorted()

    def __len__(self) -> int:
        return math.ceil(len(self.examples) / self.batch_size) if self.shuffle else len(self._by_length)

    def __iter__(self) -> Iterator[dict[str, Any]]:
        return self._from_here(self._shuffled() if self.shuffle else self._by_length, self._batch)

    def _sorted(self) -> list[np.ndarray]:
        lengths = self.examples.lengths[self.order]
        batches, start = [], 0
        while start < len(lengths):
            end = min(start + self.batch_size, len(lengths))
            while end > start + 1 and (end - start) * lengths[start] > JUDGED_TOKENS:
                end = start + (end - start + 1) // 2
            batches.append(self.order[start:end])
            start = end
        return batches

    def _shuffled(self) -> list[np.ndarray]:
        generator = np.random.default_rng([self.seed, self.epoch])
        order = generator.permutation(len(self.examples))
        lengths = self.examples.lengths[order]
        together = self.batch_size * SORTED_TOGETHER
        for start in range(0, len(order), together):
            part = slice(start, start + together)
            order[part] = order[part][np.argsort(lengths[part], kind="stable")]
        batches = [order[i : i + self.batch_size] for i in range(0, len(order), self.batch_size)]
        return [batches[i] for i in generator.permutation(len(batches))]

    def _batch(self, chosen: np.ndarray, number: int) -> dict[str, Any]:
        encoded = self.examples.encoded
        rows = self.examples.rows[chosen]
        starts, lengths = encoded.offsets[rows], encoded.offsets[rows + 1] - encoded.offsets[rows]
        row = np.repeat(np.arange(len(rows)), lengths)
        column = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        source = np.repeat(starts, lengths) + column
        if self.shuffle and self.token_dropout:
            generator = np.random.default_rng([self.seed, self.epoch, number])
            ids = encoded.ids[source]
            kept = (generator.random(int(ids.max()) + 1) >= self.token_dropout)[ids]
            survivors = np.bincount(row[kept], minlength=len(rows))
            kept |= (column == 0) & (survivors == 0)[row]  # no example is ever left without a token
            row, source = row[kept], source[kept]
            lengths = np.bincount(row, minlength=len(rows))
            column = np.arange(len(row)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        width = min(round_width(int(lengths.max())), self.longest)
        ids = np.zeros((len(rows), width), dtype=np.int64)
        ids[row, column] = encoded.ids[source]
        full = (lengths == width).all()
        mask = None if full else torch.from_numpy(np.arange(width) < lengths[:, None])
        return {
            "ids": torch.from_numpy(ids),
            "mask": mask,
            "labels": torch.from_numpy(self.examples.labels[chosen]),
        }


def round_width(tokens: int) -> int:
    """The next of the widths that batches are padded to."""
    if tokens <= 64:
        return tokens
    step = 2 ** ((tokens - 1).bit_length() - 1) // WIDTHS_AN_OCTAVE
    return -(-tokens // step) * step
