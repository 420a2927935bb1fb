"""Finds out how a module is made, stage by stage: each probe narrows what its outputs depend on.

A plan gives every question (where are the norms, which activation, which matrix is which) one option. A
probe is a call of the module with parameters that silence most of it, so that only some questions matter.
Plans with no mistake are tried first, then one mistake, then two.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from glassformer.checking.judging import distance


@dataclass(frozen=True, eq=False)
class Option:
    """One answer to a question. slugs: the mistakes that it is. likely: names and order agree with it."""

    told: str
    value: Any = None
    slugs: frozenset[str] = frozenset()
    likely: bool = True
    remark: str = ""


RIGHT_SECONDS = 20.0
"""For a search among right ways alone: it ends by itself, and right code is not missed for want of time."""
Plan = dict[str, Option]
Questions = Mapping[str, Sequence[Option]]


@dataclass(eq=False)
class Probe:
    """What the module gave, and what it gives under a plan; `asks`: the questions that matter to it."""

    name: str
    asks: tuple[str, ...]
    seen: np.ndarray | None
    expect: Callable[[Plan], np.ndarray | None]
    bar: float
    known: dict[tuple[int, ...], bool] = field(default_factory=dict)

    def fits(self, plan: Plan) -> bool:
        key = tuple(id(plan[each]) for each in self.asks)
        if key not in self.known:
            self.known[key] = distance(self.seen, self.expect(plan)) <= self.bar
        return self.known[key]


def option(told: str, value: Any = None, *slugs: str, likely: bool = True, remark: str = "") -> Option:
    return Option(told, value, frozenset(slugs), likely, remark)


def mistakes(plan: Plan) -> frozenset[str]:
    return frozenset().union(*(each.slugs for each in plan.values()))


def search(
    probes: Sequence[Probe], questions: Questions, budget: int, *, likely: bool, seconds: float
) -> list[Plan]:
    """All plans of at most `budget` mistakes that give what every probe gave; none when time is over.

    seconds: of this thread on the processor, so that a busy machine changes no verdict.
    """
    stop = time.thread_time() + seconds
    plans: list[Plan] = [{}]
    for probe in probes:
        kept: list[Plan] = []
        for longer in _candidates(probe, plans, questions, budget, likely, stop):
            if time.thread_time() > stop:
                return []
            if probe.fits(longer):
                kept.append(longer)
        if not kept:
            return []
        plans = sorted(kept, key=lambda each: len(mistakes(each)))
    return plans


def _candidates(
    probe: Probe, plans: Sequence[Plan], questions: Questions, budget: int, likely: bool, stop: float
) -> Iterator[Plan]:
    """Longer plans; at the first probe, those with the fewest mistakes that fit it, and their neighbours."""
    if plans != [{}]:
        for plan in plans:
            open_questions = [each for each in probe.asks if each not in plan]
            yield from _extended(plan, open_questions, questions, budget, likely)
        return
    level: list[Plan] = []
    fewest = -1
    while not level and fewest < budget:
        fewest += 1
        for each in _extended({}, probe.asks, questions, fewest, likely):
            if time.thread_time() > stop:
                return
            if probe.fits(each):
                level.append(each)
    seen: set[tuple[int, ...]] = set()
    for _ in range(budget - fewest + 1):
        yield from level
        changed = []
        for plan in level:
            for question in probe.asks:
                for each in questions[question]:
                    if time.thread_time() > stop:
                        return
                    other = {**plan, question: each}
                    key = tuple(id(other[name]) for name in probe.asks)
                    if (
                        each.slugs
                        and key not in seen
                        and len(mistakes(other)) <= budget
                        and probe.fits(other)
                    ):
                        seen.add(key)
                        changed.append(other)
        level = changed


def _extended(
    plan: Plan, open_questions: Sequence[str], questions: Questions, budget: int, likely: bool
) -> Iterator[Plan]:
    if not open_questions:
        yield plan
        return
    first, *rest = open_questions
    made = mistakes(plan)
    for each in questions[first]:
        if (each.likely or not likely) and len(made | each.slugs) <= budget:
            yield from _extended({**plan, first: each}, rest, questions, budget, likely)
