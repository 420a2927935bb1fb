"""What the benchmarks call ours as shipped has the attention of the preset that users get on a processor."""

import importlib
from pathlib import Path

import pytest

from glassformer.tasks import find_task


@pytest.mark.parametrize(("script", "task"), [("text_training", "imdb"), ("vision_training", "cifar10")])
def test_as_shipped_is_what_is_shipped(script: str, task: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
    form = importlib.import_module(script).VARIANTS["ours as shipped"]
    assert form["attention"] == find_task(task).preset(None, None, "cpu").model.attention
