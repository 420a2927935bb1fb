import numpy as np
import pytest

from glassformer.data.splits import (
    FEW_EXAMPLES,
    count_shared,
    few_examples,
    stratified_fraction,
    stratified_split,
)
from glassformer.errors import DataError

NAMES = ["red", "blue", "green"]


def test_split_is_a_partition_with_the_shares_of_the_classes() -> None:
    labels = np.array([0] * 70 + [1] * 20 + [2] * 10)
    kept, held_out = stratified_split(labels, 0.3, 5, NAMES)
    assert sorted([*kept, *held_out]) == list(range(100))
    assert np.bincount(labels[held_out]).tolist() == [21, 6, 3]


def test_split_depends_on_the_seed_alone() -> None:
    labels = np.arange(60) % 3
    assert (
        stratified_split(labels, 0.2, 1, NAMES)[1].tolist()
        == stratified_split(labels, 0.2, 1, NAMES)[1].tolist()
    )
    assert (
        stratified_split(labels, 0.2, 1, NAMES)[1].tolist()
        != stratified_split(labels, 0.2, 2, NAMES)[1].tolist()
    )


@pytest.mark.parametrize(("sizes", "together"), [((7, 5, 2), 1), ((100, 31, 9), 4), ((3, 120, 50), 50)])
def test_split_is_that_of_a_loop_over_the_runs(sizes: tuple[int, ...], together: int) -> None:
    labels = np.random.default_rng(1).permutation(np.repeat(np.arange(3), sizes))
    generator, expected = np.random.default_rng(6), []
    for label, size in enumerate(sizes):
        rows = np.flatnonzero(labels == label).tolist()
        runs = [rows[start : start + together] for start in range(0, size, together)]
        drawn = [row for number in generator.permutation(len(runs)) for row in runs[number]]
        expected += drawn[: min(max(1, round(0.3 * size)), size - 1)]
    kept, held_out = stratified_split(labels, 0.3, 6, NAMES, together)
    assert held_out.tolist() == sorted(expected)
    assert kept.tolist() == sorted(set(range(len(labels))) - set(expected))


def test_every_class_is_on_both_sides() -> None:
    labels = np.array([0, 0, 1, 1, 1])
    for share in (0.01, 0.99):
        kept, held_out = stratified_split(labels, share, 0, NAMES)
        assert set(labels[kept]) == set(labels[held_out]) == {0, 1}


def test_neighbours_stay_together() -> None:
    labels = np.array([0] * 1000 + [1] * 1000)
    kept, held_out = stratified_split(labels, 0.2, 3, NAMES, together=50)
    assert sorted([*kept, *held_out]) == list(range(2000))
    assert np.bincount(labels[held_out]).tolist() == [200, 200]
    runs, sizes = np.unique(held_out // 50, return_counts=True)
    assert sizes.tolist() == [50] * 8
    assert runs.tolist() != (stratified_split(labels, 0.2, 4, NAMES, together=50)[1][::50] // 50).tolist()


def test_a_lonely_row_cannot_be_split() -> None:
    with pytest.raises(DataError, match="the class 'blue' has 1 example"):
        stratified_split(np.array([0, 0, 1]), 0.5, 0, NAMES)


def test_fraction_keeps_the_shares() -> None:
    labels = np.array([0] * 80 + [1] * 20)
    rows = stratified_fraction(labels, 0.25, seed=3)
    assert np.bincount(labels[rows]).tolist() == [20, 5]
    assert stratified_fraction(labels, 1, seed=3).tolist() == list(range(100))


def test_few_validation_examples_are_told() -> None:
    (told,) = few_examples([500, 4], "which epoch is best")
    assert told.startswith("validation has 4 examples, each worth 0.250 of its accuracy, so which epoch is")
    assert few_examples([500, FEW_EXAMPLES], "which epoch is best") == few_examples([], "it") == []


def test_shared_counts_rows_of_the_second() -> None:
    assert count_shared(np.array([1, 2, 3]), np.array([3, 3, 4])) == 2
    assert count_shared(np.array([3, 3, 4]), np.array([1, 2, 3])) == 1
