"""Two simple rivals that turn sequences into sequences, each place of the target on its own.

`majority`    the most frequent token of each place; the source is not read.
`places_lr`   a logistic regression for each place of the target, on which token stands at which place of the
              source: what can be had where each token goes to a fixed place.

Sequences are arrays of token numbers, (n, places), with 0 behind the end; answers are (n, target places).
"""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from glassformer.progress import with_progress

Tokens = NDArray[np.integer]


def fit(name: str, sources: Tokens, targets: Tokens) -> Callable[[Tokens], Tokens]:
    """The fitted rival, from sources to answers. Raises ValueError for an unknown name or without pairs."""
    if name not in SEQUENCE_BASELINES:
        raise ValueError(f"unknown baseline {name!r}; choose one of {', '.join(SEQUENCE_BASELINES)}")
    if len(sources) == 0 or len(sources) != len(targets):
        raise ValueError(
            f"{len(sources)} sources and {len(targets)} targets are no pairs; give as many, at least one"
        )
    return SEQUENCE_BASELINES[name](sources, targets)


def _majority(sources: Tokens, targets: Tokens) -> Callable[[Tokens], Tokens]:
    frequent = np.array([np.bincount(place).argmax() for place in targets.T])
    return lambda asked: np.tile(frequent, (len(asked), 1))


def _places_lr(sources: Tokens, targets: Tokens) -> Callable[[Tokens], Tokens]:
    """argmax softmax(W x + b) for each target place, x the one-hot tokens of all source places."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.preprocessing import OneHotEncoder

    encoder = OneHotEncoder(handle_unknown="ignore")
    x = encoder.fit_transform(sources)
    fitted: list[Callable[[Any], Tokens]] = []
    places = with_progress(targets.T, lambda place: 1, targets.shape[1], "fitting places_lr")
    for place in places:
        if len(np.unique(place)) == 1:
            fitted.append(lambda asked, only=place[0]: np.full(asked.shape[0], only))
        else:
            fitted.append(LogisticRegression(C=10.0, max_iter=200, tol=1e-3).fit(x, place).predict)
    return lambda asked: np.stack([predict(encoder.transform(asked)) for predict in fitted], axis=1)


SEQUENCE_BASELINES = {"majority": _majority, "places_lr": _places_lr}
