"""A verdict as text for a terminal, and for the message of a failed test."""

import textwrap
from collections.abc import Iterator

from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.verdict import Finding, Located, Verdict

WIDTH = 96
PRINTED_LINES = 20


def told(verdict: Verdict, solution: bool = False) -> str:
    """The diagnosis first, then what was looked at and how the code was understood."""
    return "\n".join(_lines(verdict, solution)).rstrip()


def _lines(verdict: Verdict, solution: bool) -> Iterator[str]:
    contract = CONTRACTS.get(verdict.contract)
    title = f", as {contract.title}" if contract else ""
    guessed = f" (guessed from {verdict.guessed}; choose another with --as)" if verdict.guessed else ""
    yield f"{verdict.target}{title}{guessed}: {verdict.word.upper()}{_reservation(verdict)}"
    if verdict.error or verdict.question:
        yield ""
        yield verdict.question or verdict.error
        if verdict.asks and contract:
            yield ""
            yield from _wrapped(f"{contract.title}: {verdict.asks}")
    for finding in verdict.mistakes:
        yield ""
        yield from _finding(finding, solution)
        if finding.id == "unknown" and verdict.located:
            yield from _located(verdict.located)
        if finding.id == "unknown" and contract and "signature" in verdict.guessed:
            yield from _wrapped(
                f"That {contract.title} is meant was guessed. If it is something else, none of this holds: "
                "give --as and what it is, where there is a contract for it."
            )
    if verdict.remarks:
        yield ""
        yield "remarks: no mistakes, but worth knowing"
    for finding in verdict.remarks:
        yield ""
        yield from _finding(finding, solution)
    if verdict.checks:
        yield ""
        passed = f"{sum(each.passed for each in verdict.checks)} of {len(verdict.checks)} passed"
        yield f"looked at: {passed}{f'; {len(verdict.left_out)} not tried' if verdict.left_out else ''}"
        for check in verdict.checks:
            detail = f"  ({check.detail})" if check.detail else ""
            yield f"  {'ok  ' if check.passed else 'FAIL'}  {check.name}{detail}"
    yield from (f"  not tried: {each}" for each in verdict.left_out)
    if verdict.understood:
        yield ""
        yield "understood as"
        yield from (f"  {each}" for each in verdict.understood)
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
        yield f"  probably {finding.place}: {finding.code}"
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


def _reservation(verdict: Verdict) -> str:
    """Of right code: that something of it was never looked at."""
    if not (verdict.correct and verdict.never_given):
        return ""
    return f" in what was looked at; never given: {', '.join(verdict.never_given)}"


def _wrapped(text: str) -> list[str]:
    return textwrap.wrap(text, WIDTH, initial_indent="  ", subsequent_indent="  ")


def _located(found: Located) -> Iterator[str]:
    """Where an unknown mistake begins."""
    if not found.right:
        yield from _wrapped(
            "Where it begins: none of its steps gives queries, keys, values, scores or weights as the "
            "formula has them."
        )
        return
    yield "  Where it begins:"
    where = f", {found.place}: {found.code}" if found.place else ""
    yield f"    still right: the {found.right}{where}"
    yield f"    differs first: the {found.differs}, which is computed after that"
