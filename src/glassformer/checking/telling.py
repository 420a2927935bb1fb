"""A verdict as text for a terminal, and for the message of a failed test."""

import textwrap
from collections.abc import Iterator

from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.verdict import Finding, Verdict

WIDTH = 96
PRINTED_LINES = 20


def told(verdict: Verdict, solution: bool = False) -> str:
    """The diagnosis first, then what was looked at and how the code was understood."""
    return "\n".join(_lines(verdict, solution)).rstrip()


def _lines(verdict: Verdict, solution: bool) -> Iterator[str]:
    contract = CONTRACTS.get(verdict.contract)
    title = f", as {contract.title}" if contract else ""
    guessed = f" (guessed from {verdict.guessed}; choose another with --as)" if verdict.guessed else ""
    yield f"{verdict.target}{title}{guessed}: {verdict.word.upper()}"
    if verdict.error:
        yield ""
        yield verdict.question or verdict.error
    for finding in verdict.mistakes:
        yield ""
        yield from _finding(finding, solution)
    if verdict.remarks:
        yield ""
        yield "remarks: no mistakes, but worth knowing"
    for finding in verdict.remarks:
        yield ""
        yield from _finding(finding, solution)
    if verdict.checks:
        yield ""
        yield f"looked at: {sum(each.passed for each in verdict.checks)} of {len(verdict.checks)} passed"
        for check in verdict.checks:
            detail = f"  ({check.detail})" if check.detail else ""
            yield f"  {'ok  ' if check.passed else 'FAIL'}  {check.name}{detail}"
    if verdict.found:
        yield ""
        yield "understood as"
        for name, value in verdict.found.items():
            yield from _understood(name.replace("_", " "), value)
    if verdict.printed.strip():
        yield ""
        yield "it printed"
        lines = verdict.printed.strip().splitlines()
        yield from (f"  | {line}" for line in lines[:PRINTED_LINES])
        if len(lines) > PRINTED_LINES:
            yield f"  | ... and {len(lines) - PRINTED_LINES} lines more"


def _finding(finding: Finding, solution: bool) -> Iterator[str]:
    yield f"* {finding.title}  [{finding.id}]"
    if finding.line:
        yield f"  {finding.place}: {finding.code}"
    yield from _wrapped(finding.explanation)
    others = [each for each in finding.family if each != finding.id]
    if others:
        yield from _wrapped(f"It cannot be told from: {', '.join(others)}.")
    if finding.see:
        yield ""
        yield from (f"    {line}" if line else "" for line in finding.see.splitlines())
        yield ""
    if finding.hint:
        yield from _wrapped(f"Hint: {finding.hint}")
    if solution and finding.solution:
        yield "  Solution:"
        yield from (f"    {line}" for line in finding.solution.splitlines())


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _understood(name: str, value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, each in value.items():
            yield f"  {key}: {each}"
    elif value is not None:
        yield f"  {name}: {'yes' if value is True else 'no' if value is False else value}"
