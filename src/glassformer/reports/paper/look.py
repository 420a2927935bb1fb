"""One look inside a run, for its paper: an input chosen by a rule, so that nobody picked it."""

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from glassformer.errors import UsageError
from glassformer.explain.explanation import Explanation, explain
from glassformer.reports.paper.record import Record
from glassformer.tasks.base import Report

LEAST_WORDS, LOOKED_THROUGH, LETTERS = 15, 200, 60
FIRST = "It is a validation example, taken by its place in the split alone."


def look_inside(
    record: Record, given: str | None, examples: int, seed: int, data_dir: str | None, report: Report
) -> tuple[Explanation | None, str]:
    """The explanation, and how its input was chosen; None and the reason where there is none.

    given: an input of the user's own; else one of validation, see `chosen`. examples: of validation, to
    measure on what the picture is worth. Raises UsageError for an input that the model does not take.
    """
    settings: dict[str, Any] = {
        "examples": examples, "ablation": False, "seed": seed, "data_dir": data_dir, "report": report,
    }  # fmt: skip
    if given is not None:
        return explain(record.run, given, **settings), "The input was given."
    if record.prepared is None:
        return None, f"The data is not at hand ({record.missing}), so no example was looked at."
    candidates = record.run.task.some_examples(record.prepared, record.run.config, LOOKED_THROUGH)
    if not candidates:
        return None, "The task shows no examples, so none was looked at."
    try:
        if isinstance(candidates[0][0], np.ndarray):
            from PIL import Image

            pixels = np.asarray(candidates[0][0])
            with TemporaryDirectory(prefix="glassformer-") as folder:
                # the model reads files, of any size; this one has the size of its data
                path = Path(folder) / "validation.png"
                Image.fromarray(pixels[0] if len(pixels) == 1 else pixels.transpose(1, 2, 0)).save(path)
                return explain(record.run, str(path), **settings), f"{FIRST} {_right(candidates[0][1])}"
        place, rule = chosen([text for text, _ in candidates])
        text, answer = candidates[place]
        return explain(record.run, text, **settings), f"{rule} {_right(answer)}"
    except UsageError as error:
        return None, f"Not looked into: {error}."


def _right(answer: str) -> str:
    return f"Its right answer is {answer[:LETTERS]!r}."


def chosen(texts: list[str]) -> tuple[int, str]:
    """Which text to look at, and by what rule: the shortest that is no mere cry, to be printed."""
    long = [place for place, text in enumerate(texts) if len(text.split()) >= LEAST_WORDS]
    if not long:
        return 0, FIRST
    return min(long, key=lambda place: len(texts[place])), (
        f"It is the shortest of {len(texts):,} validation examples, evenly spaced in the split, that has "
        f"{LEAST_WORDS} words or more."
    )
