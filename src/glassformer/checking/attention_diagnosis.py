"""Attention that is wrong without masks: the mistake, or the pair of mistakes, that gives its very output."""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch

from glassformer.checking.attention import Steps
from glassformer.checking.attention_mistakes import BUILT_IN, CONVENTIONS, CORE, Seeded, together
from glassformer.checking.attention_reading import Found, Reader, Reading
from glassformer.checking.exchange import Step
from glassformer.checking.forms import Form
from glassformer.checking.judging import ALMOST, EXACT, Place, distance
from glassformer.checking.localise import QUANTITIES, localise
from glassformer.checking.names import forward_role
from glassformer.checking.projections import Assignment

SINGLES_SECONDS, PAIRS_SECONDS = 3.5, 2.0
PLACED = 30
"""Readings under which the first step that differs is looked for."""


class Probe(NamedTuple):
    """Inputs and what is special about them."""

    name: str
    inputs: dict[str, Any]

    @property
    def unequal(self) -> bool:
        """Whether there are more keys than queries, or fewer."""
        return bool(self.inputs["q"].shape[-2] != self.inputs["k"].shape[-2])


Actual = dict[Form, list[tuple[Probe, np.ndarray | None]]]
Match = tuple[tuple[str, ...], Reading, Steps]


class DiagnosisStage(Reader):
    """Names what differs. actual: by form, what each probe gave; None where the code raised."""

    actual: Actual

    def _off(self, reading: Reading, steps: Steps, limit: float) -> float:
        """How far these steps are from the module, on the worst probe; inf above the limit.

        Where the module fails, these steps have to fail too.
        """
        worst, compared = 0.0, False
        for probe, seen in self.actual[reading.form]:
            wanted = self._expected(reading, probe.inputs, steps)
            if seen is None and wanted is None:
                continue
            compared = True
            worst = max(worst, distance(seen, wanted))
            if worst > limit:
                return math.inf
        return worst if compared else math.inf

    def _beside(self, reading: Reading) -> None:
        """What the reading itself tells: names and words that it contradicts, what is missing in it."""
        outcome, form = self.outcome, reading.form
        if (
            not form.batch_first
            and self.code.batch_first is not False
            and self._batch_first(self._must()) is not False
        ):
            outcome.mistake("batch-length-swapped")
        swapped = {
            name: role for name, role in form.takes.items() if _LETTERS.get(forward_role(name), role) != role
        }
        if not form.named and swapped:
            slug = {"kq": "q-k-swapped", "kv": "k-v-swapped"}.get("".join(sorted(swapped.values())))
            outcome.mistake(slug or "arguments-in-another-order")
        if reading.assignment is None:
            return
        sources = reading.assignment.sources
        if not reading.assignment.agrees:
            self.outcome.remark(_misnamed(reading.assignment))
        if any("interleaved" in each.layout for each in sources.values()):
            self.outcome.remark("interleaved-heads")
        for slug in reading.assignment.mistakes:
            self.outcome.mistake(slug)
        if "o" not in sources and self.kind.output == "needed":
            self.outcome.mistake("no-output-projection")
        # a bias is missed only where the signature asks for it and some projections have it
        asked = [name for name in self.construction if name.lower() in ("bias", "qkv_bias", "use_bias")]
        which = [role for role in sources if "qkv" not in "".join(asked) or role != "o"]
        lacking = [role for role in which if sources[role].bias is None]
        if asked and lacking == ["k"]:
            self.outcome.remark("missing-bias")  # the softmax takes it away
        elif asked and lacking and len(lacking) < len(which):
            self.outcome.mistake("missing-bias")

    def _diagnose(self, readings: list[Reading]) -> Found | None:
        """Names the mistake or the pair of mistakes that gives the very output."""
        found = (
            self._single(readings)
            or self._at_equal_lengths(readings, self._single)
            or self._pair(_ranked(readings))
        )
        if found is None:
            self._localise(readings)
        return found

    def _single(self, readings: list[Reading]) -> Found | None:
        stop = time.thread_time() + self.patience * SINGLES_SECONDS
        almost: list[Match] = []
        for group in _ranked(readings):
            exact: list[Match] = []
            for reading in group:
                if time.thread_time() > stop:
                    break
                for seeded in self._bank(reading):
                    steps = seeded.on(self.steps)
                    found = self._off(reading, steps, ALMOST)
                    if found <= ALMOST:
                        (exact if found <= EXACT else almost).append(((seeded.slug,), reading, steps))
            if exact:
                return self._name(exact)
        if almost:
            self.bar = ALMOST
            return self._name(almost)
        return None

    def _pair(self, groups: list[list[Reading]]) -> Found | None:
        stop = time.thread_time() + self.patience * PAIRS_SECONDS
        for reading in (each for group in groups for each in group):
            for first, second in combinations(_pairable(self._bank(reading)), 2):
                if time.thread_time() > stop:
                    break
                steps = together(first, second, self.steps) if first.slug != second.slug else None
                if steps is not None and self._off(reading, steps, EXACT) <= EXACT:
                    return self._name([((first.slug, second.slug), reading, steps)])
            if time.thread_time() > stop:
                break
        return None

    def _at_equal_lengths(
        self, readings: list[Reading], find: Callable[[list[Reading]], Found | None]
    ) -> Found | None:
        """What is found where the lengths at which alone the code raises are left out, and that it does."""
        whole, shorter = self.actual, self._of_equal_lengths()
        self.actual = shorter
        found = find([each for each in readings if each.form in shorter])
        if found:
            self._raises_at_unequal_lengths(found.reading.form, whole)
        else:
            self.actual = whole
        return found

    def _of_equal_lengths(self) -> Actual:
        """What was seen with as many keys as queries, where the code raises at all other lengths.

        Of forms that are as the code itself says: any other may be right there by an exchange of axes.
        """
        found = {}
        for form, ran in self.actual.items():
            equal = [each for each in ran if not each[0].unequal]
            others = [seen for probe, seen in ran if probe.unequal]
            runs = equal and all(seen is not None for _, seen in equal)
            meant = form.named and form.batch_first == (self.code.batch_first is not False)
            if meant and runs and others and all(seen is None for seen in others):
                found[form] = equal
        return found

    def _raises_at_unequal_lengths(self, form: Form, whole: Actual) -> None:
        probe = next(probe for probe, _ in whole[form] if probe.unequal)
        self._run(form, probe.inputs)
        error = self.errors[-1]
        self.outcome.mistake("equal-lengths-only")
        if error.line:
            self.outcome.lines["equal-lengths-only"] = error.line
        self.outcome.check(
            f"output, {probe.name}", False, f"{error.kind}: {error.message}".splitlines()[0][:200]
        )

    def _bank(self, reading: Reading) -> list[Seeded]:
        """The mistakes to try: of heads where there are some, of roles where the reading exchanges none."""
        bank = [*CORE, *self.kind.extra]
        if reading.masks.causal:
            bank += BUILT_IN
        if reading.sizes.heads == 1:
            bank = [each for each in bank if not each.changed & {"split", "merge"}]
        if reading.assignment and not reading.assignment.agrees:
            bank = [each for each in bank if "roles" not in each.changed]
        return bank

    def _name(self, matches: list[Match]) -> Found:
        """Names what matched first; what else matched cannot be told from it."""
        outcome = self.outcome
        slugs, reading, steps = matches[0]
        self._tell(reading)
        self._beside(reading)
        families = [
            list(dict.fromkeys(each[place] for each, _, _ in matches if place < len(each)))
            for place in range(len(slugs))
        ]
        wrong = [each for each in families if not CONVENTIONS & set(each)]
        for family in families:
            if family in wrong:
                outcome.mistake(family[0], family)
            else:
                outcome.remark(next(slug for slug in family if slug in CONVENTIONS))
        outcome.check(
            "output", not wrong,
            "differs from the reference in the way of a known mistake" if wrong
            else "right, with the heads in another order",
        )  # fmt: skip
        return Found(reading, steps, bool(wrong))

    def _localise(self, readings: list[Reading]) -> None:
        """No known mistake fits: says how far the nearest reading is off."""
        best = math.inf
        for reading in readings[:200]:
            for probe, seen in self.actual[reading.form][:1]:
                best = min(best, distance(seen, self._expected(reading, probe.inputs, self.steps)))
        self.outcome.located = self._place(readings)
        detail = (
            "however it is understood, the shape or the places of NaN differ"
            if math.isinf(best)
            else f"however it is understood, it is off by {best:.2g} of its size or more"
        )
        self.outcome.check("output", False, detail)
        self.outcome.mistake("unknown")

    def _place(self, readings: list[Reading]) -> Place | None:
        """The first step that differs, under the reading by which most of the steps are right."""
        best: Place | None = None
        steps: dict[Form, list[Step]] = {}
        for reading in readings[:PLACED]:
            probe = self.actual[reading.form][0][0]
            if reading.form not in steps:
                steps[reading.form] = self._watched(reading.form, probe.inputs)
            if not steps[reading.form]:
                continue
            seen: dict[str, torch.Tensor] = {}
            self._expected(reading, probe.inputs, self.steps, seen=seen)
            place = localise(steps[reading.form], {name: each.numpy() for name, each in seen.items()})
            if not reading.assignment and place.right in QUANTITIES[:3]:
                place = replace(place, line=0)  # it is given, and computed nowhere
            if best is None or QUANTITIES.index(place.differs) > QUANTITIES.index(best.differs):
                best = place
        return best


_LETTERS: dict[str | None, str] = {"query": "q", "key": "k", "value": "v"}


def _misnamed(assignment: Assignment) -> str:
    """Which mistake the names tell of, where trying the assignments made the output right."""
    said = {role: source.roles for role, source in assignment.sources.items()}
    if said.get("q") == "k" and said.get("k") == "q":
        return "q-k-swapped"
    if said.get("k") == "v" and said.get("v") == "k":
        return "k-v-swapped"
    return "wrong-projection"


def _pairable(bank: Sequence[Seeded]) -> list[Seeded]:
    """A few of each kind: pairs are many, and most ways to lose several biases are rare."""
    counts: dict[str, int] = {}
    kept = []
    for each in bank:
        if each.slug == "wrong-projection" and len(set(each.steps.roles)) < 2:
            continue  # all three made by one
        counts[each.slug] = counts.get(each.slug, 0) + 1
        if counts[each.slug] <= (40 if each.slug == "wrong-projection" else 4):
            kept.append(each)
    return kept


def _ranked(readings: list[Reading]) -> list[list[Reading]]:
    """Readings grouped: names and order agree, names agree, the rest; without built-in causality first."""
    groups: dict[tuple[bool, bool, bool], list[Reading]] = {}
    for each in readings:
        disagrees = bool(each.assignment) and not each.assignment.agrees
        key = (disagrees, not each.form.named, each.masks.causal)
        groups.setdefault(key, []).append(each)
    return [groups[key] for key in sorted(groups)]
