import numpy as np
import pytest

from glassformer.evaluation import wilson_interval
from glassformer.guesses import grouped_interval, guesses_report


def test_groups_of_one_size_have_the_interval_of_their_means() -> None:
    correct, counts = np.array([3, 5, 1, 4, 2, 5, 0]), np.full(7, 5)
    rates = correct / counts
    reach = 1.96 * rates.std(ddof=1) / np.sqrt(7)
    assert grouped_interval(correct, counts) == pytest.approx((rates.mean() - reach, rates.mean() + reach))


def test_groups_of_many_sizes_have_the_interval_of_the_bootstrap() -> None:
    generator = np.random.default_rng(0)
    counts = generator.integers(1, 60, 300)
    correct = generator.binomial(counts, generator.beta(2, 3, 300))
    drawn = generator.integers(0, 300, (4000, 300))
    rates = correct[drawn].sum(1) / counts[drawn].sum(1)
    found = grouped_interval(correct, counts)
    assert found == pytest.approx(np.quantile(rates, [0.025, 0.975]), abs=0.004)
    whole = wilson_interval(int(correct.sum()), int(counts.sum()))
    assert found[1] - found[0] > 2 * (whole[1] - whole[0])  # single tokens would promise too much


def test_pieces_of_one_text_are_one_group() -> None:
    report = guesses_report([2, 0, 3, 1], [4, 1, 3, 2], [8.0, 2.0, 1.0, 9.0], [7, 5, 7, 5])
    assert report["accuracy"] == 0.6
    assert (report["count"], report["texts"]) == (10, 2)
    assert report["perplexity"] == pytest.approx(np.exp(2.0))
    assert report["accuracy_ci95"] == pytest.approx(grouped_interval([5, 1], [7, 3]))


def test_one_text_has_no_interval_and_none_no_figures() -> None:
    assert grouped_interval([1], [4]) == (0.0, 1.0)
    with pytest.raises(ValueError, match="no token was left out"):
        guesses_report([0], [0], [0.0], [1])


@pytest.mark.parametrize("right", [0, 1])
def test_nothing_or_all_guessed_is_no_certainty(right: int) -> None:
    counts = np.arange(1, 41)
    found = grouped_interval(right * counts, counts)
    # as wide as that of forty cases, not of the 820 tokens
    assert found == pytest.approx(wilson_interval(40 * right, 40), abs=1e-4)
    assert found[1] - found[0] > 0.08


def test_texts_of_one_rate_are_no_certainty() -> None:
    assert grouped_interval([1, 2, 3, 4], [2, 4, 6, 8]) == pytest.approx(wilson_interval(2, 4), abs=1e-4)
    # nothing is lost, or won, by texts in which nothing was left out
    assert grouped_interval([1, 0, 2], [2, 0, 4]) == grouped_interval([1, 2], [2, 4])
    assert grouped_interval([1, 0, 3], [2, 0, 4]) == grouped_interval([1, 3], [2, 4])


def test_nothing_guessed_covers_a_small_rate_as_often_as_it_says() -> None:
    """Texts of which one in a hundred is guessed whole: without the widening nearly none would cover it."""
    generator = np.random.default_rng(0)
    counts = np.full(60, 20)
    right = (generator.random((2000, 60)) < 0.01) * 20
    silent = [row for row in right if not row.any()]
    assert len(silent) > 800
    assert all(low <= 0.01 <= high for low, high in (grouped_interval(r, counts) for r in silent))
