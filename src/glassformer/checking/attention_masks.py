"""Attention with masks: how they are given, and what is wrong with what is done with them."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import combinations, product
from typing import Any

import numpy as np
import torch

from glassformer.checking.attention import Masks, Steps
from glassformer.checking.attention_mistakes import (
    CAUSAL,
    COMBINED,
    EMPTY_ROWS,
    HIDING,
    MINUS_1E9,
    PADDING,
    THREE,
    other_two,
    together,
)
from glassformer.checking.attention_reading import BATCH, KEYS, TOKENS, Found, Reader
from glassformer.checking.exchange import Argument, Built
from glassformer.checking.forms import Form, Inputs, Slot, mask_arguments, mask_said, slots, words_about
from glassformer.checking.judging import ALMOST, distance

UNMASKABLE = ("qk", "11qk", "1qk", "k", "lengths")
"""Shapes in which one row of a batch cannot be hidden alone."""
LENGTHS = [[5], [3], [6], [2]]


@dataclass(frozen=True, eq=False)
class Way:
    """How a part of the masks is asked for: through an argument, or by an instance that was built so."""

    told: str
    slot: Slot | None = None
    built: Built | None = None

    @property
    def switches(self) -> bool:
        return self.slot is None or self.slot.meaning == "flag"

    @property
    def odd(self) -> int:
        """Whether it takes a mask of numbers."""
        return int(self.slot is not None and self.slot.kind != "bool")


@dataclass
class Part:
    """One part of the masks, "padding" or "causal": the probe, and what came of every way that ran."""

    name: str
    inputs: dict[str, Any]
    masks: Masks
    ran: list[tuple[Way, np.ndarray]]
    right: Way | None = None


class MaskStage(Reader):
    """Finds the way each mask is given, and compares with it."""

    def _masks(self, found: Found) -> Found:
        """Looks at padding, causality, and both at once; gives the steps that explain all of it."""
        self.reading, self.base, self.wrong = found.reading, found.steps, found.wrong
        self.padding_way: Way | None = None
        arguments = mask_arguments(self._must().forward)
        switch = self._causal_switch()
        if self.kind.grid or not (arguments or switch):
            return found
        inputs = self._inputs(TOKENS, TOKENS)
        always = self.reading.masks.causal
        hidden = torch.arange(TOKENS)[None] < torch.tensor(LENGTHS)
        padding = Part("padding", inputs, Masks(hidden, always), [])
        causal = Part("causal", inputs, Masks(causal=True), [])
        self._try(padding, [way for each in arguments for way in self._ways(each, "padding")])
        if not always:
            self._try_causal(causal, padding, arguments, switch)
        both = Part("padding and causal", inputs, Masks(hidden, True), [])
        if padding.right and causal.right:
            right = self._wanted(both, self.base)
            outputs = self._at_once(padding.right, causal.right, inputs, both.masks)
            if not outputs or any(self._same_where_real(each, right, inputs, both.masks) for each in outputs):
                both.right = causal.right
        parts = [each for each in (padding, causal) if each.ran]
        tested = [*parts, both] if padding.right and causal.right else parts
        self.padding_way = padding.right
        known, steps = len(self.outcome.mistakes), None
        if not all(part.right for part in tested):
            steps = self._explain(padding, causal, both)
        as_meant = steps is not None and len(self.outcome.mistakes) == known
        for part in tested:
            told = part.right.told if part.right else ""
            self.outcome.check(f"mask, {part.name}", as_meant or part.right is not None, told)
        if steps is not None:
            return Found(self.reading, steps, self.wrong or not as_meant)
        if padding.right and not self.wrong:
            self._more_padding(padding.right)
        return found

    # ------------------------------------------------------------------ how masks are given

    def _ways(self, argument: Argument, part: str) -> Iterator[Way]:
        """Words that say what True means leave no other way, except that True may mean the opposite."""
        said = mask_said(argument.name, words_about(argument.name, self.code.words))
        for slot in slots(argument, part, said):
            yield Way(f"{slot.argument}: {_told(slot)}", slot)

    def _try(self, part: Part, ways: Sequence[Way]) -> None:
        """Calls every way until one gives what is right."""
        right = self._wanted(part, self.base)
        for way in ways:
            output = self._through(way, part.inputs, part.masks, part.name == "causal")
            if output is None or right is None or output.shape != right.shape:
                continue
            part.ran.append((way, output))
            if self._same_where_real(output, right, part.inputs, part.masks):
                part.right = way
                self._found(part.name, way)
                return

    def _try_causal(
        self, causal: Part, padding: Part, arguments: Sequence[Argument], switch: str | None
    ) -> None:
        """By a switch where there is one; else through an argument that takes any mask."""
        ways = [way for each in arguments for way in self._ways(each, "causal")]
        switches = [each for each in ways if each.switches]
        built = self.build({**self.construction, switch: True}) if switch else None
        if built is not None:
            switches.append(Way(f"{switch}=True", built=built))
        self._try(causal, switches)
        if causal.ran:  # none ran: a mere hint, as in torch's own layer, wants the mask too
            return
        taken = padding.ran[-1][0].slot if padding.ran else None
        through = [each for each in ways if not each.switches]
        own = [each for each in through if not taken or (each.slot and each.slot.argument != taken.argument)]
        self._try(causal, own)
        if padding.right and not causal.right and len(own) < len(through):
            shared = Part("causal", causal.inputs, causal.masks, [])
            self._try(shared, [each for each in through if each not in own])
            if shared.right or not own:  # where it fails, this argument is one of padding only
                causal.ran, causal.right = (shared.ran if shared.right else []), shared.right

    def _found(self, part: str, way: Way) -> None:
        """Remembers how a mask is given; what contradicts the words beside the code is a mistake."""
        found, slot = self.outcome.found, way.slot
        if slot is None or slot.meaning == "flag":
            found["arguments"]["causal"] = way.told.replace(": a switch", "=True")
            return
        found["arguments"].setdefault(slot.argument, f"{part} mask, {_told(slot)}")
        if slot.meaning not in ("attend", "ignore"):
            return
        found["mask_true_means"] = slot.meaning
        said = mask_said(slot.argument, words_about(slot.argument, self.code.words))
        if said.strict and slot.meaning != said.meaning and slot.shape != "lengths":
            inverted = "padding-inverted" if part == "padding" else "causal-transposed"
            slugs = [slug for slug, _ in self.outcome.mistakes]
            if part == "padding" or "padding-inverted" not in slugs:
                self.outcome.mistake(inverted)
                self.outcome.check(
                    f"mask, {part}, as described", False, f"True means the opposite of what {said.where} say"
                )

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

    def _through(self, way: Way, inputs: Inputs, masks: Masks, causal: bool) -> np.ndarray | None:
        """The output where one part of the masks is asked for this way."""
        form = self.reading.form
        own = Masks(None, True) if causal else Masks(masks.padding)
        given = self._given(way.slot, inputs, own, form) if way.slot else {}
        return self._run(form, inputs, given, built=way.built)

    def _at_once(self, padding: Way, causal: Way, inputs: Inputs, masks: Masks) -> list[np.ndarray]:
        """The outputs where both parts are asked for; through one mask there are several shapes to try."""
        form = self.reading.form
        assert padding.slot is not None
        if causal.slot and causal.slot.argument == padding.slot.argument:
            options = [replace(causal.slot, shape=shape) for shape in ("b1qk", "bqk")]
            given = [self._given(each, inputs, masks, form) for each in options]
        else:
            one = self._given(padding.slot, inputs, Masks(masks.padding), form)
            two = self._given(causal.slot, inputs, Masks(causal=True), form) if causal.slot else {}
            given = [{**one, **two}]
        outputs = [self._run(form, inputs, each, built=causal.built) for each in given]
        return [each for each in outputs if each is not None]

    # ------------------------------------------------------------------ comparing

    def _wanted(self, part: Part, steps: Steps) -> np.ndarray | None:
        return self._expected(self.reading, part.inputs, steps, part.masks)

    def _same_where_real(
        self, output: np.ndarray, right: np.ndarray | None, inputs: Inputs, masks: Masks
    ) -> bool:
        """Equal everywhere, or at least at queries that are no padding themselves."""
        if distance(output, right) < self.bar:
            return True
        if (
            right is None
            or masks.padding is None
            or output.shape != right.shape
            or inputs["q"] is not inputs["k"]
        ):
            return False
        real = masks.padding.numpy()[: len(output)]
        return distance(output[real], right[real]) < self.bar

    # ------------------------------------------------------------------ what is wrong

    def _explain(self, padding: Part, causal: Part, both: Part) -> Steps | None:
        """One mistake, or a pair, that explains all that was seen, each part and both at once."""
        for one in (padding, causal):  # of what is right only that way counts
            if one.right:
                one.ran = [each for each in one.ran if each[0] == one.right]
            else:
                one.ran = [each for each in one.ran if self._as_said(each[0])]
        at_once: dict[tuple[Way, Way], list[np.ndarray]] = {}

        def explains(steps: Steps) -> int:
            """How odd the mask is that has to be given for these steps to explain it; -1: they do not."""
            ways: list[list[Way]] = []
            for part in (padding, causal):
                if part.ran:
                    wanted = self._wanted(part, steps)
                    fit = [way for way, seen in part.ran if distance(seen, wanted) < self.bar]
                    ways.append(sorted(fit, key=lambda way: way.odd))
                    if not fit:
                        return -1
            odd = sum(each[0].odd for each in ways)
            if len(ways) < 2:
                return odd
            wanted = self._wanted(both, steps)
            for pair in ((one, two) for one in ways[0][:3] for two in ways[1][:3]):
                if pair not in at_once:
                    at_once[pair] = self._at_once(*pair, both.inputs, both.masks)
                if not at_once[pair] or any(distance(each, wanted) < self.bar for each in at_once[pair]):
                    return odd
            return -1

        for remark, style in EMPTY_ROWS:
            if explains(style(self.base)) >= 0:
                if remark:
                    self.outcome.remark(remark)
                return style(self.base)
        bank = [*PADDING, *CAUSAL, *HIDING]
        if (padding.ran and causal.ran) or self.reading.masks.causal:
            bank += COMBINED
        styles = [(slug, style(self.base)) for slug, style in EMPTY_ROWS]
        matches: list[tuple[int, tuple[str, ...], str, Steps]] = []
        for each, (remark, style) in product(bank, styles):
            steps = each.on(style)
            if (odd := explains(steps)) >= 0:
                matches.append((2 * odd + bool(remark), (each.slug,), remark, steps))
        if not matches:
            for (one, two), (remark, style) in product(combinations(bank, 2), styles):
                steps = together(one, two, style) if one.slug != two.slug else None
                if steps is not None and (odd := explains(steps)) >= 0:
                    matches.append((2 * odd + bool(remark), (one.slug, two.slug), remark, steps))
                    break
        one = next((each for each in THREE if each in self._said()), "")
        two = [style(other_two(self.base)) for _, style in EMPTY_ROWS] if one else []
        twins = [steps for steps in two if explains(steps) >= 0]
        others = [each for each in THREE if each != one] if twins else []
        if twins and (not matches or len(matches[0][1]) > 1):
            self.outcome.forget(one)
            for slug in others:
                self.outcome.mistake(slug)
            return twins[0]
        if matches:
            least = min(odd for odd, *_ in matches)
            best = [each for each in matches if each[0] == least]
            _, slugs, remark, steps = best[0]
            for slug in slugs:
                family = [each for _, (each, *_), _, _ in best] if len(slugs) == 1 else []
                self.outcome.mistake(slug, [*family, *others])
            self.outcome.widen(one, others)
            if remark:
                self.outcome.remark(remark)
            return steps
        if not self.wrong:
            self.outcome.mistake("unknown-mask")
        return None

    def _said(self) -> list[str]:
        return [slug for slug, _ in (*self.outcome.mistakes, *self.outcome.remarks)]

    def _as_said(self, way: Way) -> bool:
        if way.slot is None or way.slot.meaning not in ("attend", "ignore"):
            return True
        said = mask_said(way.slot.argument, words_about(way.slot.argument, self.code.words))
        return not said.strict or way.slot.meaning == said.meaning

    # ------------------------------------------------------------------ more of what is right

    def _more_padding(self, way: Way) -> None:
        """Padding in every row and position, with more keys than queries, and in a batch of one."""
        probes = []
        anywhere = torch.ones(BATCH, TOKENS, dtype=torch.bool)
        for row, places in enumerate(([0], [1, 2, 4, 5, 6], [6], [0, 1, 3])):
            anywhere[row, places] = False
        if way.slot and way.slot.shape != "lengths":
            probes.append(("padding in every position", self._inputs(TOKENS, TOKENS), anywhere))
        if self.reading.form.crosses and "equal-lengths-only" not in dict(self.outcome.mistakes):
            hidden = torch.arange(KEYS)[None] < torch.tensor([[9], [4], [11], [2]])
            probes.append(("padding, more keys than queries", self._inputs(TOKENS, KEYS), hidden))
        if self.reading.form.batched:
            one = torch.arange(TOKENS)[None] < 4
            probes.append(("padding, a batch of one", self._inputs(TOKENS, TOKENS, batch=1), one))
        for name, inputs, hidden in probes:
            masks = Masks(hidden, self.reading.masks.causal)
            output = self._through(way, inputs, masks, causal=False)
            passed = output is not None and any(
                self._same_where_real(
                    output, self._expected(self.reading, inputs, style(self.base), masks), inputs, masks
                )
                for _, style in EMPTY_ROWS
            )
            self.outcome.check(f"mask, {name}", passed)
            if not passed:
                self.outcome.mistake("unknown-mask")

    def _fully_masked(self, found: Found) -> None:
        """A row that may attend to nothing: what becomes of it, and that no other row minds."""
        way = self.padding_way
        if self.kind.grid or not self.reading.form.batched or way is None or way.slot is None:
            return
        if way.slot.meaning == "flag" or way.slot.shape in UNMASKABLE:
            return
        inputs = self._inputs(TOKENS, TOKENS)
        hidden = torch.ones(BATCH, TOKENS, dtype=torch.bool)
        hidden[1] = False
        masks = Masks(hidden, self.reading.masks.causal)
        output = self._through(way, inputs, masks, causal=False)
        wanted = self._expected(self.reading, inputs, found.steps, masks)
        if output is None or wanted is None or output.shape != wanted.shape:
            return
        others = [0, 2, 3]
        passed = distance(output[others], wanted[others]) < self.bar
        if passed or not found.wrong:
            self.outcome.check("a row that may attend to nothing leaves the others alone", passed)
        if not passed and not found.wrong:
            self.outcome.mistake("unknown-mask")
        row = output[1]
        filled = [
            self._expected(self.reading, inputs, style(found.steps), masks)
            for slug, style in EMPTY_ROWS
            if slug == MINUS_1E9
        ]
        if np.isnan(row).any():
            self.outcome.remark("masked-row-nan")
        elif distance(row, wanted[1]) > ALMOST and any(
            each is not None and distance(row, each[1]) < ALMOST for each in filled
        ):
            self.outcome.remark(MINUS_1E9)


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
