"""Two classical rivals for text classification, and the floor under both.

`tfidf_lr`       logistic regression on TF-IDF weights of words and word pairs.
`nb_bigrams_lr`  logistic regression on naive-Bayes-weighted words and word pairs.
`majority`       no text is read: the class frequencies of the training labels.

All three are deterministic: lbfgs draws no random numbers, so the seed they are handed changes nothing.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

Probabilities = NDArray[np.float64]

# A mark of punctuation is a term of its own: "!" and "?" carry opinion, and no pair reaches across one.
_TERMS = r"\w+|[^\w\s]"
# Below this many texts a term seen once may be all the evidence there is, so none is dropped.
_PRUNE_FROM = 1_000


class FittedBaseline(Protocol):
    """A baseline after `fit`."""

    def predict_proba(self, inputs: Any, /) -> Probabilities:
        """Probabilities of shape (n, classes), rows summing to one, for n texts or images."""
        ...


@dataclass(frozen=True)
class Baseline:
    """How one baseline is fitted: `fitter(inputs, labels, classes, seed, **settings)`.

    libraries: those whose versions may change its figures. seeded: whether the seed changes them.
    """

    fitter: Callable[..., FittedBaseline]
    settings: Mapping[str, Any]
    libraries: tuple[str, ...] = ("numpy", "scikit-learn", "scipy")
    seeded: bool = False


@dataclass(frozen=True)
class _Frequencies:
    frequencies: Probabilities

    def predict_proba(self, inputs: Any, /) -> Probabilities:
        count = len(inputs if isinstance(inputs, np.ndarray) else _as_texts(inputs))
        return np.tile(self.frequencies, (count, 1))


@dataclass(frozen=True)
class _Linear:
    """A vectorizer, then one score per class of those seen in training, then `to_probabilities`."""

    vectorizer: Any
    weights: NDArray[np.float64]  # (terms, scores)
    intercepts: NDArray[np.float64]  # (scores,)
    to_probabilities: Callable[[NDArray[np.float64]], Probabilities]
    present: NDArray[np.int64]
    classes: int

    def predict_proba(self, texts: Iterable[str], /) -> Probabilities:
        scores = self.vectorizer.transform(_as_texts(texts)) @ self.weights + self.intercepts
        # A class without a training example has no score: its probability is 0.
        probabilities = np.zeros((scores.shape[0], self.classes))
        probabilities[:, self.present] = self.to_probabilities(scores)
        return probabilities


def _fit_majority(inputs: Any, labels: NDArray[np.int64], classes: int, seed: int) -> FittedBaseline:
    """p(c) = n_c / n, whatever the input; its accuracy is the share of the most frequent training class."""
    return _Frequencies(np.bincount(labels, minlength=classes) / labels.size)


def _fit_tfidf_lr(
    texts: list[str],
    labels: NDArray[np.int64],
    classes: int,
    seed: int,
    *,
    ngrams: tuple[int, int],
    min_count: int,
    inverse_penalty: float,
) -> FittedBaseline:
    """softmax(W x + b) with x_t = (1 + ln tf_t) (1 + ln((1 + n) / (1 + df_t))), then x / ||x||_2.

    tf_t counts term t in the text, df_t the training texts that hold it, n the training texts. Minimises
    ||W||^2 / 2 + C sum_i -log p(y_i | x_i) with C = `inverse_penalty`.

    Source: Salton & Buckley 1988, 'Term-weighting approaches in automatic text retrieval', section 3; the
    smoothing is scikit-learn's (User guide, 'Tf-idf term weighting').
    """
    from scipy.special import softmax
    from sklearn.feature_extraction.text import TfidfVectorizer

    vectorizer = TfidfVectorizer(
        token_pattern=_TERMS,
        ngram_range=ngrams,
        min_df=min_count if labels.size >= _PRUNE_FROM else 1,
        sublinear_tf=True,
    )
    features = _fit_vectorizer(vectorizer, texts, labels.size)
    present = present_classes(labels)
    weights, intercepts = _logistic_regression(features, labels, inverse_penalty, seed)
    if len(present) == 2:
        # scikit-learn keeps one score for two classes: sigmoid(z) = softmax((0, z)).
        weights = np.concatenate([np.zeros_like(weights), weights], axis=1)
        intercepts = np.concatenate([[0.0], intercepts])
    return _Linear(vectorizer, weights, intercepts, lambda scores: softmax(scores, axis=1), present, classes)


def _fit_nb_bigrams_lr(
    texts: list[str],
    labels: NDArray[np.int64],
    classes: int,
    seed: int,
    *,
    ngrams: tuple[int, int],
    min_count: int,
    alpha: float,
    inverse_penalty: float,
) -> FittedBaseline:
    """One logistic regression a class c on x = f ∘ r_c: p_c = sigmoid(w_c · x + b_c), rows then normalised.

    f is binary (term present or not), r_c the log-count ratio of class c against the rest, see
    `log_count_ratio`. Two classes need one regression.

    Source: Wang & Manning 2012, 'Baselines and Bigrams: Simple, Good Sentiment and Topic Classification',
    sections 2.1 and 2.3. Deviations: logistic regression stands in for their SVM, without their
    interpolation of the weights; several classes one against the rest, where they treat two.
    """
    from sklearn.feature_extraction.text import CountVectorizer

    vectorizer = CountVectorizer(
        token_pattern=_TERMS,
        ngram_range=ngrams,
        min_df=min_count if labels.size >= _PRUNE_FROM else 1,
        binary=True,
        dtype=np.float64,
    )
    features = _fit_vectorizer(vectorizer, texts, labels.size)
    present = present_classes(labels)
    columns, intercepts = [], []
    for label in present[1:] if len(present) == 2 else present:
        positive = labels == label
        ratio = log_count_ratio(features, positive, alpha)
        scaled = features.copy()
        scaled.data *= ratio[scaled.indices]
        weight, intercept = _logistic_regression(scaled, positive, inverse_penalty, seed)
        # w · (f ∘ r) = (w ∘ r) · f: with r folded into the weights, a prediction needs f alone.
        columns.append(weight[:, 0] * ratio)
        intercepts.append(intercept[0])
    weights = np.stack(columns, axis=1)
    return _Linear(vectorizer, weights, np.array(intercepts), _one_against_rest, present, classes)


def log_count_ratio(features: Any, positive: NDArray[np.bool_], alpha: float = 1.0) -> NDArray[np.float64]:
    """r = log((p / ||p||_1) / (q / ||q||_1)), the naive-Bayes log-odds of each term; shape (terms,).

    p = alpha + sum of the rows f_i of the positive texts, q = alpha + sum of the others; `features` is a
    sparse (texts, terms) matrix of counts. Source: Wang & Manning 2012, section 2.1, equation (1).
    """
    p = alpha + np.asarray(features[positive].sum(axis=0), dtype=np.float64).ravel()
    q = alpha + np.asarray(features[~positive].sum(axis=0), dtype=np.float64).ravel()
    return np.log(p / p.sum()) - np.log(q / q.sum())


def _one_against_rest(scores: NDArray[np.float64]) -> Probabilities:
    """p_c = sigmoid(z_c) / sum_k sigmoid(z_k), in logarithms so that hopeless rows do not divide 0 by 0."""
    from scipy.special import log_expit, softmax

    if scores.shape[1] == 1:
        return np.exp(log_expit(np.concatenate([-scores, scores], axis=1)))
    return softmax(log_expit(scores), axis=1)


def _logistic_regression(
    features: Any, labels: NDArray[Any], inverse_penalty: float, seed: int
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weights (terms, scores) and intercepts (scores,)."""
    from sklearn.linear_model import LogisticRegression

    model = LogisticRegression(C=inverse_penalty, max_iter=1_000, random_state=seed)
    model.fit(features, labels)  # pyrefly: ignore[bad-argument-type] - scikit-learn's stubs know no masks
    return np.asarray(model.coef_, np.float64).T, np.asarray(model.intercept_, np.float64)


def _fit_vectorizer(vectorizer: Any, texts: list[str], count: int) -> Any:
    try:
        return vectorizer.fit_transform(texts)
    except ValueError as error:
        if "empty vocabulary" in str(error) or "no terms remain" in str(error):
            raise ValueError(
                f"a text baseline needs terms to count, and the {count} training texts leave none ({error}); "
                "check the text column, or leave this baseline out"
            ) from error
        raise


def _as_texts(texts: Iterable[str]) -> list[str]:
    if isinstance(texts, str):
        raise ValueError("texts is one str where many are expected; pass a list of texts")
    listed = list(texts)
    for row, each in enumerate(listed):
        if not isinstance(each, str):
            raise ValueError(
                f"every text must be a str, got {each!r} in row {row}; fill or drop such rows, '' is allowed"
            )
    return listed


def present_classes(labels: NDArray[np.int64]) -> NDArray[np.int64]:
    """The classes that have examples, (present,). Raises ValueError for fewer than two."""
    present = np.unique(labels)
    if len(present) < 2:
        raise ValueError(
            f"this baseline needs 2 or more classes in the training labels, got only {present[0]}; "
            "check the label column, or use the 'majority' baseline alone"
        )
    return present


TEXT_BASELINES: dict[str, Baseline] = {
    "majority": Baseline(_fit_majority, MappingProxyType({})),
    # C chosen among 1, 3, 10, 30, 100 on a tenth of IMDB's training reviews, never on its test split
    "tfidf_lr": Baseline(
        _fit_tfidf_lr, MappingProxyType({"ngrams": (1, 2), "min_count": 2, "inverse_penalty": 30.0})
    ),
    # C chosen among 0.3, 1, 3, 10 in the same way
    "nb_bigrams_lr": Baseline(
        _fit_nb_bigrams_lr,
        MappingProxyType({"ngrams": (1, 2), "min_count": 2, "alpha": 1.0, "inverse_penalty": 1.0}),
    ),
}


def check_labels(labels: ArrayLike, classes: int, count: int, inputs: str) -> NDArray[np.int64]:
    """The labels as (count,) whole numbers; `inputs` says what they label, in the plural.

    Raises ValueError for fewer than two classes, labels outside 0 .. classes - 1, and other than `count`.
    """
    if classes < 2:
        raise ValueError(f"classes={classes} leaves nothing to classify; give at least 2")
    numbers = np.asarray(labels)
    if numbers.ndim != 1 or numbers.size == 0 or not np.issubdtype(numbers.dtype, np.integer):
        raise ValueError(
            f"labels must be one or more whole numbers, got shape {numbers.shape} of {numbers.dtype}; "
            "number the classes from 0"
        )
    if numbers.min() < 0 or numbers.max() >= classes:
        wrong = numbers.min() if numbers.min() < 0 else numbers.max()
        raise ValueError(
            f"label {wrong} is outside 0..{classes - 1} (classes={classes}); "
            "number the classes from 0, or raise classes"
        )
    check_lengths(count, numbers.size, inputs)
    return numbers.astype(np.int64)


def check_lengths(count: int, labels: int, inputs: str) -> None:
    """ValueError unless there is one label for each of the `count` inputs."""
    if count != labels:
        raise ValueError(
            f"there must be one label for each input, got {count} {inputs} and {labels} labels; "
            "check that both come from the same rows"
        )


def fit(name: str, texts: Iterable[str], labels: ArrayLike, classes: int, seed: int = 0) -> FittedBaseline:
    """Fit baseline `name` on training texts with labels 0 .. classes - 1.

    Raises ValueError for an unknown name, fewer than two classes, labels outside the range, texts that
    are not str, texts and labels of different lengths, and, all but `majority`, where the training labels
    hold one class or the texts no term.
    """
    if name not in TEXT_BASELINES:
        raise ValueError(f"unknown text baseline {name!r}; choose one of {', '.join(TEXT_BASELINES)}")
    listed = _as_texts(texts)
    numbers = check_labels(labels, classes, len(listed), "texts")
    baseline = TEXT_BASELINES[name]
    return baseline.fitter(listed, numbers, classes, seed, **baseline.settings)
