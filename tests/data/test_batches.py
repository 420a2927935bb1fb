from typing import Any

import numpy as np
import pytest

from glassformer.data import batches as batches_module
from glassformer.data.batches import TextBatches, round_width
from glassformer.data.encoded import Encoded, Examples


def examples(count: int = 23, longest: int = 11, seed: int = 0) -> Examples:
    """Row i holds tokens that tell its number: 100 i + 1, 100 i + 2, ..."""
    generator = np.random.default_rng(seed)
    lengths = generator.integers(1, longest + 1, size=count)
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    ids = np.concatenate([100 * i + 1 + np.arange(n) for i, n in enumerate(lengths)]).astype(np.uint16)
    rows = generator.permutation(count)[: count - 3]
    return Examples(Encoded(ids, offsets, np.arange(count, dtype=np.uint64)), rows, rows % 2)


def rows_of(batch: dict[str, Any]) -> list[list[int]]:
    mask = batch["mask"]
    return [row.tolist() if mask is None else row[mask[i]].tolist() for i, row in enumerate(batch["ids"])]


def all_rows(loader: TextBatches) -> list[list[int]]:
    return [row for batch in loader for row in rows_of(batch)]


def expected(these: Examples) -> list[list[int]]:
    encoded = these.encoded
    return [encoded.ids[encoded.offsets[r] : encoded.offsets[r + 1]].tolist() for r in these.rows]


@pytest.mark.parametrize("shuffle", [False, True])
def test_every_example_once_with_its_label(shuffle: bool) -> None:
    these = examples()
    loader = TextBatches(these, 4, shuffle=shuffle)
    seen = list(loader)
    assert len(seen) == len(loader) == 5
    assert sorted(row for batch in seen for row in rows_of(batch)) == sorted(expected(these))
    for batch in seen:
        for row, label in zip(rows_of(batch), batch["labels"].tolist(), strict=True):
            assert row[0] // 100 % 2 == label


def test_padding_is_zero_behind_the_tokens() -> None:
    for batch in TextBatches(examples(), 4, shuffle=True):
        if batch["mask"] is not None:
            assert (batch["ids"][~batch["mask"]] == 0).all()
            assert (batch["ids"][batch["mask"]] > 0).all()
            assert (batch["mask"][:, :-1] >= batch["mask"][:, 1:]).all()


def test_no_mask_where_nothing_is_padded() -> None:
    these = examples(longest=1)
    assert all(batch["mask"] is None for batch in TextBatches(these, 4))


def test_order_tells_which_example_is_where() -> None:
    these = examples()
    loader = TextBatches(these, 4)
    assert all_rows(loader) == [expected(these)[i] for i in loader.order]
    assert (np.diff(these.lengths[loader.order]) <= 0).all()  # so that freed memory fits what comes next


def test_long_examples_come_in_smaller_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batches_module, "JUDGED_TOKENS", 16)
    these = examples()
    loader = TextBatches(these, 8)
    seen = list(loader)
    assert len(seen) == len(loader)
    assert all(batch["ids"].numel() <= 16 for batch in seen)
    assert sorted(row for batch in seen for row in rows_of(batch)) == sorted(expected(these))


def test_epochs_differ_and_seeds_repeat() -> None:
    one, same = (
        TextBatches(examples(), 4, shuffle=True, seed=1),
        TextBatches(examples(), 4, shuffle=True, seed=1),
    )
    first, second = all_rows(one), all_rows(one)
    assert first != second
    assert [all_rows(same), all_rows(same)] == [first, second]
    assert all_rows(TextBatches(examples(), 4, shuffle=True, seed=2)) != first


@pytest.mark.parametrize("given", [0, 1, 3, 5, 7])
def test_a_restart_goes_on_with_the_very_next_batch(given: int) -> None:
    def loader() -> TextBatches:
        return TextBatches(examples(), 4, shuffle=True, token_dropout=0.3, seed=1)

    def stream(source: TextBatches, epochs: int) -> list[list[list[int]]]:
        return [rows_of(batch) for _ in range(epochs) for batch in source]

    whole = stream(loader(), 2)
    stopped = loader()
    seen = []
    for _ in range(2):
        for batch in stopped:
            seen.append(rows_of(batch))
            if len(seen) == given:
                break
        if len(seen) == given:
            break
    if given == 0:
        stopped, seen = loader(), []
    goes_on = loader()
    goes_on.go_to(stopped.position)
    rest = stream(goes_on, 2 - stopped.epoch)
    assert seen + rest == whole


def test_token_dropout_shortens_and_never_empties() -> None:
    these = examples(count=203, longest=9)
    loader = TextBatches(these, 16, shuffle=True, token_dropout=0.9)
    rows = all_rows(loader)
    assert len(rows) == len(these)
    assert all(rows)
    assert sum(map(len, rows)) < 0.5 * these.lengths.sum()
    kept = {row[0] // 100: row for row in rows}
    for row in expected(these):
        assert [token for token in row if token in kept[row[0] // 100]] == kept[row[0] // 100]


def test_token_dropout_leaves_an_entry_out_wherever_it_stands() -> None:
    generator = np.random.default_rng(0)
    ids = generator.integers(0, 20, size=(12, 60)).astype(np.uint16)
    these = Examples(
        Encoded(ids.reshape(-1), np.arange(13) * 60, np.arange(12, dtype=np.uint64)),
        np.arange(12),
        np.arange(12),
    )
    left_out = []
    for batch in TextBatches(these, 6, shuffle=True, token_dropout=0.5):
        rows = rows_of(batch)
        entries = {token for row in rows for token in row}
        left_out.append(set(range(20)) - entries)
        for row, label in zip(rows, batch["labels"].tolist(), strict=True):
            assert row == [token for token in ids[label].tolist() if token in entries]
    assert all(5 <= len(entries) <= 15 for entries in left_out)
    assert left_out[0] != left_out[1]


def test_token_dropout_leaves_judging_alone() -> None:
    these = examples()
    assert sorted(all_rows(TextBatches(these, 4, token_dropout=0.9))) == sorted(expected(these))


def test_widths_are_few_and_pad_little() -> None:
    widths = [round_width(tokens) for tokens in range(1, 5000)]
    for tokens, width in enumerate(widths, start=1):
        assert tokens <= width <= max(tokens, 1.125 * tokens)
    assert widths[:64] == list(range(1, 65))
    assert len({width for width in widths if 512 < width <= 1024}) == 8
    assert sorted(widths) == widths


def test_padding_never_goes_beyond_the_longest_example() -> None:
    """A model has positions for max_tokens, to which texts were cut, and for no more."""
    lengths = [70, 131, 133]
    offsets = np.concatenate([[0], np.cumsum(lengths)])
    encoded = Encoded(np.ones(sum(lengths), dtype=np.uint16), offsets, np.arange(3, dtype=np.uint64))
    loader = TextBatches(Examples(encoded, np.arange(3), np.zeros(3, dtype=np.int64)), 1)
    assert [batch["ids"].shape[1] for batch in loader] == [133, 133, 72]
    for batch in loader:
        assert batch["mask"] is None or int(batch["mask"].sum()) in lengths
