import numpy as np
import pytest

from glassformer.baselines.sequences import SEQUENCE_BASELINES, fit


def sequences(count: int, seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(4, 9, size=(count, 4))


def test_majority_says_the_most_frequent_token_of_each_place() -> None:
    targets = np.array([[4, 7], [5, 7], [5, 6]])
    assert fit("majority", targets, targets)(np.zeros((3, 2), dtype=int)).tolist() == [[5, 7]] * 3


def test_places_lr_learns_where_tokens_go_and_not_what_depends_on_others() -> None:
    train, unseen = sequences(900, 0), sequences(300, 1)
    moved = fit("places_lr", train, train[:, ::-1])(unseen)
    assert (moved == unseen[:, ::-1]).mean() == 1.0
    total = lambda x: (x.sum(1) % 5 + 4)[:, None]  # noqa: E731
    assert (fit("places_lr", train, total(train))(unseen) == total(unseen)).mean() < 0.5


def test_places_lr_takes_unknown_tokens_and_places_that_never_change() -> None:
    train = sequences(200, 0)
    predict = fit("places_lr", train, np.column_stack([train[:, 0], np.full(200, 3)]))
    assert predict(np.full((2, 4), 77))[:, 1].tolist() == [3, 3]


def test_rivals_that_cannot_be_fitted_are_refused() -> None:
    with pytest.raises(
        ValueError, match=f"unknown baseline 'x'; choose one of {', '.join(SEQUENCE_BASELINES)}"
    ):
        fit("x", sequences(2, 0), sequences(2, 0))
    with pytest.raises(ValueError, match="no pairs"):
        fit("majority", sequences(2, 0), sequences(3, 0))
    with pytest.raises(ValueError, match="no pairs"):
        fit("majority", sequences(0, 0), sequences(0, 0))
