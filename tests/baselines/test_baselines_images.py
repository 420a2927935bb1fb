import warnings

import numpy as np
import pytest
import torch

from glassformer import evaluation
from glassformer.baselines import IMAGE_BASELINES, SplitSource, baseline_scores, cache, images, text

LEARNERS = ["pixels_lr", "small_cnn"]
NAMES = ["majority", *LEARNERS]


@pytest.fixture(autouse=True)
def one_thread():
    """Sums in one order, so that equal fits are equal bit for bit."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


def halves(count, channels=1, height=8, width=9, classes=2, axis=3, seed=0):
    """Noise that is brighter in one part: class 0 left (top), class 1 right (bottom), class 2 in neither."""
    generator = np.random.default_rng(seed)
    labels = generator.integers(classes, size=count)
    labels[:classes] = np.arange(classes)
    pictures = generator.integers(0, 90, (count, channels, height, width))
    for label in (0, 1):
        places = np.array_split(np.arange(pictures.shape[axis]), 2)[label]
        bright = np.isin(np.arange(pictures.shape[axis]), places)
        pictures += 150 * np.expand_dims(bright, [0, 1, 5 - axis]) * (labels == label)[:, None, None, None]
    return pictures.astype(np.uint8), labels


@pytest.fixture
def quick(monkeypatch):
    """small_cnn with few steps, for what does not ask how well it learns."""
    known = IMAGE_BASELINES["small_cnn"]
    settings = {**known.settings, "widths": (3, 5, 7), "epochs": 1, "least_steps": 3}
    monkeypatch.setitem(IMAGE_BASELINES, "small_cnn", images.Baseline(known.fitter, settings, seeded=True))


def accuracy(fitted, pictures, labels):
    found = fitted.predict_proba(pictures)
    assert found.dtype == np.float64
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-12)
    return (found.argmax(axis=1) == labels).mean()


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize(
    ("channels", "height", "width", "classes", "axis"),
    [(1, 8, 9, 2, 3), (3, 11, 8, 3, 2)],
)
def test_learns_where_it_is_bright(name, channels, height, width, classes, axis):
    shape = {"channels": channels, "height": height, "width": width, "classes": classes, "axis": axis}
    fitted = images.fit(name, *halves(83, **shape), classes, seed=0)
    fresh, truth = halves(61, **shape, seed=1)
    assert fitted.predict_proba(fresh).shape == (61, classes)
    assert accuracy(fitted, fresh, truth) == 1


def test_only_colour_images_are_mirrored():
    # left and right are told apart in grey, and cannot be where half of the images are mirrored
    fresh, truth = halves(97, channels=3, width=8, seed=1)
    mirrored = images.fit("small_cnn", *halves(83, channels=3, width=8), 2)
    assert accuracy(mirrored, fresh, truth) < 0.8
    assert accuracy(images.fit("small_cnn", *halves(83, width=8), 2), fresh[:, :1], truth) == 1


@pytest.mark.parametrize("name", LEARNERS)
def test_digits(name):
    from sklearn.datasets import load_digits

    digits = load_digits()
    order = np.random.default_rng(0).permutation(len(digits.target))
    pictures, labels = digits.images.astype(np.uint8)[order, None], digits.target[order]
    fitted = images.fit(name, pictures[:1400], labels[:1400], 10)
    assert accuracy(fitted, pictures[1400:], labels[1400:]) > 0.95


@pytest.mark.parametrize("classes", [2, 3])
def test_pixels_lr_is_sklearns_regression_on_scaled_channels(classes):
    from sklearn.linear_model import LogisticRegression

    pictures, labels = halves(37, channels=2, height=3, width=5, classes=classes)
    pictures[:, 1] //= 3  # a channel of another size
    labels[::4] = (labels[::4] + 1) % classes
    fresh, _ = halves(11, channels=2, height=3, width=5, classes=classes, seed=2)

    def features(some):
        columns = []
        for channel in range(2):
            values = pictures[:, channel].astype(float)
            columns.append((some[:, channel] - values.mean()) / values.std())
        return np.stack(columns, axis=1).reshape(len(some), 30)

    oracle = LogisticRegression(C=0.1, tol=1e-8, max_iter=1000).fit(features(pictures), labels)
    found = images.fit("pixels_lr", pictures, labels, classes).predict_proba(fresh)
    np.testing.assert_allclose(found, oracle.predict_proba(features(fresh)), atol=2e-3)


def test_pixels_lr_stops_without_a_warning(monkeypatch):
    known = IMAGE_BASELINES["pixels_lr"]
    monkeypatch.setitem(
        IMAGE_BASELINES, "pixels_lr", images.Baseline(known.fitter, {**known.settings, "steps": 1})
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        images.fit("pixels_lr", *halves(23), 2)


def test_majority_answers_with_the_training_frequencies():
    pictures, _ = halves(5)
    found = images.fit("majority", pictures, [2, 0, 2, 2, 0], 4).predict_proba(pictures[:3])
    np.testing.assert_allclose(found, [[0.4, 0, 0.6, 0]] * 3)


def test_the_seed_decides_small_cnn(quick):
    pictures, labels = halves(29, channels=3)
    first, again, other = (
        images.fit("small_cnn", pictures, labels, 2, seed).predict_proba(pictures) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 1e-3


def test_small_cnn_is_this_training(monkeypatch):
    """The same by hand for grey images, in three steps of eight: gradients fresh at each, one cycle."""
    from torch import nn

    known = IMAGE_BASELINES["small_cnn"]
    settings = {**known.settings, "widths": (3, 5), "epochs": 1, "least_steps": 1, "batch": 8}
    monkeypatch.setitem(IMAGE_BASELINES, "small_cnn", images.Baseline(known.fitter, settings))
    pictures, labels = halves(25)
    found = images.fit("small_cnn", pictures, labels, 2, seed=3).predict_proba(pictures)

    scaled = torch.from_numpy((pictures - pictures.mean()) / pictures.std()).float()
    with torch.random.fork_rng():
        torch.manual_seed(3)
        network = nn.Sequential(
            *(nn.Conv2d(1, 3, 3, padding=1, bias=False), nn.MaxPool2d(2, ceil_mode=True)),
            *(nn.BatchNorm2d(3), nn.ReLU(), nn.Conv2d(3, 5, 3, padding=1, bias=False)),
            *(nn.BatchNorm2d(5), nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(5, 2)),
        )
        optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.05)
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 0.01, total_steps=3)
        order = torch.randperm(25)
    for rows in order[:24].split(8):
        chances = network(scaled[rows]).log_softmax(1)
        loss = -chances[torch.arange(8), torch.from_numpy(labels)[rows]].mean()
        parameters = list(network.parameters())
        for parameter, gradient in zip(parameters, torch.autograd.grad(loss, parameters), strict=True):
            parameter.grad = gradient
        optimizer.step()
        schedule.step()
    expected = network.eval()(scaled).softmax(1)
    np.testing.assert_allclose(found, expected.detach().numpy(), atol=1e-4)


@pytest.mark.parametrize(("least", "expected"), [(3, 14), (20, 20)])
def test_small_sets_are_seen_more_often(monkeypatch, least, expected):
    known = IMAGE_BASELINES["small_cnn"]
    settings = {**known.settings, "widths": (3, 5), "epochs": 2, "least_steps": least, "batch": 4}
    monkeypatch.setitem(IMAGE_BASELINES, "small_cnn", images.Baseline(known.fitter, settings))
    steps, draws = [], images._draws
    monkeypatch.setattr(
        images, "_draws", lambda *arguments: (steps.append(1) or rows for rows in draws(*arguments))
    )
    images.fit("small_cnn", *halves(29), 2)
    assert len(steps) == expected


@pytest.mark.parametrize("name", LEARNERS)
def test_fitting_draws_nothing_from_the_generators_of_others(quick, name):
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002 - the global state is what is under test
    state, numpy_state = torch.get_rng_state(), np.random.get_state()[1].copy()  # noqa: NPY002
    images.fit(name, *halves(29, channels=3), 2).predict_proba(halves(3, channels=3)[0])
    assert torch.equal(torch.get_rng_state(), state)
    np.testing.assert_array_equal(np.random.get_state()[1], numpy_state)  # noqa: NPY002


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("present", [(0, 3), (0, 1, 3)])
def test_a_class_without_examples_gets_no_probability(name, present):
    pictures, labels = halves(41, classes=len(present), axis=2)
    fitted = images.fit(name, pictures, np.array(present)[labels], classes=5)
    found = fitted.predict_proba(pictures)
    absent = [label for label in range(5) if label not in present]
    assert not found[:, absent].any()
    assert accuracy(fitted, pictures, np.array(present)[labels]) == 1


@pytest.mark.parametrize("name", LEARNERS)
def test_a_memory_map_in_small_parts_gives_the_same(quick, name, tmp_path, monkeypatch):
    pictures, labels = halves(29, channels=3)
    np.save(tmp_path / "pictures.npy", pictures)
    mapped = np.load(tmp_path / "pictures.npy", mmap_mode="r")
    whole = images.fit(name, pictures, labels, 2).predict_proba(pictures)
    sizes = []
    scale = images._Scaling.__call__
    monkeypatch.setattr(images, "_AT_ONCE", 7)
    fitted = images.fit(name, mapped, labels, 2)
    monkeypatch.setattr(images._Scaling, "__call__", lambda self, x: sizes.append(len(x)) or scale(self, x))
    np.testing.assert_allclose(fitted.predict_proba(mapped), whole, atol=1e-5)
    assert sizes == [7, 7, 7, 7, 1]
    assert fitted.predict_proba(mapped[:0]).shape == (0, 2)


def test_every_image_is_drawn_before_any_comes_again():
    draws = list(images._draws(10, 3, 7))
    assert [len(rows) for rows in draws] == [3] * 7
    for epoch in (draws[:3], draws[3:6]):
        assert len(set(np.concatenate(epoch).tolist())) == 9
    assert not np.array_equal(np.concatenate(draws[:3]), np.concatenate(draws[3:6]))


@pytest.mark.parametrize("name", LEARNERS)
@pytest.mark.parametrize("shape", [(1, 1, 1), (2, 1, 17), (3, 40, 33)])
def test_any_size_is_taken(quick, name, shape):
    pictures = np.random.default_rng(0).integers(256, size=(6, *shape)).astype(np.uint8)
    pictures[:, 0] = 7  # nothing to divide by
    found = images.fit(name, pictures, [0, 1, 1, 0, 1, 0], 2).predict_proba(pictures)
    np.testing.assert_allclose(found.sum(axis=1), 1)


GREY = np.zeros((2, 1, 8, 8), np.uint8)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ("tfidf_lr", GREY, [0, 1], 2),
            "unknown image baseline 'tfidf_lr'; choose one of majority, pixels_lr",
        ),
        (("majority", GREY, [0, 1], 1), "classes=1"),
        (("majority", GREY[:, 0], [0, 1], 2), r"got uint8 of \(2, 8, 8\)"),
        (("pixels_lr", GREY / 255, [0, 1], 2), r"got float64 of \(2, 1, 8, 8\)"),
        (("majority", ["a", "b"], [0, 1], 2), "got list"),
        (("small_cnn", GREY[..., :0], [0, 1], 2), "1x8x0 have no pixel"),
        (("majority", GREY, [0, 2], 2), r"label 2 is outside 0\.\.1"),
        (("majority", GREY, [0.0, 1.0], 2), "float64"),
        (("majority", GREY, [0, 1, 1], 2), "got 2 images and 3 labels"),
        (("pixels_lr", GREY, [1, 1], 2), "2 or more classes .* got only 1"),
        (("small_cnn", GREY, [1, 1], 2), "2 or more classes .* got only 1"),
    ],
)
def test_unusable_input_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        images.fit(*arguments)


@pytest.mark.parametrize("name", LEARNERS)
def test_other_sizes_than_those_fitted_on_are_refused(quick, name):
    fitted = images.fit(name, *halves(9), 2)
    with pytest.raises(ValueError, match=r"images of 1x9x8 .* fitted on 1x8x9"):
        fitted.predict_proba(np.zeros((1, 1, 9, 8), np.uint8))
    with pytest.raises(ValueError, match="got float64"):
        fitted.predict_proba(np.zeros((1, 1, 8, 9)))


def source(key, pictures, labels):
    return SplitSource(key, lambda: (pictures, labels))


def unread(key):
    def read():
        raise AssertionError(f"{key} was read although the cache holds the answer")

    return SplitSource(key, read)


def test_images_and_texts_share_the_cache(quick, tmp_path):
    pictures, labels = halves(31)
    fresh, truth = halves(17, seed=1)
    said = []
    first = baseline_scores(
        NAMES,
        source("train-1", pictures, labels),
        {"test": source("test-1", fresh, truth)},
        classes=2,
        cache=tmp_path,
        progress=said.append,
    )
    assert said == [f"{name}: fitting on 31 images" for name in NAMES]
    for name in NAMES:
        direct = images.fit(name, pictures, labels, 2, 0).predict_proba(fresh)
        assert first[name] == {"test": evaluation.summary(direct, truth)}
    again = baseline_scores(NAMES, unread("train-1"), {"test": unread("test-1")}, classes=2, cache=tmp_path)
    assert again == first

    said.clear()
    words = source("train-2", np.array(["a", "b", "a"]), [0, 1, 0])
    baseline_scores(
        ["majority", "tfidf_lr"], words, {"test": words}, classes=2, cache=tmp_path, progress=said.append
    )
    assert said == ["majority: fitting on 3 texts", "tfidf_lr: fitting on 3 texts"]


def test_the_seed_is_in_the_key_of_small_cnn_alone(tmp_path):
    def key(name, seed):
        return cache._identity(name, unread("a"), unread("b"), 2, seed)

    assert key("small_cnn", 0) != key("small_cnn", 1)
    assert "torch" in key("small_cnn", 0)["versions"]
    for name in ("majority", "pixels_lr", "tfidf_lr"):
        assert key(name, 0) == key(name, 1)
        assert set(key(name, 0)["versions"]) == {"python", "numpy", "scikit-learn", "scipy"}


def test_what_does_not_fit_together_is_refused():
    pictures, labels = halves(5)
    test = {"test": source("t", pictures, labels)}
    with pytest.raises(ValueError, match=r"unknown baseline 'svm'; choose one of .*tfidf_lr.*small_cnn"):
        baseline_scores(["majority", "svm"], unread("train"), test, classes=2)
    with pytest.raises(ValueError, match=r"train: .* 5 images and 4 labels"):
        baseline_scores(["majority"], source("a", pictures, labels[:4]), test, classes=2)
    with pytest.raises(ValueError, match="unknown image baseline 'tfidf_lr'"):
        baseline_scores(["tfidf_lr"], source("a", pictures, labels), test, classes=2)
    with pytest.raises(ValueError, match="unknown text baseline 'small_cnn'"):
        baseline_scores(["small_cnn"], source("a", ["a", "b"], [0, 1]), test, classes=2)


def test_majority_is_one_baseline():
    assert list(IMAGE_BASELINES) == NAMES
    assert IMAGE_BASELINES["majority"] is text.TEXT_BASELINES["majority"]
