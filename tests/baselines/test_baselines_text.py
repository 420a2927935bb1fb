import subprocess
import sys
from itertools import pairwise

import numpy as np
import pytest
import scipy.sparse

from glassformer.baselines import TEXT_BASELINES, fit, text

LEARNERS = ["tfidf_lr", "nb_bigrams_lr"]
WORDS = {
    "bad": ["dull", "awful", "boring", "waste"],
    "good": ["great", "superb", "moving", "funny"],
    "odd": ["strange", "eerie", "surreal", "cryptic"],
}


def corpus(classes, count, seed=0):
    """Texts of shared filler around one word that gives the class away."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=count)
    labels[:classes] = np.arange(classes)
    tells = list(WORDS.values())
    filler = ["the", "film", "plot", "was", "actor", "scene"]
    texts = []
    for label in labels:
        words = [*generator.choice(filler, size=5), generator.choice(tells[label])]
        texts.append(" ".join(generator.permutation(words)))
    return texts, labels


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("classes", [2, 3])
def test_learns_the_words_that_tell(name, classes):
    texts, labels = corpus(classes, 71)
    fitted = fit(name, iter(texts), labels.tolist(), classes, seed=0)
    fresh, truth = corpus(classes, 53, seed=1)
    found = fitted.predict_proba(iter(fresh))
    assert found.shape == (53, classes)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1)
    assert (found.argmax(axis=1) == truth).mean() > 0.9


def test_nb_sees_pairs():
    # Word for word the two classes are the same; only the order differs.
    texts = ["not good but bad", "not bad but good"] * 5
    fitted = fit("nb_bigrams_lr", texts, [0, 1] * 5, 2)
    assert fitted.predict_proba(texts[:2]).argmax(axis=1).tolist() == [0, 1]


@pytest.mark.parametrize("alpha", [1.0, 0.5])
def test_log_count_ratio_is_the_papers_formula(alpha):
    generator = np.random.default_rng(7)
    features = generator.integers(2, size=(13, 5)).astype(float)
    positive = np.array([True] * 4 + [False] * 9)
    expected = np.zeros(5)
    p_norm = sum(alpha + sum(features[i, t] for i in range(4)) for t in range(5))
    q_norm = sum(alpha + sum(features[i, t] for i in range(4, 13)) for t in range(5))
    for t in range(5):
        p = alpha + sum(features[i, t] for i in range(4))
        q = alpha + sum(features[i, t] for i in range(4, 13))
        expected[t] = np.log((p / p_norm) / (q / q_norm))
    found = text.log_count_ratio(scipy.sparse.csr_matrix(features), positive, alpha)
    np.testing.assert_allclose(found, expected, rtol=1e-12)
    assert np.abs(expected).min() > 1e-3
    swapped = text.log_count_ratio(scipy.sparse.csr_matrix(features), ~positive, alpha)
    np.testing.assert_allclose(swapped, -expected, rtol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
def test_nb_is_a_regression_on_scaled_presence(classes):
    """Against dense features built by hand and sklearn's own predictions, one class against the rest."""
    from sklearn.linear_model import LogisticRegression

    texts = ["a b b", "b c !", "c a", "a a d", "d c b", "! d a", "b b"]
    labels = np.array([0, 1, 2, 0, 1, 2, 1]) % classes

    def terms(each):
        words = each.split()
        return {*words, *pairwise(words)}

    vocabulary = sorted(set().union(*map(terms, texts)), key=str)
    presence = np.array([[term in terms(each) for term in vocabulary] for each in texts], dtype=float)
    columns = []
    for label in range(classes):
        p = 1 + presence[labels == label].sum(axis=0)
        q = 1 + presence[labels != label].sum(axis=0)
        scaled = presence * np.log((p / p.sum()) / (q / q.sum()))
        model = LogisticRegression(C=1.0, max_iter=1000, tol=1e-8).fit(scaled, labels == label)
        columns.append(model.predict_proba(scaled)[:, 1])
    expected = np.stack(columns, axis=1)
    expected /= expected.sum(axis=1, keepdims=True)
    found = fit("nb_bigrams_lr", texts, labels, classes).predict_proba(texts)
    np.testing.assert_allclose(found, expected, atol=2e-3)


@pytest.mark.parametrize("classes", [2, 3])
def test_tfidf_is_sklearns_pipeline(classes):
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    texts, labels = corpus(classes, 37)
    texts[0] += " plot plot plot!"
    oracle = make_pipeline(
        TfidfVectorizer(sublinear_tf=True, ngram_range=(1, 2), tokenizer=str.split, token_pattern=None),
        LogisticRegression(C=30.0, max_iter=1000),
    ).fit([each.replace("!", " !") for each in texts], labels)
    found = fit("tfidf_lr", texts, labels, classes).predict_proba(texts)
    np.testing.assert_allclose(found, oracle.predict_proba([each.replace("!", " !") for each in texts]))


def test_majority_answers_with_the_training_frequencies():
    fitted = fit("majority", ["a"] * 5, [2, 0, 2, 2, 0], classes=4, seed=0)
    np.testing.assert_allclose(fitted.predict_proba(iter(["x", ""])), [[0.4, 0, 0.6, 0]] * 2)


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("present", [(0, 3), (0, 1, 3)])
def test_a_class_without_examples_gets_no_probability(name, present):
    texts, labels = corpus(len(present), 31)
    found = fit(name, texts, np.array(present)[labels], classes=5).predict_proba(texts)
    absent = [label for label in range(5) if label not in present]
    assert not found[:, absent].any()
    assert (np.array(present)[labels] == found.argmax(axis=1)).all()


@pytest.mark.parametrize("name", LEARNERS)
def test_unknown_words_and_empty_texts_have_an_answer(name):
    texts, labels = corpus(3, 31)
    found = fit(name, texts, labels, 3).predict_proba(["", "да", "\n"])
    np.testing.assert_allclose(found.sum(axis=1), 1)


def test_hopeless_scores_still_give_probabilities():
    found = text._one_against_rest(np.array([[-2000.0, -1000.0, -1500.0], [3.0, -4.0, 800.0]]))
    np.testing.assert_allclose(found.sum(axis=1), 1)
    np.testing.assert_allclose(found[0], [0, 1, 0], atol=1e-12)


@pytest.mark.parametrize("name", LEARNERS)
def test_large_corpora_drop_terms_seen_once(name):
    texts, labels = corpus(2, text._PRUNE_FROM)
    texts[0] += " hapax"
    assert "hapax" not in fit(name, texts, labels, 2).vectorizer.vocabulary_
    assert "hapax" in fit(name, texts[:-1], labels[:-1], 2).vectorizer.vocabulary_


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("svm", ["a"], [0], 2), "unknown text baseline 'svm'; choose one of majority, tfidf_lr"),
        (("majority", ["a"], [0], 1), "classes=1"),
        (("majority", "ab", [0, 1], 2), "one str"),
        (("majority", ["a", None], [0, 1], 2), "got None in row 1"),
        (("majority", ["a", "b"], [0, 2], 2), r"label 2 is outside 0\.\.1"),
        (("majority", ["a", "b"], [0, -1], 2), "label -1"),
        (("majority", ["a", "b"], [0.0, 1.0], 2), "float64"),
        (("majority", [], [], 2), r"shape \(0,\)"),
        (("majority", ["a", "b"], [0, 1, 1], 2), "got 2 texts and 3 labels"),
        (("tfidf_lr", ["a", "b"], [1, 1], 2), "2 or more classes .* got only 1"),
        (("nb_bigrams_lr", ["a", "b"], [1, 1], 2), "2 or more classes .* got only 1"),
        (("tfidf_lr", ["", " "], [0, 1], 2), "the 2 training texts leave none"),
    ],
)
def test_unusable_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        fit(*arguments)


def test_the_table_is_complete_and_importing_it_is_quick():
    assert list(TEXT_BASELINES) == ["majority", *LEARNERS]
    code = (
        "import sys; from glassformer.baselines import TEXT_BASELINES, baseline_scores; "
        "assert not {'torch', 'sklearn', 'scipy.stats'} & set(sys.modules), 'slow import'"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
