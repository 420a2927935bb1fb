"""Attention without masks: the reading under which it is right, or the mistakes that explain it."""

import numpy as np

from glassformer.checking.attention_diagnosis import DiagnosisStage, Probe
from glassformer.checking.attention_reading import KEYS, TOKENS, Found, Reading
from glassformer.checking.forms import Form, mask_arguments
from glassformer.checking.judging import EXACT, SINGLE


class CoreStage(DiagnosisStage):
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
        found = self._right(readings) or self._at_equal_lengths(readings, self._right)
        if found is None:
            return self._diagnose(readings)
        if self.bar == SINGLE:
            self.outcome.remark("single-precision-inside")
        self._accept(found.reading)
        return found

    def _right(self, readings: list[Reading]) -> Found | None:
        """The first that gives what was seen, up to rounding in single precision where none does better."""
        right: Found | None = None
        for reading in readings:
            found = self._off(reading, self.steps, SINGLE)
            if found <= EXACT:
                self.bar = EXACT
                return Found(reading, self.steps)
            if found <= SINGLE and right is None:
                right, self.bar = Found(reading, self.steps), SINGLE
        return right

    def _seen_width(self, form: Form) -> int:
        """Of the outputs."""
        seen = [each for _, each in self.actual[form] if each is not None]
        return seen[0].shape[1 if self.kind.grid else -1] if seen else self.d_model

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
