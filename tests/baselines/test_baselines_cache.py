import json
import os
import pickle

import numpy as np
import pytest

from glassformer import evaluation
from glassformer.baselines import SplitSource, baseline_scores, cache, text

NAMES = ["majority", "tfidf_lr", "nb_bigrams_lr"]
TRAIN = ["good film", "superb plot", "great fun", "bad film", "awful plot", "dull scene", "odd", "eerie odd"]
TRAIN_LABELS = [0, 0, 0, 1, 1, 1, 2, 2]
TEST = ["good fun", "awful film", "odd eerie", "bad scene", "great plot"]
TEST_LABELS = [0, 1, 2, 1, 1]


def source(key, texts, labels):
    return SplitSource(key, lambda: (iter(texts), labels))


def unread(key):
    def read():
        raise AssertionError(f"{key} was read although the cache holds the answer")

    return SplitSource(key, read)


@pytest.fixture
def sources():
    return source("train-1", TRAIN, TRAIN_LABELS), {"test": source("test-1", TEST, TEST_LABELS)}


@pytest.fixture
def fits(monkeypatch):
    """The names of the baselines fitted, in order."""
    fitted, fit = [], text.fit

    def counted(name, *arguments):
        fitted.append(name)
        return fit(name, *arguments)

    monkeypatch.setattr(text, "fit", counted)
    return fitted


def test_figures_are_those_of_a_direct_fit(sources):
    train, splits = sources
    scores = baseline_scores(NAMES, train, splits, classes=3)
    assert list(scores) == NAMES
    for name in NAMES:
        direct = text.fit(name, TRAIN, TRAIN_LABELS, 3, 0).predict_proba(TEST)
        assert scores[name] == {"test": evaluation.summary(direct, TEST_LABELS)}
    assert scores["majority"]["test"]["accuracy"] == 0.2
    assert scores["nb_bigrams_lr"]["test"]["accuracy"] == 0.8


def test_a_hit_neither_fits_nor_reads(tmp_path, sources, fits):
    first = baseline_scores(NAMES, *sources, classes=3, cache=tmp_path / "new" / "folder")
    assert fits == NAMES
    said = []
    again = baseline_scores(
        NAMES,
        unread("train-1"),
        {"test": unread("test-1")},
        classes=3,
        cache=tmp_path / "new" / "folder",
        progress=said.append,
    )
    assert fits == NAMES
    assert again == first
    assert said == [f"{name}: from the cache" for name in NAMES]


def test_each_split_is_read_once(sources):
    reads = []

    def counted(key, texts, labels):
        def read():
            reads.append(key)
            return texts, labels

        return SplitSource(key, read)

    splits = {"validation": counted("v", TEST, TEST_LABELS), "test": counted("t", TEST, TEST_LABELS)}
    baseline_scores(NAMES, counted("train", TRAIN, TRAIN_LABELS), splits, classes=3)
    assert reads == ["train", "v", "t"]


def test_a_new_split_leaves_the_known_one_unread(tmp_path, sources, fits):
    train, splits = sources
    baseline_scores(["majority"], train, splits, classes=3, cache=tmp_path)
    more = {"test": unread("test-1"), "mine": source("mine-1", TEST[:3], TEST_LABELS[:3])}
    scores = baseline_scores(["majority"], train, more, classes=3, cache=tmp_path)
    assert (scores["majority"]["test"]["count"], scores["majority"]["mine"]["count"]) == (5, 3)


@pytest.mark.parametrize(
    "changed", ["train", "split", "baseline", "classes", "settings", "revision", "version"]
)
def test_whatever_decides_the_figures_is_in_the_key(tmp_path, sources, fits, monkeypatch, changed):
    train, splits = sources
    baseline_scores(["nb_bigrams_lr"], train, splits, classes=3, cache=tmp_path)
    name, classes = "nb_bigrams_lr", 3
    if changed == "train":
        train = source("train-2", TRAIN, TRAIN_LABELS)
    elif changed == "split":
        splits = {"test": source("test-2", TEST, TEST_LABELS)}
    elif changed == "baseline":
        name = "twin"
        monkeypatch.setitem(text.TEXT_BASELINES, name, text.TEXT_BASELINES["nb_bigrams_lr"])
    elif changed == "classes":
        classes = 4
    elif changed == "settings":
        known = text.TEXT_BASELINES["nb_bigrams_lr"]
        other = text.Baseline(known.fitter, {**known.settings, "alpha": 0.5})
        monkeypatch.setitem(text.TEXT_BASELINES, "nb_bigrams_lr", other)
    elif changed == "revision":
        monkeypatch.setattr(cache, "_REVISION", cache._REVISION + 1)
    else:
        monkeypatch.setattr(cache, "version", lambda library: "0.0.1")
    baseline_scores([name], train, splits, classes=classes, cache=tmp_path)
    assert len(fits) == 2


def flip(path):
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)


class Bomb:
    def __reduce__(self):
        return os.mkdir, ("exploded",)


DAMAGE = {
    "npz flipped": lambda npz, seal: flip(npz),
    "npz of other figures": lambda npz, seal: np.savez(
        npz, probabilities=np.full((5, 3), 1 / 3), labels=np.array(TEST_LABELS)
    ),
    "npz cut": lambda npz, seal: npz.write_bytes(npz.read_bytes()[:100]),
    "npz gone": lambda npz, seal: npz.unlink(),
    "npz empty": lambda npz, seal: npz.write_bytes(b""),
    "seal gone": lambda npz, seal: seal.unlink(),
    "seal cut": lambda npz, seal: seal.write_bytes(seal.read_bytes()[:-9]),
    "seal a list": lambda npz, seal: seal.write_text("[]"),
    "seal not text": lambda npz, seal: seal.write_bytes(b"\xff\xfe"),
    "seal a pit": lambda npz, seal: seal.write_text("[" * 100_000),
    "other identity": lambda npz, seal: seal.write_text(seal.read_text().replace("train-1", "train-9")),
}


@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_is_refitted_and_repaired(tmp_path, sources, fits, damage):
    first = baseline_scores(["nb_bigrams_lr"], *sources, classes=3, cache=tmp_path)
    (npz,), (seal,) = tmp_path.glob("*.npz"), tmp_path.glob("*.json")
    DAMAGE[damage](npz, seal)
    assert baseline_scores(["nb_bigrams_lr"], *sources, classes=3, cache=tmp_path) == first
    assert len(fits) == 2, "the damaged entry was believed"
    baseline_scores(["nb_bigrams_lr"], unread("train-1"), {"test": unread("test-1")}, 3, cache=tmp_path)


@pytest.mark.parametrize("kind", ["pickle", "object array", "text", "no labels", "fewer columns", "logits"])
def test_a_foreign_file_with_a_fitting_seal_is_ignored(tmp_path, sources, fits, kind, monkeypatch):
    first = baseline_scores(["majority"], *sources, classes=3, cache=tmp_path)
    (npz,), (seal,) = tmp_path.glob("*.npz"), tmp_path.glob("*.json")
    monkeypatch.chdir(tmp_path)
    labels = np.array(TEST_LABELS)
    if kind == "pickle":
        npz.write_bytes(pickle.dumps(Bomb()))
    elif kind == "object array":
        np.savez(npz, probabilities=np.array([Bomb()], dtype=object), labels=labels)
    elif kind == "text":
        npz.write_text("probabilities")
    elif kind == "no labels":
        np.savez(npz, probabilities=np.full((5, 3), 1 / 3))
    elif kind == "fewer columns":
        np.savez(npz, probabilities=np.full((1, 2), 1 / 2), labels=labels[:1])
    else:
        np.savez(npz, probabilities=np.full((5, 3), -2.0), labels=labels)
    sealed = json.loads(seal.read_text())
    seal.write_text(json.dumps({**sealed, "arrays_sha256": cache._sha256(npz.read_bytes())}))
    assert baseline_scores(["majority"], *sources, classes=3, cache=tmp_path) == first
    assert len(fits) == 2
    assert not (tmp_path / "exploded").exists()


def test_an_interrupted_write_leaves_nothing(tmp_path, sources, monkeypatch):
    def broken(old, new):
        raise OSError("disk full")

    monkeypatch.setattr(os, "replace", broken)
    said = []
    scores = baseline_scores(["majority"], *sources, classes=3, cache=tmp_path, progress=said.append)
    assert scores["majority"]["test"]["count"] == 5
    assert said[-1] == "majority: not cached (disk full)"
    assert not list(tmp_path.iterdir())


def test_the_cache_holds_arrays_and_json_only(tmp_path, sources):
    baseline_scores(NAMES, *sources, classes=3, cache=tmp_path)
    assert sorted(path.suffix for path in tmp_path.iterdir()) == [".json"] * 3 + [".npz"] * 3
    for path in tmp_path.glob("*.npz"):
        with np.load(path, allow_pickle=False) as arrays:
            assert sorted(arrays) == ["labels", "probabilities"]


def test_errors_come_before_the_work(tmp_path, sources, fits):
    train, splits = sources
    with pytest.raises(ValueError, match="unknown baseline 'svm'"):
        baseline_scores(["majority", "svm"], unread("train-1"), splits, classes=3)
    with pytest.raises(ValueError, match="key"):
        SplitSource("", lambda: ([], []))
    short = {"test": source("t", TEST[:4], TEST_LABELS)}
    with pytest.raises(ValueError, match=r"split test.*4 texts and 5 labels"):
        baseline_scores(["majority"], train, short, classes=3, cache=tmp_path)
    wrong = {"test": source("t", TEST, [0, 1, 2, 1, 7])}
    with pytest.raises(ValueError, match="label 7"):
        baseline_scores(["majority"], train, wrong, classes=3, cache=tmp_path)
    assert not list(tmp_path.iterdir()), "an unusable answer was stored"
