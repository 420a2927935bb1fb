"""From slugs to words: what a judge found becomes findings, with a line of the file, numbers and a hint."""

from collections.abc import Iterable

from glassformer.checking.catalogue import entry
from glassformer.checking.examples import example
from glassformer.checking.locating import line_of
from glassformer.checking.source import Code
from glassformer.checking.targets import Target
from glassformer.checking.verdict import Finding


def findings(found: Iterable[tuple[str, tuple[str, ...]]], code: Code, target: Target) -> tuple[Finding, ...]:
    return tuple(_finding(slug, family, code, target) for slug, family in found)


def _finding(slug: str, family: tuple[str, ...], code: Code, target: Target) -> Finding:
    words = entry(slug)
    line = line_of(slug, code)
    lines = target.text.splitlines()
    return Finding(
        slug,
        family,
        words.title,
        words.explanation,
        line,
        place=target.place(line) if line else "",
        code=lines[line - 1].strip() if line and line <= len(lines) else "",
        see=example(slug),
        hint=words.hint,
        solution=words.solution,
    )
