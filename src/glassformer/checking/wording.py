"""From slugs to words: what a judge found becomes findings, with a line of the file, numbers and a hint."""

from collections.abc import Iterable, Mapping

from glassformer.checking.catalogue import entry
from glassformer.checking.examples import example
from glassformer.checking.locating import line_of
from glassformer.checking.source import Code
from glassformer.checking.targets import Target
from glassformer.checking.verdict import Finding


def findings(
    found: Iterable[tuple[str, tuple[str, ...]]], code: Code, target: Target, known: Mapping[str, int]
) -> tuple[Finding, ...]:
    """known: slug -> its line, where that is not only probable."""
    return tuple(_finding(slug, family, code, target, known.get(slug)) for slug, family in found)


def _finding(slug: str, family: tuple[str, ...], code: Code, target: Target, known: int | None) -> Finding:
    words = entry(slug)
    line = known or line_of(slug, code)
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
