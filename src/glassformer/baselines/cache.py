"""Baseline figures, fitted once and remembered: arrays and JSON, no pickle.

An entry is two files, `<key>.npz` (probabilities, labels) and `<key>.json` (what was hashed into the key, and
the checksum of the arrays). The JSON is written last and seals the entry. Figures are computed from the
arrays on every call, so a cached figure cannot disagree with the predictions behind it.
"""

import contextlib
import hashlib
import io
import json
import os
import platform
import uuid
import zipfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from glassformer import evaluation
from glassformer.baselines import images, text

# Raise this when fitting changes in a way the settings do not show.
_REVISION = 1


@dataclass(frozen=True)
class SplitSource:
    """A split that is read only when needed: `key` is its checksum, `read()` gives (inputs, labels).

    inputs: texts, or one uint8 array of images, (n, channels, height, width), which may be memory-mapped.
    """

    key: str
    read: Callable[[], tuple[Iterable[str] | NDArray[np.uint8], ArrayLike]]

    def __post_init__(self) -> None:
        if not self.key:
            raise ValueError("a SplitSource needs a key that identifies its data, got ''; pass its checksum")


def baseline_scores(
    names: Sequence[str],
    train: SplitSource,
    splits: Mapping[str, SplitSource],
    classes: int,
    seed: int = 0,
    cache: Path | None = None,
    progress: Callable[[str], None] | None = None,
) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures of each baseline on each split: slug -> split -> `evaluation.summary`.

    Everything is fitted on `train` alone. With `cache`, an entry per baseline and split is reused; when every
    entry is there, no input is read. The seed is part of the key where a baseline depends on it.

    Raises ValueError for an unknown baseline, before anything is read, and for what `text.fit`, `images.fit`
    or `evaluation.check` refuse.
    """
    known = _baselines()
    for name in names:
        if name not in known:
            raise ValueError(f"unknown baseline {name!r}; choose one of {', '.join(known)}")
    say = progress or (lambda message: None)
    read = _reader({"train": train, **{f"split {split}": source for split, source in splits.items()}})
    scores: dict[str, dict[str, dict[str, Any]]] = {}
    for name in names:
        identities = {
            split: _identity(name, train, source, classes, seed) for split, source in splits.items()
        }
        loaded = {split: _load(cache, identity) for split, identity in identities.items()}
        found = {split: entry for split, entry in loaded.items() if entry is not None}
        missing = [split for split in splits if split not in found]
        if splits and not missing:
            say(f"{name}: from the cache")
        if missing:
            inputs, labels = read("train")
            say(f"{name}: fitting on {len(labels):,} {_word(inputs)}")
            fit = images.fit if _word(inputs) == "images" else text.fit
            fitted = fit(name, inputs, labels, classes, seed)
            for split in missing:
                inputs, labels = read(f"split {split}")
                found[split] = fitted.predict_proba(inputs), labels
                # before anything is stored: an unusable label must not reach the cache
                evaluation.check(*found[split])
                try:
                    _store(cache, identities[split], *found[split])
                except OSError as error:
                    # The figures are in hand: a full or read-only cache must not cost the run its result.
                    say(f"{name}: not cached ({error})")
        scores[name] = {split: evaluation.summary(*found[split]) for split in splits}
    return scores


def _baselines() -> dict[str, text.Baseline]:
    return text.TEXT_BASELINES | images.IMAGE_BASELINES


def _reader(sources: dict[str, SplitSource]) -> Callable[[str], tuple[Any, NDArray[np.int64]]]:
    """Reads each source at most once: the callables may be slow, and iterables may be spent."""
    kept: dict[str, tuple[Any, NDArray[np.int64]]] = {}

    def read(which: str) -> tuple[Any, NDArray[np.int64]]:
        if which not in kept:
            inputs, labels = sources[which].read()
            # a column of texts may be an array too; a list of it is what the text baselines take
            as_array = isinstance(inputs, np.ndarray) and inputs.ndim > 1
            kept[which] = inputs if as_array else list(inputs), np.asarray(labels)
            inputs, labels = kept[which]
            try:
                text.check_lengths(len(inputs), len(labels), _word(inputs))
            except ValueError as error:
                raise ValueError(f"{which}: {error}") from None
        return kept[which]

    return read


def _word(inputs: Any) -> str:
    """What the inputs are called, and so whose baselines they are for."""
    return "images" if isinstance(inputs, np.ndarray) else "texts"


def _identity(name: str, train: SplitSource, split: SplitSource, classes: int, seed: int) -> dict[str, Any]:
    """All that decides the probabilities, as JSON gives it back (tuples become lists)."""
    baseline = _baselines()[name]
    identity: dict[str, Any] = {
        "baseline": name,
        "classes": int(classes),
        "revision": _REVISION,
        "settings": dict(baseline.settings),
        "split": split.key,
        "train": train.key,
        # Python's version decides what \w matches: its Unicode tables.
        "versions": {
            "python": platform.python_version(),
            **{each: version(each) for each in baseline.libraries},
        },
    }
    if baseline.seeded:
        identity["seed"] = int(seed)
    return json.loads(json.dumps(identity))


def _paths(cache: Path, identity: dict[str, Any]) -> tuple[Path, Path]:
    key = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()
    return cache / f"{key}.npz", cache / f"{key}.json"


def _load(
    cache: Path | None, identity: dict[str, Any]
) -> tuple[NDArray[np.float64], NDArray[np.int64]] | None:
    """The entry's (probabilities, labels), or None where it is absent, damaged or not ours."""
    if cache is None:
        return None
    arrays, seal = _paths(cache, identity)
    try:
        content = arrays.read_bytes()
        if json.loads(seal.read_bytes()) != {"arrays_sha256": _sha256(content), "identity": identity}:
            return None
        with np.load(io.BytesIO(content), allow_pickle=False) as file:
            probabilities, labels = file["probabilities"], file["labels"]
        evaluation.check(probabilities, labels)
    except (OSError, ValueError, KeyError, TypeError, EOFError, RecursionError, zipfile.BadZipFile):
        return None
    return (probabilities, labels) if probabilities.shape[1] == identity["classes"] else None


def _store(
    cache: Path | None, identity: dict[str, Any], probabilities: NDArray[Any], labels: NDArray[Any]
) -> None:
    if cache is None:
        return
    cache.mkdir(parents=True, exist_ok=True)
    arrays, seal = _paths(cache, identity)
    buffer = io.BytesIO()
    np.savez(buffer, probabilities=probabilities, labels=labels)
    content = buffer.getvalue()
    _write(arrays, content)
    sealed = {"arrays_sha256": _sha256(content), "identity": identity}
    _write(seal, json.dumps(sealed, indent=2, sort_keys=True).encode())


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes) -> None:
    """Another process sees the old file or the whole new one, never a part."""
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
    try:
        temporary.write_bytes(content)
        os.replace(temporary, path)
    finally:
        # gone after the rename; left behind only by a failure
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
