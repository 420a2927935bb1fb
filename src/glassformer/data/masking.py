"""Texts with tokens left out: cut into pieces, masked anew in every epoch, batched."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from glassformer.data.batches import TextBatches
from glassformer.data.encoded import Encoded, Examples
from glassformer.data.pairs import NO_LABEL
from glassformer.data.tokenizer import MASK

CHOSEN, MASKED, REPLACED = 0.15, 0.8, 0.1
"""Share of a text's tokens that are to be guessed; of these, shares that become [MASK] and a random token."""
FIRST_WORD = MASK + 1
"""The lowest number of a token that says something: padding, unknown and [MASK] stand before it."""
_JUDGED = 2**31
"""In the place of an epoch: what is judged is masked in the same way in every epoch."""


@dataclass(frozen=True)
class Pieces(Examples):
    """Pieces of texts, of which tokens are to be left out. vocab: size of the vocabulary."""

    vocab: int

    def take(self, rows: np.ndarray) -> "Pieces":
        """These pieces, in this order."""
        return Pieces(self.encoded, self.rows[rows], self.labels[rows], self.vocab)


@dataclass(frozen=True)
class Asked(Examples):
    """Texts in which somebody left tokens out."""

    def take(self, rows: np.ndarray) -> "Asked":
        """These texts, in this order."""
        return Asked(self.encoded, self.rows[rows], self.labels[rows])


def cut(encoded: Encoded, max_tokens: int) -> tuple[Encoded, np.ndarray]:
    """Every text in as few pieces of at most `max_tokens` as there can be, equally long up to one token.

    Returns the pieces, without a copy of the tokens, and (pieces,) the row of the text that each is of. Equal
    lengths, since a short rest would make a batch of few tokens that counts like a whole one.
    """
    lengths = np.diff(encoded.offsets)
    parts = -(-lengths // max_tokens)
    text = np.repeat(np.arange(len(lengths)), parts)
    number = np.arange(len(text)) - np.repeat(np.cumsum(parts) - parts, parts)
    starts = encoded.offsets[text] + number * lengths[text] // parts[text]
    offsets = np.append(starts, encoded.offsets[-1])
    return Encoded(encoded.ids, offsets, encoded.hashes[text]), text


def pieces(parts: Sequence[tuple[Encoded, np.ndarray]], max_tokens: int, vocab: int) -> Pieces:
    """The pieces of some texts of several files; those without a single known word are left out.

    parts: the texts of a file, and which of its rows are meant.
    """
    ids, offsets, hashes, rows, before, pieces_before = [], [np.zeros(1, np.int64)], [], [], 0, 0
    for encoded, of_file in parts:
        cut_up, text = cut(encoded, max_tokens)
        known = np.add.reduceat(cut_up.ids >= FIRST_WORD, cut_up.offsets[:-1], dtype=np.int64)
        wanted = np.zeros(len(encoded), dtype=bool)
        wanted[of_file] = True
        rows.append(np.flatnonzero(wanted[text] & (known > 0)) + pieces_before)
        ids.append(cut_up.ids)
        offsets.append(cut_up.offsets[1:] + before)
        hashes.append(cut_up.hashes)
        before, pieces_before = before + len(cut_up.ids), pieces_before + len(cut_up)
    joined = ids[0] if len(ids) == 1 else np.concatenate(ids)  # one file stays a memory map
    all_rows = np.concatenate(rows)
    encoded = Encoded(joined, np.concatenate(offsets), np.concatenate(hashes))
    return Pieces(encoded, all_rows, np.zeros(len(all_rows), dtype=np.int64), vocab)


def leave_out(
    ids: np.ndarray, generator: np.random.Generator, vocab: int, share: float = CHOSEN
) -> tuple[np.ndarray, np.ndarray]:
    """Chooses `share` of the words of each row, at least one; returns what is read, and what to guess.

    ids: (batch tokens). Read: (batch tokens), of the chosen ones 80% [MASK], 10% a random word and 10% as
    they were. To guess: (batch tokens), the true token of each chosen one, NO_LABEL elsewhere. Padding,
    unknown tokens and [MASK] are never chosen.

    Source: Devlin et al. 2019, section 3.1, and the appendix A.1; their code too takes 15% of each text, and
    not each token with a probability of 0.15.
    """
    words = ids >= FIRST_WORD
    number = words.sum(1)
    wanted = np.where(number, np.maximum(1, np.rint(share * number)), 0)
    ticket = np.where(words, generator.random(ids.shape), 2.0)
    rank = ticket.argsort(axis=1).argsort(axis=1)
    chosen = rank < wanted[:, None]
    fate = generator.random(ids.shape)
    random_words = generator.integers(FIRST_WORD, vocab, ids.shape)
    read = np.where(chosen & (fate < MASKED), MASK, ids)
    read = np.where(chosen & (fate >= MASKED) & (fate < MASKED + REPLACED), random_words, read)
    return read, np.where(chosen, ids, NO_LABEL)


class MaskedBatches(TextBatches):
    """Yields `{"ids", "mask", "labels", "places"}` of texts with tokens left out.

    ids, mask: as `TextBatches` has them. labels: (batch tokens), the true token where one is to be guessed,
    NO_LABEL elsewhere. places: (chosen,) where that is, counted through the batch.

    In training what is left out is drawn from the seed, the epoch and the number of the batch: new in every
    epoch, and the same in a run that was stopped and goes on. What is judged never changes.
    """

    def __init__(
        self,
        examples: Pieces,
        batch_size: int,
        *,
        share: float = CHOSEN,
        shuffle: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__(examples, batch_size, shuffle=shuffle, seed=seed)
        self.vocab = examples.vocab
        self.share = share

    def _batch(self, chosen: np.ndarray, number: int) -> dict[str, Any]:
        batch = super()._batch(chosen, number)
        generator = np.random.default_rng([self.seed, self.epoch if self.shuffle else _JUDGED, number, 1])
        ids, labels = leave_out(batch["ids"].numpy(), generator, self.vocab, self.share)
        places = np.flatnonzero(labels.ravel() != NO_LABEL)
        return batch | {
            "ids": torch.from_numpy(ids),
            "labels": torch.from_numpy(labels),
            "places": torch.from_numpy(places),
        }


class AskedBatches(TextBatches):
    """Yields `{"ids", "mask", "labels", "asked"}`; asked: places of [MASK], counted through the batch."""

    def _batch(self, chosen: np.ndarray, number: int) -> dict[str, Any]:
        batch = super()._batch(chosen, number)
        return batch | {"asked": torch.from_numpy(np.flatnonzero(batch["ids"].numpy().ravel() == MASK))}
