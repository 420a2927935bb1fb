"""Sections about one run: what stands where."""

from types import SimpleNamespace
from typing import Any

import pytest

from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.reports.paper.document import Beside, Figure, Table
from glassformer.reports.paper.record import Record
from glassformer.reports.paper.run_sections import confusion_blocks


@pytest.mark.parametrize(
    ("names", "beside"),
    [
        (["cat", "dog"], True),
        (["cat", "a dog of a very long name"], False),
        (["cat", "非常满意的顾客"], True),
        (["cat", "非常满意并且愿意推荐"], False),
    ],
)
def test_names_that_are_long_have_the_whole_width(names: list[str], beside: bool) -> None:
    each = {"precision": 0.9, "recall": 0.9, "f1": 0.9, "count": 20}
    test = {
        "classes": names, "confusion": [[18, 2], [2, 18]], "per_class": dict.fromkeys(names, each),
        "accuracy": 0.9, "accuracy_ci95": [0.8, 0.95], "count": 40,
    }  # fmt: skip
    record: Any = SimpleNamespace(metrics={"test": test})
    blocks = confusion_blocks(record)
    assert [type(block) for block in blocks] == ([Beside] if beside else [Figure, Table])
    table = blocks[0].right[0] if beside else blocks[1]  # type: ignore[union-attr]
    assert [row[0] for row in table.rows] == names  # type: ignore[union-attr]


@pytest.mark.parametrize(("start", "tuned"), [("published", True), ("random", False)])
def test_only_published_weights_are_fine_tuned(start: Any, tuned: bool) -> None:
    model = PretrainedClassifierConfig(pretrained="there", start=start)
    run = SimpleNamespace(config=SimpleNamespace(model=model))
    assert Record.fine_tuned.fget(SimpleNamespace(run=run)) is tuned  # type: ignore[attr-defined]
