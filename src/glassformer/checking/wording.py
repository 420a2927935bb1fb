"""From slugs to words: what a judge found becomes findings, with a line of the file, numbers and a hint."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from glassformer.checking.catalogue import entry
from glassformer.checking.examples import example
from glassformer.checking.judging import Place
from glassformer.checking.locating import line_of
from glassformer.checking.source import Code
from glassformer.checking.targets import Target
from glassformer.checking.verdict import Finding, Located

KERNELS = re.compile(r"scaled_dot_product_attention\s*\(|\bMultiheadAttention\s*\(")
"""Calls of torch's own attention, which makes the scores and the weights out of sight."""


def findings(
    found: Iterable[tuple[str, tuple[str, ...]]],
    code: Code,
    target: Target,
    known: Mapping[str, int],
    *,
    remarks: bool = False,
) -> tuple[Finding, ...]:
    """known: slug -> its line, where that is not only probable. remarks: whether these are no mistakes."""
    return tuple(_finding(slug, family, code, target, known.get(slug), remarks) for slug, family in found)


def _finding(
    slug: str, family: tuple[str, ...], code: Code, target: Target, known: int | None, remark: bool
) -> Finding:
    words = entry(slug)
    line = known or line_of(slug, code)
    on_top = words.kernel and KERNELS.search(code.text) and "softmax" not in code.text
    return Finding(
        slug,
        family,
        (words.remark_title if remark else "") or words.title,
        (words.remark if remark else "") or words.explanation,
        **(written(line, target) if line else {}),
        see="" if remark and words.remark else example(slug),  # it shows a mistake
        hint=words.hint,
        solution=words.kernel if on_top else words.solution,
    )


def located(place: Place | None, target: Target) -> Located | None:
    """Where an unknown mistake begins, with the line of the last step that is right."""
    if place is None:
        return None
    return Located(place.right, place.differs, **(written(place.line, target) if place.line else {}))


def written(line: int, target: Target) -> dict[str, Any]:
    """Where a line of the text is, its number counted in its cell where there are some; what stands there."""
    earlier = [each for each in target.cells if each[1] <= line]
    cell, start = earlier[-1] if earlier else (None, 1)
    lines = target.text.splitlines()
    code = lines[line - 1].strip() if line <= len(lines) else ""
    return {"line": line - start + 1, "cell": cell, "place": target.place(line), "code": code}
