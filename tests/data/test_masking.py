import numpy as np
import pytest
import torch
from tests.data.test_batches import rows_of

from glassformer.data.encoded import Encoded
from glassformer.data.masking import (
    FIRST_WORD,
    Asked,
    AskedBatches,
    MaskedBatches,
    Pieces,
    cut,
    leave_out,
    pieces,
)
from glassformer.data.pairs import NO_LABEL
from glassformer.data.tokenizer import MASK, PAD, UNK

VOCAB = 97


def encoded(lengths: list[int], seed: int = 0) -> Encoded:
    generator = np.random.default_rng(seed)
    ids = generator.integers(FIRST_WORD, VOCAB, sum(lengths)).astype(np.uint16)
    return Encoded(ids, np.cumsum([0, *lengths]), np.arange(len(lengths), dtype=np.uint64) + 100)


def words(rows: int = 400, tokens: int = 53, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(FIRST_WORD, VOCAB, (rows, tokens))


# --- which tokens are left out ----------------------------------------------------------------------------


def test_rates_are_those_of_the_paper() -> None:
    ids = words()
    read, labels = leave_out(ids, np.random.default_rng(1), VOCAB)
    chosen = labels != NO_LABEL
    assert (chosen.sum(1) == round(0.15 * 53)).all()  # of every text, not on average
    assert (labels[chosen] == ids[chosen]).all()
    assert (read[~chosen] == ids[~chosen]).all()
    masked, kept = read[chosen] == MASK, read[chosen] == ids[chosen]
    count = chosen.sum()
    # a word drawn at random is the true one once in 94 times
    for share, wanted in ((masked.mean(), 0.8), (kept.mean(), 0.1 + 0.1 / 94)):
        assert abs(share - wanted) < 4 * np.sqrt(wanted * (1 - wanted) / count)
    replaced = read[chosen][~masked & ~kept]
    assert replaced.min() >= FIRST_WORD
    assert set(replaced) > set(range(FIRST_WORD + 2, FIRST_WORD + 5))


def test_every_place_is_as_likely() -> None:
    _, labels = leave_out(words(6000, 17), np.random.default_rng(2), VOCAB)
    rate = (labels != NO_LABEL).mean(0)
    assert np.abs(rate - 3 / 17).max() < 0.025


def test_padding_unknown_and_mask_are_never_chosen() -> None:
    ids = words(60, 11)
    ids[:, 7:], ids[:, 2], ids[:, 4] = PAD, UNK, MASK
    read, labels = leave_out(ids, np.random.default_rng(3), VOCAB, share=0.9)
    assert (labels[:, [2, 4, 7, 8, 9, 10]] == NO_LABEL).all()
    assert (read[:, [2, 4, 7, 8, 9, 10]] == ids[:, [2, 4, 7, 8, 9, 10]]).all()
    assert ((labels != NO_LABEL).sum(1) == round(0.9 * 5)).all()


def test_a_short_text_loses_one_token_and_one_without_words_none() -> None:
    ids = np.array([[5, PAD, PAD], [5, 6, PAD], [UNK, MASK, PAD]])
    _, labels = leave_out(ids, np.random.default_rng(4), VOCAB)
    assert (labels != NO_LABEL).sum(1).tolist() == [1, 1, 0]


# --- pieces -----------------------------------------------------------------------------------------------


def test_long_texts_are_cut_evenly_and_nothing_is_lost() -> None:
    whole = encoded([5, 7, 15, 1, 29])
    found, text = cut(whole, 7)
    assert np.diff(found.offsets).tolist() == [5, 7, 5, 5, 5, 1, 5, 6, 6, 6, 6]
    assert text.tolist() == [0, 1, 2, 2, 2, 3, 4, 4, 4, 4, 4]
    assert (found.offsets[0], found.offsets[-1]) == (0, whole.offsets[-1])
    assert found.ids is whole.ids
    assert found.hashes.tolist() == (text + 100).tolist()


def test_pieces_are_of_the_rows_that_were_asked_for() -> None:
    first, second = encoded([5, 9, 3], 1), encoded([4, 8, 2, 6], 2)
    second.ids[12:14] = UNK  # the third text: not one known word
    found = pieces([(first, np.array([1])), (second, np.array([0, 2, 3]))], 5, VOCAB)
    seen = sorted(row for batch in AskedBatches(Asked(found.encoded, found.rows, found.labels), 4)
                  for row in rows_of(batch))  # fmt: skip
    texts = [first.ids[5:9], first.ids[9:14], second.ids[:4], second.ids[14:17], second.ids[17:]]
    assert seen == sorted(part.tolist() for part in texts)
    assert found.hashes.tolist() == [101, 101, 100, 103, 103]


# --- batches ----------------------------------------------------------------------------------------------


def masked_batches(seed: int = 0, shuffle: bool = True) -> MaskedBatches:
    lengths = np.random.default_rng(5).integers(2, 19, 43).tolist()
    return MaskedBatches(
        pieces([(encoded(lengths), np.arange(43))], 18, VOCAB), 6, shuffle=shuffle, seed=seed
    )


def equal(first: dict, second: dict) -> bool:
    return all(
        (first[name] is None and second[name] is None)
        or (first[name].shape == second[name].shape and torch.equal(first[name], second[name]))
        for name in ("ids", "mask", "labels", "places")
    )


def same(first: list[dict], second: list[dict]) -> bool:
    return len(first) == len(second) and all(map(equal, first, second))


def test_places_point_at_labels() -> None:
    for batch in masked_batches():
        there = batch["labels"].flatten() != NO_LABEL
        assert batch["places"].tolist() == there.nonzero()[:, 0].tolist()
        assert len(batch["places"]) >= len(batch["ids"])


def test_epochs_differ_and_a_seed_repeats_them() -> None:
    loader, again, other = masked_batches(), masked_batches(), masked_batches(seed=1)
    first, second = list(loader), list(loader)
    assert same(first, list(again))
    assert same(second, list(again))
    assert not any(map(equal, first, other))

    def chosen_by_text(batches: list[dict]) -> dict[tuple, tuple]:
        found = {}
        for batch in batches:
            labels = batch["labels"]
            for ids, label in zip(batch["ids"].tolist(), labels.tolist(), strict=True):
                text = tuple(t if new == NO_LABEL else new for t, new in zip(ids, label, strict=True) if t)
                found[text] = tuple(label[: len(text)])
        return found

    one, two = chosen_by_text(first), chosen_by_text(second)
    assert one.keys() == two.keys()
    assert sum(one[text] != two[text] for text in one) > 30


@pytest.mark.parametrize("after", [1, 5, 8, 11])
def test_a_stopped_iteration_goes_on_with_the_very_next_batch(after: int) -> None:
    whole = masked_batches()
    wanted = [batch for _ in range(2) for batch in whole]
    stopped = masked_batches()
    given = []
    while len(given) < after:
        for batch in stopped:
            given.append(batch)
            if len(given) == after:
                break
    resumed = masked_batches()
    resumed.go_to(stopped.position)
    given += list(resumed)
    assert len(given) in (8, 16)
    assert same(given, wanted[: len(given)])


def test_what_is_judged_never_changes() -> None:
    loader = masked_batches(shuffle=False)
    assert same(list(loader), list(loader))


def test_take_keeps_the_vocabulary() -> None:
    these = pieces([(encoded([3, 4, 5]), np.arange(3))], 5, VOCAB)
    some = these.take(np.array([2, 0]))
    assert isinstance(some, Pieces)
    assert (some.vocab, some.hashes.tolist()) == (VOCAB, [102, 100])


def test_asked_texts_stay_as_they_are() -> None:
    texts = encoded([4, 6])
    texts.ids[[1, 5, 8]] = MASK
    (batch,) = AskedBatches(Asked(texts, np.arange(2), np.zeros(2, dtype=int)), 4)
    assert rows_of(batch) == [texts.ids[4:].tolist(), texts.ids[:4].tolist()]  # the longest first
    assert batch["asked"].tolist() == [1, 4, 7]
