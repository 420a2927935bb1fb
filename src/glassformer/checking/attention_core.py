"""Attention without masks: the reading under which it is right, or the mistakes that explain it."""

import math
import time
from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
import torch

from glassformer.checking.attention import Steps
from glassformer.checking.attention_mistakes import BUILT_IN, CONVENTIONS, CORE, Seeded, together
from glassformer.checking.attention_reading import KEYS, TOKENS, Found, Reader, Reading
from glassformer.checking.exchange import Step
from glassformer.checking.forms import Form, mask_arguments
from glassformer.checking.judging import ALMOST, EXACT, SINGLE, Place, distance
from glassformer.checking.localise import QUANTITIES, localise
from glassformer.checking.names import forward_role
from glassformer.checking.projections import Assignment

SINGLES_SECONDS, PAIRS_SECONDS = 4.0, 3.0
PLACED = 30
"""Readings under which the first step that differs is looked for."""


class Probe(NamedTuple):
    """Inputs and what is special about them."""

    name: str
    inputs: dict[str, Any]


Match = tuple[tuple[str, ...], Reading, Steps]


class CoreStage(Reader):
    """Compares without masks, and names what differs."""

    def _steadiness(self, form: Form) -> None:
        """Two calls agree; where dropout keeps them from it, the module is built again without."""
        inputs = self._inputs(TOKENS, TOKENS)
        steady = self.steady(lambda **options: self._run(form, inputs, **options), self.kind.projected)
        if not steady and self.dropouts:
            quiet = {**self.construction, **dict.fromkeys(self.dropouts, 0.0)}
            self.built = self.build(quiet) or self.built

    def _registered(self) -> None:
        """Names what stands in a plain list; it is judged as if torch saw it."""
        hidden = list(self._must().hidden)
        if hidden:
            self.outcome.mistake("layers-in-list")
            self.outcome.check("every parameter is registered", False, f"torch does not see {hidden[0]}")

    def _probes(self, kept: list[Form]) -> list[Probe]:
        """All sizes distinct; then as many keys as queries, where some mistakes only then run."""
        if self.kind.grid:
            return [
                Probe("a grid", self._inputs(1, 1)),
                Probe("a batch of one", self._inputs(1, 1, batch=1)),
            ]
        crosses, distinct = (any(getattr(form, each) for form in kept) for each in ("crosses", "distinct"))
        probes = []
        if distinct:
            probes.append(Probe("keys and values of their own", self._inputs(TOKENS, KEYS, values=True)))
        if crosses:
            probes.append(Probe("cross-attention, unequal lengths", self._inputs(TOKENS, KEYS)))
            apart = self._inputs(TOKENS, TOKENS, values=True)
            if not distinct:
                apart["v"] = apart["k"]
            probes.append(Probe("cross-attention, equal lengths", apart))
        probes.append(Probe("self-attention", self._inputs(TOKENS, TOKENS)))
        probes.append(Probe("a batch of one", self._inputs(TOKENS, TOKENS, batch=1)))
        probes.append(Probe("one token", self._inputs(1, 1)))
        return probes

    def _core(self, kept: list[Form]) -> Found | None:
        """Finds the reading under which the module is right, or the mistakes that explain it."""
        probes = self._probes(kept)
        self.actual = {
            form: [(probe, self._run(form, probe.inputs)) for probe in probes if form.serves(probe.inputs)]
            for form in kept
        }
        seen = [each for ran in self.actual.values() for _, each in ran if each is not None]
        if seen and all(np.isnan(each).all() for each in seen):
            self.outcome.check("numbers come out", False, "every one is NaN")
            self.outcome.mistake("nan-everywhere")
            return None
        readings = self._readings(kept, {form: self._seen_width(form) for form in kept})
        right: Reading | None = None
        for reading in readings:
            found = self._off(reading, self.steps, SINGLE)
            if found <= EXACT:
                right, self.bar = reading, EXACT
                break
            if found <= SINGLE and right is None:
                right, self.bar = reading, SINGLE
        if right is None:
            return self._diagnose(readings)
        if self.bar == SINGLE:
            self.outcome.remark("single-precision-inside")
        self._accept(right)
        return Found(right, self.steps)

    def _seen_width(self, form: Form) -> int:
        """Of the outputs."""
        seen = [each for _, each in self.actual[form] if each is not None]
        return seen[0].shape[1 if self.kind.grid else -1] if seen else self.d_model

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

    def _accept(self, reading: Reading) -> None:
        """The module is right without masks: says how it was read, and what only its names contradict."""
        outcome, form = self.outcome, reading.form
        for probe, _ in self.actual[form]:
            outcome.check(f"output, {probe.name}", True)
        self._tell(reading)
        if reading.masks.causal:
            outcome.found["causal"] = "always"
        elif self._says_causal() and not mask_arguments(self._must().forward) and not self._causal_switch():
            outcome.mistake("causal-forgotten")
        self._beside(reading)

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
        groups = _ranked(readings)
        stop = time.monotonic() + self.patience * SINGLES_SECONDS
        almost: list[Match] = []
        for group in groups:
            exact: list[Match] = []
            for reading in group:
                if time.monotonic() > stop:
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
        stop = time.monotonic() + self.patience * PAIRS_SECONDS
        for reading in (each for group in groups for each in group):
            for first, second in combinations(_pairable(self._bank(reading)), 2):
                if time.monotonic() > stop:
                    break
                steps = together(first, second, self.steps) if first.slug != second.slug else None
                if steps is not None and self._off(reading, steps, EXACT) <= EXACT:
                    return self._name([((first.slug, second.slug), reading, steps)])
            if time.monotonic() > stop:
                break
        self._localise(readings)
        return None

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
