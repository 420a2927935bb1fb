from typing import Any

import numpy as np
import pytest
import torch

from glassformer.data import pairs as pairs_module
from glassformer.data.pairs import NO_LABEL, PairBatches, Pairs, padded, with_labels
from glassformer.data.tokenizer import END, PAD, START, UNK, sequence_tokenizer
from glassformer.evaluation import sequence_report


def made(count: int = 13, seed: int = 0) -> Pairs:
    """Source i holds 100 + i, its target 200 + i, each as often as it is long."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, [[6], [8]], size=(2, count))
    return Pairs(
        padded([[100 + i] * n for i, n in enumerate(lengths[0])]),
        padded([[200 + i] * n for i, n in enumerate(lengths[1])]),
        np.arange(count, dtype=np.uint64),
    )


def rows_of(batch: dict[str, Any]) -> list[tuple[list[int], list[int], list[int]]]:
    """(source, decoder input, labels) without padding."""
    mask = batch["source_mask"]
    found = []
    for i, labels in enumerate(batch["labels"]):
        source = batch["source"][i] if mask is None else batch["source"][i][mask[i]]
        count = int((labels != NO_LABEL).sum())
        found.append((source.tolist(), batch["target"][i, :count].tolist(), labels[:count].tolist()))
    return found


@pytest.mark.parametrize("shuffle", [True, False])
def test_every_pair_once_shifted_by_one(shuffle: bool) -> None:
    these = made()
    loader = PairBatches(these, 4, shuffle=shuffle)
    batches = list(loader)
    assert len(batches) == len(loader)
    seen = {row[0][0]: row for batch in batches for row in rows_of(batch)}
    assert len(seen) == len(these)
    for source, target in zip(these.sources, these.targets, strict=True):
        source, target = source[source != PAD].tolist(), target[target != PAD].tolist()
        assert seen[source[0]] == (source, [START, *target], [*target, END])


def test_batches_are_no_wider_than_needed() -> None:
    for batch in PairBatches(made(), 3, shuffle=True):
        mask = batch["source_mask"]
        assert mask is None or bool(mask.any(0).all())
        assert bool((batch["labels"] != NO_LABEL).any(0).all())
        assert (batch["source"] == PAD).any() == (mask is not None)
        assert bool((batch["target"][batch["labels"] == NO_LABEL] == PAD).all())


def test_judged_batches_are_bounded_and_tell_their_order(monkeypatch: pytest.MonkeyPatch) -> None:
    these = made()
    monkeypatch.setattr(
        pairs_module, "JUDGED_TOKENS", 5 * (these.sources.shape[1] + these.targets.shape[1] + 1)
    )
    loader = PairBatches(these, 1)
    rows = [row[0][0] for batch in loader for row in rows_of(batch)]
    assert rows == [100 + i for i in loader.order]
    assert [len(batch["labels"]) for batch in loader] == [5, 5, 3]
    lengths = [(these.sources[i] != PAD).sum() for i in loader.order]
    assert lengths == sorted(lengths, reverse=True)


def test_epochs_differ_and_repeat_by_the_seed() -> None:
    def epochs(seed: int) -> list[Any]:
        loader = PairBatches(made(), 4, shuffle=True, seed=seed)
        return [[rows_of(batch) for batch in loader] for _ in range(2)]

    first, second = epochs(1)
    assert first != second
    assert epochs(1) == [first, second]
    assert epochs(2) != [first, second]


def test_a_stopped_loader_goes_on_with_the_next_batch() -> None:
    whole = [rows_of(batch) for batch in PairBatches(made(), 4, shuffle=True)]
    stopped = PairBatches(made(), 4, shuffle=True)
    first = [rows_of(batch) for batch, _ in zip(stopped, range(2), strict=False)]
    resumed = PairBatches(made(), 4, shuffle=True)
    resumed.go_to({"epoch": 0, "given": 2})
    assert first + [rows_of(batch) for batch in resumed] == whole


def test_answers_are_compared_up_to_the_end() -> None:
    targets = padded([[7, 8, 9], [7], [5, 6], [5, 6], [7, 8]])
    answers = np.array(
        [
            [7, 8, 9, END],  # right
            [7, END, END, END],  # right
            [5, 6, 6, END],  # one token too many
            [5, END, END, END],  # one too few
            [7, 8, PAD, PAD],  # right, filled with padding
        ]
    )
    wide, labels = with_labels(answers, targets)
    report = sequence_report(wide, labels)
    assert report["accuracy"] == 3 / 5
    assert report["count"] == 5
    # 4 + 2 + 3 + 3 + 3 labels; wrong: the end of the third, '6' and nothing else of the fourth
    assert report["token_accuracy"] == pytest.approx(13 / 15)
    low, high = report["accuracy_ci95"]
    assert low < 3 / 5 < high


def test_a_right_answer_that_does_not_end_is_wrong() -> None:
    answers = np.array([[7, 8, 8], [7, 8, END]])
    assert sequence_report(*with_labels(answers, padded([[7, 8], [7, 8]])))["accuracy"] == 0.5


def test_padding_within_an_answer_is_no_end_and_an_unknown_token_is_never_right() -> None:
    targets = padded([[7], [7], [UNK, 8]])
    answers = np.array([[7, PAD, 9, END], [7, PAD, END, PAD], [UNK, 8, END, END]])
    wide, labels = with_labels(answers, targets)
    assert ((wide == labels) | (labels < 0)).all(1).tolist() == [False, True, False]


@pytest.mark.parametrize(
    ("answers", "labels", "line"),
    [
        (np.zeros((2, 3)), np.zeros((2, 4)), "one shape"),
        (np.zeros((0, 3)), np.zeros((0, 3)), "one shape"),
        (np.zeros((2, 3)), np.full((2, 3), -100), "no label that counts"),
    ],
)
def test_reports_refuse_what_cannot_be_compared(answers, labels, line) -> None:
    with pytest.raises(ValueError, match=line):
        sequence_report(answers, labels)


@pytest.mark.parametrize("symbols", [["a", "a"], ["a", "[END]"]])
def test_symbols_without_a_number_of_their_own_are_refused(symbols: list[str]) -> None:
    with pytest.raises(ValueError, match="a number of its own"):
        sequence_tokenizer(symbols, characters=False)


def test_symbols_are_numbered_behind_the_special_ones() -> None:
    letters, words = (
        sequence_tokenizer(["b", "a", " "], characters=True),
        sequence_tokenizer(["no", "yes"], characters=False),
    )
    assert letters.encode("a b?").ids == [5, 6, 4, UNK]
    assert words.encode("yes no  maybe").ids == [5, 4, UNK]
    assert torch.tensor(letters.encode("ab").ids).min() > END
