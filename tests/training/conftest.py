"""Small runs that several test modules look at."""

from pathlib import Path

import pytest
from tests.helpers import reviews, write_csv
from tests.pretrained.conftest import saved  # noqa: F401 - a fixture of these tests too

from glassformer.cli import main


@pytest.fixture(scope="session")
def text_run(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> Path:
    """A run of the task `text` that has learnt to tell good words from bad ones."""
    folder = tmp_path_factory.mktemp("text")
    words, labels = reviews(240)
    rows = [(text, ("bad", "good")[label]) for text, label in zip(words, labels, strict=True)]
    path = write_csv(folder / "reviews.csv", rows)
    status = main(
        f"train text --data.train {path} --fit.epochs 20 --threads 1 --run-dir {folder / 'run'} "
        "--precision fp32 --model.d-model 8 --model.d-ff 12 --model.embedding-dropout 0 "
        "--data.token-dropout 0.1".split()
    )
    assert status == 0
    return folder / "run"
