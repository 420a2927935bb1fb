"""Attention without masks: the reading under which it is right, or the mistakes that explain it."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import combinations
from typing import Any

from glassformer.checking.attention import Steps
from glassformer.checking.attention_mistakes import CAUSAL, CONVENTIONS, CORE, Seeded, together
from glassformer.checking.attention_reading import KEYS, TOKENS, Reader, Reading
from glassformer.checking.forms import Form, mask_arguments
from glassformer.checking.judging import ALMOST, EXACT, SINGLE, distance
from glassformer.checking.names import forward_role, size_role
from glassformer.checking.projections import Assignment
from glassformer.checking.runner import CodeError

SINGLES_SECONDS, PAIRS_SECONDS = 5.0, 3.0


class CoreStage(Reader):
    """Compares without masks, and names what differs."""

    def _steadiness(self, kept: list[Form]) -> None:
        """Two calls in eval mode agree; in train mode, with dropout asked for, they do not."""
        inputs = self._inputs(TOKENS, TOKENS)
        one, two = (self._run(kept[0], inputs, seed=seed) for seed in (1, 2))
        steady = distance(one, two) == 0
        self.outcome.check("two calls in eval mode agree", steady)
        asked = [name for name in self.construction if _is_dropout(name)]
        if not steady:
            self.outcome.mistake("dropout-in-eval")
        elif asked and self.kind.projected:
            one, two = (self._run(kept[0], inputs, train=True, seed=seed) for seed in (1, 2))
            drops = distance(one, two) > 0
            self.outcome.check("dropout acts in train mode", drops, f"{asked[0]}=0.3")
            if not drops:
                self.outcome.mistake("no-dropout-in-train")
        if not steady and asked:
            try:
                keywords = {**self.construction, **dict.fromkeys(asked, 0.0)}
                self.built = self.session.build(self.offer.name, (), keywords, self.seed)
            except CodeError as error:
                self.errors.append(error)

    def _probes(self, kept: list[Form]) -> list[tuple[str, dict[str, Any]]]:
        if self.kind.grid:
            return [
                ("a grid", self._inputs(1, 1)),
                ("a batch of one", self._inputs(1, 1, batch=1)),
            ]
        probes = []
        if any(form.crosses for form in kept):
            if any(form.distinct for form in kept):
                probes.append(("keys and values of their own", self._inputs(TOKENS, KEYS, values=True)))
            probes.append(("cross-attention, unequal lengths", self._inputs(TOKENS, KEYS)))
        probes.append(("self-attention", self._inputs(TOKENS, TOKENS)))
        probes.append(("a batch of one", self._inputs(TOKENS, TOKENS, batch=1)))
        probes.append(("one token", self._inputs(1, 1)))
        return probes

    def _core(self, kept: list[Form]) -> Reading | None:
        """Finds the reading under which the module is right, or the mistakes that explain it."""
        probes = self._probes(kept)
        actual = {
            (form, name): self._run(form, inputs)
            for form in kept
            for name, inputs in probes
            if form.serves(inputs)
        }
        readings = self._readings(kept, actual)

        def off(reading: Reading, steps: Steps, limit: float) -> float:
            """How far these steps are from the module, on the worst probe; inf above the limit."""
            worst = 0.0
            for name, inputs in probes:
                if (reading.form, name) in actual:
                    seen = actual[reading.form, name]
                    worst = max(worst, distance(seen, self._expected(reading, inputs, steps)))
                    if worst > limit:
                        return math.inf
            return worst

        right: Reading | None = None
        for reading in readings:
            found = off(reading, self.steps, SINGLE)
            if found <= EXACT:
                right, self.bar = reading, EXACT
                break
            if found <= SINGLE and right is None:
                right, self.bar = reading, SINGLE
        if right is None:
            self._diagnose(readings, off, actual, probes)
            return None
        if self.bar == SINGLE:
            self.outcome.remark("single-precision-inside")
        self._accept(right, probes)
        return right

    def _accept(self, reading: Reading, probes: list) -> None:
        """The module is right without masks: says how it was read, and what only its names contradict."""
        outcome, form = self.outcome, reading.form
        for name, inputs in probes:
            if form.serves(inputs):
                outcome.check(f"output, {name}", True)
        self._tell(reading)
        said = self.code.batch_first
        if not form.batch_first and said is not False and self._batch_first(self._must()) is not False:
            outcome.mistake("batch-length-swapped")
        if reading.assignment and not reading.assignment.agrees:
            outcome.remark(_misnamed(reading.assignment))
        if reading.assignment and any("interleaved" in s.layout for s in reading.assignment.sources.values()):
            outcome.remark("interleaved-heads")
        if reading.assignment and "o" not in reading.assignment.sources and self.kind.output == "needed":
            outcome.mistake("no-output-projection")
        if reading.masks.causal:
            outcome.found["causal"] = "always"
        elif self._says_causal() and not mask_arguments(self._must().forward) and not self._causal_switch():
            outcome.mistake("causal-forgotten")
        self._biases(reading)
        swapped = {
            name: role for name, role in form.takes.items() if _LETTERS.get(forward_role(name), role) != role
        }
        if not form.named and swapped:
            slug = {"kq": "q-k-swapped", "kv": "k-v-swapped"}.get("".join(sorted(swapped.values())))
            outcome.mistake(slug or "arguments-in-another-order")

    def _biases(self, reading: Reading) -> None:
        """A bias is missed only where the module's own signature asks for it and some projections have it."""
        if reading.assignment is None:
            return
        asked = [name for name in self.construction if name.lower() in ("bias", "qkv_bias", "use_bias")]
        sources = reading.assignment.sources
        which = [role for role in sources if "qkv" not in "".join(asked) or role != "o"]
        lacking = [role for role in which if sources[role].bias is None]
        if asked and lacking and len(lacking) < len(which):
            self.outcome.mistake("missing-bias")

    def _diagnose(
        self,
        readings: list[Reading],
        off: Callable[[Reading, Steps, float], float],
        actual: Mapping,
        probes: list,
    ) -> None:
        """Names the mistake or the pair of mistakes that gives the very output."""
        base = self.steps
        bank = (*CORE, *self.kind.extra)
        causal = (*bank, *(each for each in CAUSAL if each.slug != "causal-forgotten"))
        groups = _ranked(readings)
        stop = time.monotonic() + self.patience * SINGLES_SECONDS
        almost: tuple[list[str], Reading] | None = None
        for group in groups:
            near: dict[float, list[tuple[str, Reading]]] = {EXACT: [], ALMOST: []}
            for reading in group:
                if time.monotonic() > stop:
                    break
                for seeded in causal if reading.masks.causal else bank:
                    found = off(reading, seeded.on(base), ALMOST)
                    for tolerance, those in near.items():
                        if found <= tolerance:
                            those.append((seeded.slug, reading))
            if near[EXACT]:
                self._name([slug for slug, _ in near[EXACT]], near[EXACT][0][1])
                return
            if near[ALMOST] and almost is None:
                almost = [slug for slug, _ in near[ALMOST]], near[ALMOST][0][1]
        if almost:
            self._name(*almost)
            return
        stop = time.monotonic() + self.patience * PAIRS_SECONDS
        for reading in (each for group in groups for each in group):
            available = _pairable(causal if reading.masks.causal else bank)
            for first, second in combinations(available, 2):
                if time.monotonic() > stop:
                    break
                steps = together(first, second, base) if first.slug != second.slug else None
                if steps is not None and off(reading, steps, EXACT) <= EXACT:
                    self._name([first.slug], reading)
                    self.outcome.mistake(second.slug)
                    return
            if time.monotonic() > stop:
                break
        self._localise(readings, actual, probes)

    def _name(self, found: list[str], reading: Reading) -> None:
        outcome = self.outcome
        family = list(dict.fromkeys(found))
        conventions = [slug for slug in family if slug in CONVENTIONS]
        self._tell(reading)
        if conventions:
            outcome.remark(conventions[0])
            outcome.check("output", True, "right, with the heads in another order")
            self._biases(reading)
        else:
            outcome.mistake(family[0], family)
            outcome.check("output", False, "differs from the reference in the way of a known mistake")

    def _localise(self, readings: list[Reading], actual: Mapping, probes: list) -> None:
        """No known mistake fits: says how far the nearest reading is off."""
        best = math.inf
        for reading in readings[:200]:
            for name, inputs in probes[:1]:
                if (reading.form, name) in actual:
                    best = min(
                        best,
                        distance(actual[reading.form, name], self._expected(reading, inputs, self.steps)),
                    )
        detail = (
            "no reading comes near"
            if math.isinf(best)
            else f"the nearest reading is off by {best:.2g} of its size"
        )
        self.outcome.check("output", False, detail)
        self.outcome.mistake("unknown")


_LETTERS: dict[str | None, str] = {"query": "q", "key": "k", "value": "v"}


def _is_dropout(name: str) -> bool:
    return size_role(name) == "dropout"


def _misnamed(assignment: Assignment) -> str:
    """Which mistake the names tell of, where trying the assignments made the output right."""
    said = {role: source.roles for role, source in assignment.sources.items()}
    if said.get("q") == "k" and said.get("k") == "q":
        return "q-k-swapped"
    if said.get("k") == "v" and said.get("v") == "k":
        return "k-v-swapped"
    return "wrong-projection"


def _pairable(bank: Sequence[Seeded]) -> list[Seeded]:
    """One or a few of each kind: pairs are many, and most ways to lose several biases are rare."""
    counts: dict[str, int] = {}
    kept = []
    for each in bank:
        counts[each.slug] = counts.get(each.slug, 0) + 1
        if counts[each.slug] <= 4:
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
