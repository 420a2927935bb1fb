"""Which mask each of a block's arguments takes, and what is wrong with what is done with it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch

from glassformer.checking.attention import Masks
from glassformer.checking.attention_mistakes import CAUSAL, HIDING, PADDING
from glassformer.checking.block_reading import BATCH, SOURCE, TOKENS, BlockReader
from glassformer.checking.forms import Form, Slot, mask_arguments, mask_said, slots, words_about
from glassformer.checking.judging import EXACT, distance
from glassformer.checking.searching import Plan, option


class BlockMasks(BlockReader):
    """Looks at masks, once it is known how the block is made."""

    def _masks(self, form: Form, plan: Plan) -> None:
        arguments = mask_arguments(self.built.forward)
        if not arguments:
            return
        memory = [each for each in arguments if each not in self._causal_arguments()]
        known = len(self.outcome.mistakes)
        # one that says that it is for padding first: the other may take it too
        likely = sorted(memory or arguments, key=lambda each: "pad" not in each.name.lower())
        self._mask("padding", likely, form, plan)
        taken = self.outcome.found["arguments"]
        if not self.kind.cross and len(self.outcome.mistakes) == known:
            self._mask("causal", [each for each in arguments if each.name not in taken], form, plan)
        elif self.kind.cross and plan["causal"].told == "not causal":
            self._mask("causal", self._causal_arguments(), form, plan)
        if len(self.outcome.mistakes) == known:
            self._both_masks(form, plan)
            self._fully_masked(form, plan)

    def _both_masks(self, form: Form, plan: Plan) -> None:
        """Padding and causality at once, each through the argument that fitted it."""
        if len({slot.argument for slot in self.ways.values()}) < 2:
            return
        inputs, real = self._inputs(), self._real()
        given = {slot.argument: _value(slot, part, real) for part, slot in self.ways.items()}
        output = self._run(form, inputs, given)
        wanted = self._wanted(plan, inputs, self._of(real, causal=True), by_mask=True)
        passed = distance(output, wanted) <= EXACT
        self.outcome.check("mask, padding and causal at once", passed)
        if not passed:
            self.outcome.mistake("unknown-mask")

    def _fully_masked(self, form: Form, plan: Plan) -> None:
        """A sequence that is padding alone: the others do not mind; what becomes of it is a remark."""
        slot = self.ways.get("padding")
        if slot is None or slot.meaning == "flag":
            return
        inputs, real = self._inputs(), self._real()
        real[1] = False
        output = self._run(form, inputs, {slot.argument: _value(slot, "padding", real)})
        wanted = self._wanted(plan, inputs, self._of(real))
        if output is None or wanted is None or output.shape != wanted.shape:
            return
        passed = distance(output[[0, 2]], wanted[[0, 2]]) <= EXACT
        self.outcome.check("a row that may attend to nothing leaves the others alone", passed)
        if not passed:
            self.outcome.mistake("unknown-mask")
        if np.isnan(output[1]).any():
            self.outcome.remark("masked-row-nan")

    def _real(self) -> np.ndarray:
        """Which keys are no padding: another number in each sequence."""
        keys = SOURCE if self.kind.cross else TOKENS
        return np.arange(keys)[None] < np.array([[keys - 1], [keys // 2 - 1], [keys - 2]])

    def _of(self, real: np.ndarray | None, causal: bool = False) -> tuple[Masks, Masks]:
        """The masks of the self-attention and of the cross-attention."""
        padding = None if real is None else torch.from_numpy(real)
        own = Masks(causal=self.kind.cross or causal)
        return (own, Masks(padding)) if self.kind.cross else (replace(own, padding=padding), Masks())

    def _wanted(
        self, plan: Plan, inputs: Mapping[str, Any], masks: tuple[Masks, Masks], by_mask: bool = False
    ) -> np.ndarray | None:
        """by_mask: it is the caller's mask that makes it causal."""
        own = {**plan, "causal": option("", lambda each: each)} if by_mask else plan
        try:
            with torch.no_grad():
                return self.expected(own, inputs, self._tensors(self.values), masks).numpy()
        except (RuntimeError, IndexError, ValueError):
            return None

    def _mask(self, part: str, arguments: Sequence, form: Form, plan: Plan) -> None:
        """Finds how a mask is given, or what is wrong with what is done with it."""
        inputs, real = self._inputs(), self._real()
        padded = part == "padding"
        masks = self._of(real if padded else None, causal=not padded)
        name = "cross" if self.kind.cross and padded else "self"

        def wanted(change: Any = None) -> np.ndarray | None:
            reading, steps = plan[name].value
            own = {**plan, name: option("", (reading, change.on(steps) if change else steps))}
            return self._wanted(own, inputs, masks, by_mask=not padded)

        right = wanted()
        bank = (*(PADDING if padded else CAUSAL), *HIDING)
        ran: list[np.ndarray] = []
        for argument in arguments:
            said = mask_said(argument.name, words_about(argument.name, self.words))
            for slot in slots(argument, part, said):
                output = self._run(form, inputs, {argument.name: _value(slot, part, real)})
                if output is None:
                    continue
                if distance(output, right) <= EXACT:
                    self._mask_fits(part, slot, said)
                    return
                ran.append(output)
        if not ran:
            return
        matched = [each.slug for output in ran for each in bank if distance(output, wanted(each)) <= EXACT]
        ignored = "padding-ignored" if part == "padding" else "causal-forgotten"
        if ignored in matched and len(set(matched)) > 1:
            matched = [each for each in matched if each != ignored]
        self.outcome.check(
            f"mask, {part}", False, "differs" + (" in the way of a known mistake" if matched else "")
        )
        self.outcome.mistake(matched[0] if matched else "unknown-mask", matched)

    def _mask_fits(self, part: str, slot: Slot, said: Any) -> None:
        against = said.strict and said.meaning in ("attend", "ignore")
        if against and slot.meaning not in (said.meaning, "additive", "flag"):
            slug = "padding-inverted" if part == "padding" else "causal-transposed"
            self.outcome.check(f"mask, {part}", False, f"True means the opposite of what {said.where} say")
            self.outcome.mistake(slug)
            return
        self.ways[part] = slot
        self.outcome.check(f"mask, {part}", True, slot.argument)
        self.outcome.found["arguments"][slot.argument] = f"{part} mask"
        if slot.meaning in ("attend", "ignore"):
            self.outcome.found["mask_true_means"] = slot.meaning


def _value(slot: Slot, part: str, real: np.ndarray) -> Any:
    """What is given for a mask: a row of keys, or one for each query."""
    if part == "causal":
        causal = np.tril(np.ones((TOKENS, TOKENS), dtype=bool))
        return slot.given(np.broadcast_to(causal, (BATCH, 1, TOKENS, TOKENS)))
    if slot.shape in ("bk", "b1k", "b11k", "k", "lengths"):
        return slot.given(real)
    return slot.given(np.broadcast_to(real[:, None, None, :], (BATCH, 1, TOKENS, real.shape[1])))
