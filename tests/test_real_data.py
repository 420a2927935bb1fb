"""On the real reviews, where they are at hand: GLASSFORMER_DATA names their folder."""

import json
import os
from pathlib import Path

import pytest

from glassformer.cli import main

needs_imdb = pytest.mark.skipif(
    not (Path(os.environ.get("GLASSFORMER_DATA", "/nowhere")) / "imdb" / "train.parquet").is_file(),
    reason="GLASSFORMER_DATA names no folder with imdb/train.parquet",
)


@needs_imdb
def test_a_twentieth_of_imdb_is_learnt(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Far below the preset's figure, far above chance: the whole road on real text, in seconds."""
    monkeypatch.setenv("GLASSFORMER_CACHE", str(tmp_path / "cache"))
    command = f"train imdb --data.fraction 0.05 --fit.epochs 4 --no-baselines --run-dir {tmp_path / 'run'}"
    assert main(command.split()) == 0
    metrics = json.loads((tmp_path / "run" / "metrics.json").read_text())
    assert metrics["test"]["count"] == 25_000
    assert metrics["validation"]["count"] == 2_500
    assert metrics["test"]["accuracy"] > 0.7
