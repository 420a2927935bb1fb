"""Judges attention: builds it, finds out how it is meant, compares, and names what differs.

Two stages. Without masks: every reading (argument order, batch first or not, which parameter is which
projection) against the right steps, and where none fits, against each known mistake and each pair. Then, with
the reading that fitted, the masks: every way to give them, right first, then each known mistake of masking.
"""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
import torch

from glassformer.checking.attention import BARE, GRID, RIGHT, UNSCALED, Masks, Sizes, Steps, Weights, attend
from glassformer.checking.attention_mistakes import (
    CAUSAL,
    COMBINED,
    CONVENTIONS,
    CORE,
    PADDING,
    SCALED,
    Seeded,
    together,
)
from glassformer.checking.attention_mistakes import GRID as GRID_MISTAKES
from glassformer.checking.constructions import constructions
from glassformer.checking.forms import (
    Form,
    Inputs,
    Said,
    Slot,
    first_array,
    forms,
    mask_arguments,
    mask_said,
    slots,
)
from glassformer.checking.judging import ALMOST, EXACT, SINGLE, STOPPED, Judge, Outcome, Session, distance
from glassformer.checking.names import forward_role, size_role
from glassformer.checking.projections import Assignment, assignments, random_values
from glassformer.checking.runner import Built, CodeError, Namespace, Offer, cotangent
from glassformer.checking.source import Code

SINGLES_SECONDS, PAIRS_SECONDS = 5.0, 3.0
UNMASKABLE = ("qk", "11qk", "1qk", "k", "lengths")
"""Shapes in which one row of a batch cannot be hidden alone."""
BATCH, TOKENS, KEYS = 4, 7, 11
UNMASKED = Masks()


@dataclass(frozen=True)
class Kind:
    """A contract of attention. output: "needed", "open" or "none"; projected: has maps for Q, K and V."""

    slug: str
    title: str
    steps: Steps
    several_heads: bool = False
    projected: bool = True
    output: str = "needed"
    grid: bool = False
    extra: tuple[Seeded, ...] = ()


KINDS = {
    each.slug: each
    for each in (
        Kind("attention", "scaled dot-product attention", RIGHT, projected=False, output="none"),
        Kind(
            "parameter-free-self-attention", "parameter-free self-attention", UNSCALED,
            projected=False, output="none", extra=SCALED,
        ),
        Kind("self-attention", "single-head self-attention", RIGHT, output="open"),
        Kind("multi-head-attention", "multi-head attention", RIGHT, several_heads=True),
        Kind(
            "self-attention-2d", "self-attention over a grid", GRID,
            several_heads=True, output="open", grid=True, extra=GRID_MISTAKES,
        ),
    )
}  # fmt: skip


@dataclass(frozen=True)
class Reading:
    """One way to understand the module that the calls so far allow."""

    form: Form
    sizes: Sizes
    assignment: Assignment | None
    masks: Masks = UNMASKED

    def weights(self, values: Mapping[str, torch.Tensor]) -> Weights:
        return self.assignment.weights(values) if self.assignment else Weights()


class AttentionJudge(Judge):
    """Judges one offer against one kind of attention."""

    def __init__(self, session: Session, offer: Offer, code: Code, seed: int = 0, *, kind: Kind) -> None:
        super().__init__(session, offer, code, seed)
        self.kind = kind
        self.built: Built | None = None
        self.values: dict[str, np.ndarray] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self.inner_heads = 0
        self.bar = EXACT

    # ------------------------------------------------------------------ building and probing

    @property
    def steps(self) -> Steps:
        """The right steps for the inputs as they are given."""
        return (
            replace(self.kind.steps, split=BARE.split, merge=BARE.merge)
            if self.inner_heads
            else self.kind.steps
        )

    def judge(self) -> Outcome:
        outcome = self.outcome
        kept = self._set_up()
        if not kept:
            self.could_not_run()
            return outcome
        self.tensors = {key: torch.from_numpy(each) for key, each in self.values.items()}
        self._steadiness(kept)
        reading = self._core(kept)
        if reading is None:
            return outcome
        self._gradients(reading)
        self._masks(reading)
        self._fully_masked(reading)
        self._precision(reading)
        return outcome

    def _sizes_tried(self) -> dict[str, Any]:
        heads = {"heads": 3} if self.kind.several_heads else {}
        return {
            "d_model": 24, **heads, "d_head": [8, 24], "max_len": 32,
            "dropout": 0.3, "bias": True, "batch_first": True, "causal": False, "layers": 2, "d_ff": 40,
            **self.fixed,
        }  # fmt: skip

    def _set_up(self) -> list[Form]:
        """Builds an instance that can be called; gives the forms whose output has a fitting shape."""
        is_built = self.offer.kind == "class" or self.offer.name.startswith("build")
        for keywords in constructions(self.offer, self._sizes_tried()) if is_built else ({},):
            try:
                built = self.session.build(self.offer.name, (), keywords, self.seed)
            except CodeError as error:
                self.errors.append(error)
                if error.kind in STOPPED:
                    return []
                continue
            values = random_values(built, self.seed + 1)
            for inner_heads in (0, 3) if self.kind.slug == "attention" else (0,):
                self.inner_heads = inner_heads
                kept = self._forms_that_run(built, values)
                if kept:
                    self.built, self.values, self.construction = built, values, keywords
                    return kept
        return []

    def _forms_that_run(self, built: Built, values: Mapping[str, np.ndarray]) -> list[Form]:
        inputs = self._inputs(TOKENS, TOKENS)
        kept: list[Form] = []
        for form in forms(built.forward, self._batch_first(built)):
            if kept and (not form.batched or form.required != kept[0].required):
                continue  # counts only where no better one works
            if not form.serves(inputs):
                continue
            output = self._run(form, inputs, built=built, values=values)
            if output is not None and self._fits(output, inputs):
                kept.append(form)
        return kept

    def _batch_first(self, built: Built) -> bool | None:
        setting = built.settings.get("", {}).get("batch_first")
        return setting if isinstance(setting, bool) else None

    def _fits(self, output: np.ndarray, inputs: Inputs) -> bool:
        want = inputs["q"].shape
        if self.kind.grid:
            return output.shape == want
        return output.ndim == len(want) and output.shape[:-1] == want[:-1]

    def _inputs(self, queries: int, keys: int, batch: int = BATCH, values: bool = False) -> dict[str, Any]:
        """Random q, k and v; the very same array where they are the same place."""
        d_model = 24 if self.kind.projected or self.kind.grid or self.kind.slug != "attention" else 8
        if self.kind.grid:
            x = self.random.standard_normal((batch, d_model, 5, 3))
            return {"q": x, "k": x, "v": x}
        scale = 1.0 if self.kind.projected else 1.3
        inner = (self.inner_heads,) if self.inner_heads else ()

        def draw(tokens: int) -> np.ndarray:
            return scale * self.random.standard_normal((batch, *inner, tokens, d_model))

        q = draw(queries)
        k = q if queries == keys and not values else draw(keys)
        v = draw(keys) if values else k
        return {"q": q, "k": k, "v": v}

    def _run(
        self,
        form: Form,
        inputs: Inputs,
        given: Mapping[str, Any] | None = None,
        built: Built | None = None,
        values: Mapping[str, np.ndarray] | None = None,
        **options: Any,
    ) -> np.ndarray | None:
        """The output as (batch, tokens, d); None where the code raised."""
        arguments, keywords = form.call(inputs)
        built = built or self.built
        assert built is not None
        try:
            result = self.session.call(
                built.handle, arguments, {**keywords, **(given or {})},
                parameters=self.values if values is None else values, **options,
            )  # fmt: skip
        except CodeError as error:
            self.errors.append(error)
            return None
        return form.received(result.output)

    def _expected(
        self, reading: Reading, inputs: Inputs, steps: Steps, masks: Masks | None = None
    ) -> np.ndarray | None:
        """What the reference gives under this reading; None where the steps do not fit together."""
        cut = (lambda x: x) if reading.form.batched else (lambda x: x[:1])
        tensors = [torch.from_numpy(cut(inputs[role])) for role in ("q", "k", "v")]
        masks = reading.masks if masks is None else masks
        if masks.padding is not None and not reading.form.batched:
            masks = replace(masks, padding=masks.padding[:1])
        try:
            with torch.no_grad():
                output = attend(
                    (tensors[0], tensors[1], tensors[2]),
                    reading.weights(self.tensors),
                    reading.sizes,
                    masks,
                    steps,
                )
        except (RuntimeError, IndexError, ValueError):
            return None
        return output.numpy()

    # ------------------------------------------------------------------ without masks

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

    def _readings(
        self, kept: list[Form], actual: Mapping[tuple[Form, str], np.ndarray | None]
    ) -> list[Reading]:
        """Forms x sizes x parameters x built-in causality; what the names agree with comes first."""
        said = self.code.batch_first
        named = sorted(kept, key=lambda form: (not form.named, said is not None and form.batch_first != said))
        causal = (Masks(causal=True), Masks()) if self._says_causal() else (Masks(), Masks(causal=True))
        if self.kind.grid:
            causal = (Masks(),)
        needs_output = self.kind.output == "needed"
        made: dict[tuple[Sizes, int], Sequence[Assignment | None]] = {}
        found = []
        for masks in causal:
            for form in named:
                width = self._width(form, actual)
                for sizes in self._sizes():
                    if (sizes, width) not in made:
                        made[sizes, width] = (
                            assignments(self._must(), sizes, width, needs_output)
                            if self.kind.projected
                            else [None]
                        )
                    found += [Reading(form, sizes, each, masks) for each in made[sizes, width]]
        # names that agree first; then argument orders that agree
        return sorted(found, key=lambda each: each.assignment is not None and not each.assignment.agrees)

    def _width(self, form: Form, actual: Mapping[tuple[Form, str], np.ndarray | None]) -> int:
        """Of the outputs."""
        axis = 1 if self.kind.grid else -1
        seen = [each for (other, _), each in actual.items() if other is form and each is not None]
        return seen[0].shape[axis] if seen else 24

    def _sizes(self) -> list[Sizes]:
        if not self.kind.projected:
            d = 8 if self.kind.slug == "attention" else 24
            return [Sizes(d, self.inner_heads or 1, d)]
        threes = [each for each in self.construction.values() if each == 3]
        count = 3 if self.kind.several_heads and (threes or self._in_config()) else 1
        assert self.built is not None
        sides = {side for shape in self.built.parameters.values() for side in shape}
        found = []
        for d_head in dict.fromkeys((24 // count, 8, 24)):
            wide = count * d_head
            if any(side in sides for side in (wide, d_head, 2 * wide, 3 * wide)):
                found.append(Sizes(24, count, d_head))
        return found or [Sizes(24, count, 24 // count)]

    def _in_config(self) -> bool:
        return self.kind.several_heads and any(
            isinstance(each, Namespace) for each in self.construction.values()
        )

    def _says_causal(self) -> bool:
        return "causal" in self.offer.name.lower() or "masked" in self.offer.name.lower()

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

    def _tell(self, reading: Reading) -> None:
        """How the module was read."""
        found = self.outcome.found
        found["batch_first"] = reading.form.batch_first
        found["arguments"] = {name: _WORDS[role] for name, role in reading.form.takes.items()}
        if reading.assignment:
            found["parameters"] = reading.assignment.described()

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

    def _causal_switch(self) -> str | None:
        """The argument of the constructor that asks for causality."""
        return next((each.name for each in self.offer.arguments if size_role(each.name) == "causal"), None)

    def _must(self) -> Built:
        assert self.built is not None
        return self.built

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

    # ------------------------------------------------------------------ gradients and numbers

    def _gradients(self, reading: Reading) -> None:
        """The gradients of inputs and parameters against those of the reference."""
        inputs = self._inputs(TOKENS, TOKENS)
        arguments, keywords = reading.form.call(inputs)
        built = self._must()
        try:
            result = self.session.call(
                built.handle, arguments, keywords, parameters=self.values, gradient=True
            )
        except CodeError as error:
            self.outcome.check("gradients", False, str(error))
            self.outcome.mistake("gradient-stopped")
            return
        cut = (lambda x: x) if reading.form.batched else (lambda x: x[:1])
        leaves = {
            name: torch.from_numpy(cut(inputs[role]).copy()).requires_grad_()
            for name, role in reading.form.takes.items()
        }
        tensors = {key: torch.from_numpy(each.copy()).requires_grad_() for key, each in self.values.items()}
        by_role: dict[str, torch.Tensor] = {}
        for name, role in reading.form.takes.items():
            by_role[role] = leaves[name]
        q = by_role["q"]
        k = by_role.get("k", q)
        v = by_role.get("v", k)
        weights = reading.assignment.weights(tensors) if reading.assignment else Weights()
        output = attend((q, k, v), weights, reading.sizes, reading.masks, self.steps)
        seen = first_array(result.output)
        if seen is None:
            return
        aim = reading.form.received(cotangent(seen.shape))
        assert aim is not None
        (output * torch.from_numpy(np.ascontiguousarray(aim))).sum().backward()
        worst, where = 0.0, ""
        for place, (name, leaf) in enumerate(leaves.items()):
            got = result.gradients.get(f"argument {place}" if reading.form.positional else f"argument {name}")
            off = distance(reading.form.received(got), leaf.grad.numpy() if leaf.grad is not None else None)
            if off > worst:
                worst, where = off, name
        used = {
            name
            for each in (reading.assignment.sources.values() if reading.assignment else ())
            for name in each.names
        }
        for name in used:
            grad = tensors[name].grad
            wanted = np.zeros_like(self.values[name]) if grad is None else grad.numpy()
            got = result.gradients.get(name)
            idle = np.abs(wanted).max() < 1e-9  # the bias of the keys, which the softmax takes away
            if idle and got is None:
                self.outcome.remark("missing-bias")
            off = 0.0 if idle and (got is None or np.abs(got).max() < 1e-9) else distance(got, wanted)
            if off > worst:
                worst, where = off, name
        passed = worst < (1e-7 if self.bar == EXACT else 1e-3)
        self.outcome.check(
            "gradients of inputs and parameters", passed, "" if passed else f"of {where}: off by {worst:.2g}"
        )
        if not passed:
            self.outcome.mistake("gradient-stopped")

    def _precision(self, reading: Reading) -> None:
        """In single precision it stays within its noise; half precision is told, not judged."""
        inputs = self._inputs(TOKENS, TOKENS)
        wanted = self._expected(reading, inputs, self.steps)
        for dtype, bar in (("float32", 1e-4), ("bfloat16", None), ("float16", None)):
            output = self._run(reading.form, inputs, dtype=dtype)
            off = distance(output, wanted)
            detail = f"off by {off:.1g} of its size" if math.isfinite(off) else "did not run"
            if bar is None:
                self.outcome.check(f"{dtype} (information)", True, detail)
            else:
                self.outcome.check(dtype, off < bar, detail)
                if off >= bar and math.isfinite(off):
                    self.outcome.mistake("unknown")

    # ------------------------------------------------------------------ masks

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
        if causal is None and switch and not reading.masks.causal:
            self._switched(switch, reading, probes)
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
        bank = PADDING if part == "padding" else CAUSAL
        unmasked = self._expected(
            reading, inputs, self.steps, replace(masks, padding=None, causal=reading.masks.causal)
        )
        matched: list[str] = []
        for _, output in ran:
            for seeded in bank:
                wanted = self._expected(reading, inputs, seeded.on(self.steps), masks)
                if distance(output, wanted) < self.bar:
                    matched.append(seeded.slug)
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
        self.outcome.mistake("unknown-mask")

    def _padding_is_right(self) -> bool:
        return any(each.name == "mask, padding" and each.passed for each in self.outcome.checks)

    def _pair_with_mask(
        self, part: str, reading: Reading, inputs: Inputs, masks: Masks, ran: list[tuple[Slot, np.ndarray]]
    ) -> bool:
        bank = PADDING if part == "padding" else CAUSAL
        for _, output in ran:
            for first, second in combinations((*bank, *COMBINED), 2):
                steps = together(first, second, self.steps) if first.slug != second.slug else None
                if (
                    steps is not None
                    and distance(output, self._expected(reading, inputs, steps, masks)) < self.bar
                ):
                    self.outcome.check(f"mask, {part}", False, "differs in the way of two known mistakes")
                    self.outcome.mistake(first.slug)
                    self.outcome.mistake(second.slug)
                    return True
        return False

    def _switched(self, switch: str, reading: Reading, probes: Mapping[str, tuple[dict, Masks]]) -> None:
        """Causality that the constructor switches on."""
        try:
            built = self.session.build(self.offer.name, (), {**self.construction, switch: True}, self.seed)
        except CodeError as error:
            self.errors.append(error)
            return
        inputs, masks = probes["causal"]
        output = self._run(reading.form, inputs, built=built)
        self._causal_verdict(reading, inputs, masks, output, f"{switch}=True")

    def _causal_verdict(
        self, reading: Reading, inputs: Inputs, masks: Masks, output: np.ndarray | None, how: str
    ) -> None:
        if distance(output, self._expected(reading, inputs, self.steps, masks)) < self.bar:
            self.outcome.check("mask, causal", True, how)
            self.outcome.found["arguments"]["causal"] = how
            return
        found = [
            seeded.slug
            for seeded in CAUSAL
            if distance(output, self._expected(reading, inputs, seeded.on(self.steps), masks)) < self.bar
        ]
        self.outcome.check("mask, causal", False, how)
        self.outcome.mistake(found[0] if found else "unknown-mask", found)

    def _combined(
        self, reading: Reading, probes: Mapping[str, tuple[dict, Masks]], padding: Slot, causal: Slot
    ) -> None:
        inputs, masks = probes["padding and causal"]
        right = self._expected(reading, inputs, self.steps, masks)
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
        outputs = [self._run(reading.form, inputs, each) for each in given]
        ran = [each for each in outputs if each is not None]
        if not ran:
            return
        if any(self._same_where_real(each, right, inputs, masks) for each in ran):
            self.outcome.check("mask, padding and causal", True)
            return
        bank = (*COMBINED, *PADDING, *(each for each in CAUSAL if each.slug == "causal-forgotten"))
        found = [
            seeded.slug
            for seeded in bank
            for each in ran
            if distance(each, self._expected(reading, inputs, seeded.on(self.steps), masks)) < self.bar
        ]
        self.outcome.check("mask, padding and causal", False)
        self.outcome.mistake(found[0] if found else "unknown-mask", found)

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
            uniform = self._expected(
                reading, inputs, replace(self.steps, hide=lambda s, a: s.masked_fill(~a, -1e9)), masks
            )
            if np.isnan(row).any():
                self.outcome.remark("masked-row-nan")
            elif uniform is not None and distance(row, uniform[1]) < 1e-6:
                self.outcome.remark("filled-with-minus-1e9")
            return


_LETTERS: dict[str | None, str] = {"query": "q", "key": "k", "value": "v"}
_WORDS = {"q": "query", "k": "key", "v": "value"}


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
