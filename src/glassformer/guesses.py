"""How good are guesses of tokens that were left out of texts? Pure functions on NumPy arrays."""

from typing import Any

import numpy as np
from numpy.typing import ArrayLike


def guesses_report(
    correct: ArrayLike, counts: ArrayLike, nats: ArrayLike, texts: ArrayLike
) -> dict[str, Any]:
    """How many of the tokens that were left out are guessed, and how surprising they are.

    All: (pieces,). correct, counts: tokens guessed, and left out; nats: the sum of -ln p(true token) over
    them; texts: equal numbers for pieces of one text. Ready for JSON: accuracy, accuracy_ci95 (of texts, see
    `grouped_interval`), count of tokens, texts, perplexity = exp(nats a token).
    Raises ValueError where nothing was left out.
    """
    c, n, loss = (np.asarray(each, dtype=np.float64) for each in (correct, counts, nats))
    if not n.sum():
        raise ValueError("no token was left out, so there is nothing to judge; give longer texts")
    _, group = np.unique(np.asarray(texts), return_inverse=True)
    interval = grouped_interval(np.bincount(group, c), np.bincount(group, n))
    return {
        "accuracy": float(c.sum() / n.sum()),
        "accuracy_ci95": list(interval),
        "count": int(n.sum()),
        "texts": int(group.max()) + 1,
        "perplexity": float(np.exp(loss.sum() / n.sum())),
    }


def grouped_interval(correct: ArrayLike, counts: ArrayLike) -> tuple[float, float]:
    """95% interval of sum_g c_g / sum_g n_g, where groups, and not single cases, were drawn at random.

    correct, counts: (groups,). r ± 1.96 s, s² = G/(G - 1) sum_g (c_g - r n_g)² / (sum_g n_g)²; within [0, 1],
    and all of it for a single group. The words of a text are no independent cases: its texts are the groups.
    Groups with no case, n_g = 0, are left out.

    Where all groups have one rate, of 0 and of 1 above all, s = 0 says nothing of those that were not drawn.
    Then it is Wilson's interval of r in G cases, as though each group were one: at r = 0 up to
    1.96² / (G + 1.96²). That is cautious: the width for groups whose cases are all alike.
    Source: Cochran 1977, 'Sampling Techniques', section 6.4, the ratio estimator; and Wilson 1927, see
    `evaluation.wilson_interval`.
    """
    c, n = np.asarray(correct, dtype=np.float64), np.asarray(counts, dtype=np.float64)
    c, n = c[n > 0], n[n > 0]
    if len(n) < 2:
        return 0.0, 1.0
    rate = c.sum() / n.sum()
    apart = c - rate * n
    if np.allclose(apart, 0.0, rtol=0.0, atol=1e-9):
        return _wilson(float(rate), len(n))
    spread = np.sqrt(len(n) / (len(n) - 1) * np.square(apart).sum()) / n.sum()
    return max(0.0, float(rate - 1.96 * spread)), min(1.0, float(rate + 1.96 * spread))


def _wilson(rate: float, count: int) -> tuple[float, float]:
    """`evaluation.wilson_interval` of a rate that is no number of whole cases."""
    z = 1.96
    middle, reach = rate + z**2 / (2 * count), z * np.sqrt(rate * (1 - rate) / count + z**2 / (4 * count**2))
    low, high = ((middle + side * reach) / (1 + z**2 / count) for side in (-1, 1))
    return max(0.0, float(low)), min(1.0, float(high))
