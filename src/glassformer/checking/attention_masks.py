"""Attention with masks: how they are given, and what is wrong with what is done with them."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import combinations
from typing import Any

import numpy as np
import torch

from glassformer.checking.attention import Masks, Steps
from glassformer.checking.attention_mistakes import (
    CAUSAL,
    COMBINED,
    EMPTY_ROWS,
    HIDING,
    PADDING,
    Seeded,
    together,
)
from glassformer.checking.attention_reading import BATCH, TOKENS, Reader, Reading
from glassformer.checking.forms import Form, Inputs, Said, Slot, mask_arguments, mask_said, slots
from glassformer.checking.judging import distance
from glassformer.checking.runner import Built, CodeError

UNMASKABLE = ("qk", "11qk", "1qk", "k", "lengths")
"""Shapes in which one row of a batch cannot be hidden alone."""


class MaskStage(Reader):
    """Finds the way each mask is given, and compares with it."""

    def _mask_inputs(self) -> dict[str, tuple[dict[str, Any], Masks]]:
        """Probes with masks; padding leaves a key in every row, inverted too, and differs from row to row."""
        inputs = self._inputs(TOKENS, TOKENS)
        padding = torch.arange(TOKENS)[None] < torch.tensor([[5], [3], [6], [2]])
        return {
            "padding": (inputs, Masks(padding)),
            "causal": (inputs, Masks(causal=True)),
            "padding and causal": (inputs, Masks(padding, True)),
        }

    def _masks(self, reading: Reading) -> None:
        built = self._must()
        arguments = mask_arguments(built.forward)
        switch = self._causal_switch()
        if self.kind.grid or not (arguments or switch):
            return
        probes = self._mask_inputs()
        padding = self._part("padding", reading, probes, arguments)
        causal = self._part("causal", reading, probes, arguments) if not reading.masks.causal else None
        if causal is not None:
            given = self._given(causal, probes["causal"][0], Masks(causal=True), reading.form)
            if self._ored_with_nothing(reading, probes, arguments, given):
                return
        if causal is None and switch and not reading.masks.causal:
            self._switched(switch, reading, probes, padding, arguments)
        for argument in arguments:
            flags = [each for each in slots(argument, "causal", Said(None)) if each.meaning == "flag"]
            if flags and causal is not None and causal.argument != argument.name:
                inputs, masks = probes["causal"]
                output = self._run(reading.form, inputs, {argument.name: True})
                if output is None:  # a mere hint, as in torch's own layer, wants the mask too
                    continue
                self._causal_verdict(reading, inputs, masks, output, f"{argument.name}=True")
                if padding is not None:
                    self._combined(reading, probes, padding, flags[0])
        if padding is not None and causal is not None:
            self._combined(reading, probes, padding, causal)

    def _ored_with_nothing(
        self,
        reading: Reading,
        probes: Mapping[str, tuple[dict, Masks]],
        arguments: Sequence,
        causal: Mapping[str, Any],
        built: Built | None = None,
    ) -> bool:
        """Padding that does nothing alone may be OR-ed: with a causal mask beside it that shows."""
        if "padding-ignored" not in [slug for slug, _ in self.outcome.mistakes]:
            return False
        inputs, masks = probes["padding and causal"]
        for argument in arguments:
            for slot in slots(argument, "padding", Said(None)) if argument.name not in causal else ():
                given = {**self._given(slot, inputs, Masks(masks.padding), reading.form), **causal}
                output = self._run(reading.form, inputs, given, built)
                if output is not None and self._matching(output, COMBINED, reading, inputs, masks):
                    said = ("padding-ignored", "unknown-mask")
                    kept = [each for each in self.outcome.mistakes if each[0] not in said]
                    self.outcome.mistakes = [*kept, ("masks-or-ed", ("masks-or-ed",))]
                    return True
        return False

    def _given(self, slot: Slot, inputs: Inputs, masks: Masks, form: Form) -> dict[str, Any]:
        """The keyword that gives this part of the masks through this slot."""
        queries, keys = inputs["q"].shape[-2], inputs["k"].shape[-2]
        batch = len(inputs["q"])
        if (
            masks.padding is not None
            and not masks.causal
            and slot.shape in ("bk", "b1k", "b11k", "k", "lengths")
        ):
            allowed = masks.padding.numpy()
        else:
            allowed = np.ones((batch, 1, queries, keys), dtype=bool)
            if masks.padding is not None:
                allowed = allowed & masks.padding.numpy()[:, None, None, :]
            if masks.causal:
                allowed = allowed & np.tril(np.ones((queries, keys), dtype=bool))[None, None]
        if not form.batched:
            allowed = allowed[:1]
            if slot.shape in ("bqk", "bk"):
                return {slot.argument: slot.given(allowed)[0] if slot.meaning != "flag" else True}
        return {slot.argument: slot.given(allowed)}

    def _part(
        self, part: str, reading: Reading, probes: Mapping[str, tuple[dict, Masks]], arguments: Sequence
    ) -> Slot | None:
        """Finds how this part of the masks is given, or what is wrong with what is done with it."""
        inputs, masks = probes[part]
        masks = replace(masks, causal=masks.causal or reading.masks.causal)
        right = self._expected(reading, inputs, self.steps, masks)
        ran: list[tuple[Slot, np.ndarray]] = []
        for argument in arguments:
            said = mask_said(argument.name, _about(argument.name, self.code.words))
            for slot in slots(argument, part, said):
                own = Masks(masks.padding, part == "causal")
                output = self._run(reading.form, inputs, self._given(slot, inputs, own, reading.form))
                if output is None:
                    continue
                if self._same_where_real(output, right, inputs, masks):
                    if (
                        said.strict
                        and said.meaning in ("attend", "ignore")
                        and slot.meaning not in (said.meaning, "additive", "flag")
                    ):
                        if "padding-inverted" in [slug for slug, _ in self.outcome.mistakes]:
                            return None  # one mask argument serves both
                        slug = "padding-inverted" if part == "padding" else "causal-transposed"
                        self.outcome.check(
                            f"mask, {part}", False, f"True means the opposite of what {said.where} say"
                        )
                        self.outcome.mistake(slug)
                        return None
                    self.outcome.check(f"mask, {part}", True, f"{slot.argument}: {_told(slot)}")
                    if slot.meaning in ("attend", "ignore"):
                        self.outcome.found["mask_true_means"] = slot.meaning
                    told = f"{part} mask, {_told(slot)}"
                    self.outcome.found["arguments"].setdefault(slot.argument, told)
                    return slot
                ran.append((slot, output))
        if ran:
            self._wrong_mask(part, reading, inputs, masks, ran)
        return None

    def _same_where_real(
        self, output: np.ndarray, right: np.ndarray | None, inputs: Inputs, masks: Masks
    ) -> bool:
        """Equal everywhere, or at least at queries that are no padding themselves."""
        if distance(output, right) < self.bar:
            return True
        if self.wrong and right is not None and not np.isfinite(right).all():
            return True  # a softmax over something else, say: the masks cannot be told from it
        if (
            right is None
            or masks.padding is None
            or output.shape != right.shape
            or inputs["q"] is not inputs["k"]
        ):
            return False
        real = masks.padding.numpy()[: len(output)]
        return distance(output[real], right[real]) < self.bar

    def _wrong_mask(
        self,
        part: str,
        reading: Reading,
        inputs: Inputs,
        masks: Masks,
        ran: list[tuple[Slot, np.ndarray]],
    ) -> None:
        unmasked = self._expected(
            reading, inputs, self.steps, replace(masks, padding=None, causal=reading.masks.causal)
        )
        matched: list[str] = []
        for output in _different(ran):
            matched = self._matching(output, _bank(part), reading, inputs, masks)
            if matched:
                break
        ignored = "padding-ignored" if part == "padding" else "causal-forgotten"
        if not matched and all(distance(output, unmasked) < self.bar for _, output in ran):
            matched = [ignored]
        if matched:
            slugs = list(dict.fromkeys(matched))
            if part == "causal" and any(slug in slugs for slug, _ in self.outcome.mistakes):
                return  # said already: one mask argument serves both
            if (
                slugs == [ignored]
                and part == "causal"
                and any(s == "padding-ignored" for s, _ in self.outcome.mistakes)
            ):
                return
            self.outcome.check(f"mask, {part}", False, "differs in the way of a known mistake")
            self.outcome.mistake(slugs[0], slugs)
            return
        if part == "causal" and any(slot.meaning != "flag" for slot, _ in ran) and self._padding_is_right():
            return
        if self._pair_with_mask(part, reading, inputs, masks, ran):
            return
        self.outcome.check(f"mask, {part}", False, "no known way of masking gives this")
        self._wrongly_masked([])

    def _wrongly_masked(self, found: Sequence[str]) -> None:
        """Names what was found; that nothing was, only where nothing else is wrong that may be the reason."""
        if found:
            self.outcome.mistake(found[0], found)
        elif not self.wrong:
            self.outcome.mistake("unknown-mask")

    def _matching(
        self, output: np.ndarray, bank: Sequence[Seeded], reading: Reading, inputs: Inputs, masks: Masks
    ) -> list[str]:
        """The mistakes that give this very output."""
        return [
            each.slug for each in bank if self._gives(output, each.on(self.steps), reading, inputs, masks)
        ]

    def _gives(
        self, output: np.ndarray | None, steps: Steps, reading: Reading, inputs: Inputs, masks: Masks
    ) -> bool:
        """Whether these steps give this output, whatever they do where a query may attend to nothing."""
        for _, change in EMPTY_ROWS:
            wanted = self._expected(reading, inputs, change(steps), masks)
            if distance(output, wanted) < self.bar:
                return True
            if wanted is not None and not np.isnan(wanted).any():
                return False  # no such query
        return False

    def _padding_is_right(self) -> bool:
        return any(each.name == "mask, padding" and each.passed for each in self.outcome.checks)

    def _pair_with_mask(
        self, part: str, reading: Reading, inputs: Inputs, masks: Masks, ran: list[tuple[Slot, np.ndarray]]
    ) -> bool:
        for output in _different(ran):
            for first, second in combinations((*_bank(part), *COMBINED), 2):
                steps = together(first, second, self.steps) if first.slug != second.slug else None
                if steps is not None and self._gives(output, steps, reading, inputs, masks):
                    self.outcome.check(f"mask, {part}", False, "differs in the way of two known mistakes")
                    self.outcome.mistake(first.slug)
                    self.outcome.mistake(second.slug)
                    return True
        return False

    def _switched(
        self,
        switch: str,
        reading: Reading,
        probes: Mapping[str, tuple[dict, Masks]],
        padding: Slot | None,
        arguments: Sequence,
    ) -> None:
        """Causality that the constructor switches on; then padding beside it."""
        try:
            built = self.session.build(self.offer.name, (), {**self.construction, switch: True}, self.seed)
        except CodeError as error:
            self.errors.append(error)
            return
        inputs, masks = probes["causal"]
        output = self._run(reading.form, inputs, built=built)
        self._causal_verdict(reading, inputs, masks, output, f"{switch}=True")
        if padding is None:
            self._ored_with_nothing(reading, probes, arguments, {}, built)
            return
        inputs, masks = probes["padding and causal"]
        given = self._given(padding, inputs, Masks(masks.padding), reading.form)
        self._both(reading, inputs, masks, [self._run(reading.form, inputs, given, built)])

    def _causal_verdict(
        self, reading: Reading, inputs: Inputs, masks: Masks, output: np.ndarray | None, how: str
    ) -> None:
        if distance(output, self._expected(reading, inputs, self.steps, masks)) < self.bar:
            self.outcome.check("mask, causal", True, how)
            self.outcome.found["arguments"]["causal"] = how
            return
        found = [] if output is None else self._matching(output, _bank("causal"), reading, inputs, masks)
        self.outcome.check("mask, causal", False, how)
        self._wrongly_masked(found)

    def _combined(
        self, reading: Reading, probes: Mapping[str, tuple[dict, Masks]], padding: Slot, causal: Slot
    ) -> None:
        inputs, masks = probes["padding and causal"]
        if padding.argument == causal.argument:  # both through one mask
            options = [replace(causal, shape=shape) for shape in ("b1qk", "bqk")]
            given = [self._given(each, inputs, masks, reading.form) for each in options]
        else:
            given = [
                {
                    **self._given(padding, inputs, Masks(masks.padding), reading.form),
                    **self._given(causal, inputs, Masks(causal=True), reading.form),
                }
            ]
        self._both(reading, inputs, masks, [self._run(reading.form, inputs, each) for each in given])

    def _both(
        self, reading: Reading, inputs: Inputs, masks: Masks, outputs: Sequence[np.ndarray | None]
    ) -> None:
        """What came out with padding and causality together, given in one way or several."""
        right = self._expected(reading, inputs, self.steps, masks)
        ran = [each for each in outputs if each is not None]
        if not ran:
            return
        if any(self._same_where_real(each, right, inputs, masks) for each in ran):
            self.outcome.check("mask, padding and causal", True)
            return
        forgotten = [each for each in CAUSAL if each.slug == "causal-forgotten"]
        bank = (*COMBINED, *_bank("padding"), *forgotten)
        found = [slug for each in ran for slug in self._matching(each, bank, reading, inputs, masks)]
        self.outcome.check("mask, padding and causal", False)
        self._wrongly_masked(found)

    def _fully_masked(self, reading: Reading) -> None:
        """A row that may attend to nothing: what becomes of it, and that no other row minds."""
        if self.kind.grid or not reading.form.batched:
            return
        for argument in mask_arguments(self._must().forward):
            told = self.outcome.found["arguments"].get(argument.name, "")
            candidates = [
                (part, each) for part in ("padding", "causal") for each in slots(argument, part, Said(None))
            ]
            slot = next((each for part, each in candidates if told == f"{part} mask, {_told(each)}"), None)
            if slot is None or slot.meaning == "flag" or slot.shape in UNMASKABLE:
                continue
            inputs = self._inputs(TOKENS, TOKENS)
            hidden = torch.ones(BATCH, TOKENS, dtype=torch.bool)
            hidden[1] = False
            masks = Masks(hidden)
            output = self._run(reading.form, inputs, self._given(slot, inputs, masks, reading.form))
            wanted = self._expected(reading, inputs, self.steps, masks)
            if output is None or wanted is None or output.shape != wanted.shape:
                return
            others = [0, 2, 3]
            passed = distance(output[others], wanted[others]) < self.bar
            self.outcome.check("a row that may attend to nothing leaves the others alone", passed)
            if not passed:
                self.outcome.mistake("unknown-mask")
            row = output[1]
            if np.isnan(row).any():
                self.outcome.remark("masked-row-nan")
            for slug, change in EMPTY_ROWS:
                like = self._expected(reading, inputs, change(self.steps), masks)
                if slug and like is not None and distance(row, like[1]) < 1e-6:
                    self.outcome.remark(slug)
            return


def _bank(part: str) -> tuple[Seeded, ...]:
    return (*(PADDING if part == "padding" else CAUSAL), *HIDING)


def _different(ran: Sequence[tuple[Slot, np.ndarray]]) -> list[np.ndarray]:
    """What came out, each only once: many a way to give a mask comes to the same."""
    found: list[np.ndarray] = []
    for _, output in ran:
        if not any(np.array_equal(output, each, equal_nan=True) for each in found):
            found.append(output)
    return found


def _about(name: str, words: str) -> str:
    """The sentences beside the code that speak of this argument, or of a mask at all."""
    lines = words.splitlines()
    own = [line for line in lines if name.lower() in line.lower()]
    return "\n".join(own or [line for line in lines if "mask" in line.lower()])


def _told(slot: Slot) -> str:
    """A slot in words."""
    if slot.meaning == "flag":
        return "a switch"
    if slot.shape == "lengths":
        return "lengths"
    meaning = {"attend": "True = may attend", "ignore": "True = ignored", "additive": "added to the scores"}[
        slot.meaning
    ]
    if slot.kind != "bool" and slot.meaning != "additive":
        meaning = meaning.replace("True", "1")
    names = {"b": "batch", "q": "queries", "k": "keys", "1": "1"}
    return f"{meaning}, ({', '.join(names[each] for each in slot.shape)})"
