"""Judges a transformer block or a decoder's block: finds out how it is made, compares, names what differs."""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.attention import Masks
from glassformer.checking.attention_mistakes import CAUSAL, PADDING
from glassformer.checking.block_mistakes import (
    activations,
    attention_options,
    causal_options,
    flows,
    norm_functions,
    norm_maps,
)
from glassformer.checking.blocks import BlockSteps, run_block
from glassformer.checking.constructions import constructions
from glassformer.checking.forms import Form, Slot, forms, mask_arguments, mask_said, slots, words_about
from glassformer.checking.judging import EXACT, Outcome, Session, distance
from glassformer.checking.layered import LayeredJudge, compare_gradients, name_plans
from glassformer.checking.layouts import block_weights, layout, read_attentions
from glassformer.checking.projections import Assignment, random_values
from glassformer.checking.runner import CodeError, Offer, cotangent
from glassformer.checking.said import said_activation, said_norms
from glassformer.checking.searching import Option, Plan, Probe, mistakes, option, search
from glassformer.checking.source import Code

BATCH, TOKENS, SOURCE, D_MODEL, D_FF = 3, 6, 9, 24, 40
SECONDS, IN_ALL = 2.5, 7.5
MEMORY_MASK = ("mem", "src", "source", "enc", "cross", "context", "pad", "valid")


@dataclass(frozen=True)
class BlockKind:
    """A contract of blocks. cross: a decoder's, with causal self-attention and a memory."""

    slug: str
    title: str
    cross: bool


BLOCKS = {
    each.slug: each
    for each in (
        BlockKind("transformer-block", "transformer block", False),
        BlockKind("decoder-block", "decoder block", True),
    )
}


class BlockJudge(LayeredJudge):
    """Judges one offer against one kind of block."""

    copies = ".*Transformer.*"

    def __init__(self, session: Session, offer: Offer, code: Code, seed: int = 0, *, kind: BlockKind) -> None:
        super().__init__(session, offer, code, seed)
        self.kind = kind
        self.words = Code(code.whole or code.text).words
        self.values: dict[str, np.ndarray] = {}
        self.extra: tuple[str, ...] = ()
        self.questions: dict[str, list[Option]] = {}

    def judge(self) -> Outcome:
        kept = self._set_up()
        if not kept:
            self.could_not_run()
            return self.outcome
        form, inputs = kept[0], self._inputs()

        def run(**options: Any) -> np.ndarray | None:
            return self._run(form, inputs, **options)

        if not self.steady_at_last(run):
            return self.outcome
        self.copied()
        if not self.hidden(run) and self._ask():
            self._find(kept)
        return self.outcome

    # ------------------------------------------------------------------ building and calling

    def _set_up(self) -> list[Form]:
        sizes = {
            "d_ff": D_FF, "d_model": D_MODEL, "heads": 3, "d_head": 8, "max_len": 32, "dropout": 0.3,
            "bias": True, "batch_first": True, "layers": 2,
        }  # fmt: skip
        for keywords in constructions(self.offer, sizes) if self.is_built else ({},):
            built = self.build(keywords)
            if self.stopped:
                return []
            if built is None:
                continue
            self.built, self.construction = built, keywords
            self.values = random_values(built, self.seed + 1)
            kept = []
            for form in forms(built.forward, True if built.settings.get("", {}).get("batch_first") else None):
                if kept and (not form.batched or form.required != kept[0].required):
                    continue
                if not form.serves(self._inputs()):
                    continue
                output = self._run(form, self._inputs())
                if output is not None and output.shape == (BATCH, TOKENS, D_MODEL):
                    kept.append(form)
            if kept:
                return sorted(kept, key=lambda form: (not form.named, not form.batch_first))
        return []

    def _inputs(self, tokens: int = TOKENS, source: int = SOURCE, batch: int = BATCH) -> dict[str, Any]:
        x = self.random.standard_normal((batch, tokens, D_MODEL))
        memory = self.random.standard_normal((batch, source, D_MODEL)) if self.kind.cross else x
        return {"q": x, "k": memory, "v": memory}

    def _run(
        self, form: Form, inputs: Mapping[str, Any], given: Mapping[str, Any] | None = None, **options: Any
    ) -> np.ndarray | None:
        arguments, keywords = form.call(inputs)
        options.setdefault("parameters", self.values)
        try:
            called = self.session.call(self.built.handle, arguments, {**keywords, **(given or {})}, **options)
        except CodeError as error:
            self.errors.append(error)
            return None
        return form.received(called.output)

    def rebuild(self) -> bool:
        built = self.build(self.construction)
        self.built = built or self.built
        return built is not None

    # ------------------------------------------------------------------ the questions

    def _ask(self) -> bool:
        """Writes down how the block may be made; False where its parameters cannot be read."""
        built = self.built
        count = 3 if self.kind.cross else 2
        d_ff = D_FF if D_FF in self.construction.values() else None
        self.layout = layout(built.parameters, built.modules, D_MODEL, d_ff)
        if self.layout.first is None or not self.layout.norms:
            self._unreadable("norms or feed-forward layer not found among the parameters")
            return False
        heads = 3 if 3 in self.construction.values() or self._configured() else 1
        found = self._attentions(heads)
        if not found:
            self._unreadable("no projections of an attention found among the parameters")
            return False
        eps = self.norm_eps()
        self.said = said_norms(self.words) or self._norm_first()
        activation = said_activation(self.words)
        self.questions = {
            "flow": flows(count, self.said),
            "norms": norm_maps(count, len(self.layout.norms)),
            "norm": norm_functions(eps or [1e-5, 1e-6, 1e-12, 1e-8], not eps),
            "activation": activations(activation),
            "causal": causal_options(not self._causal_arguments(), not self.kind.cross),
            "self": attention_options(found[0], cross=False, extra=self.extra),
            "cross": attention_options(found[1], cross=True) if self.kind.cross else [option("", None)],
        }
        return True

    def _configured(self) -> bool:
        return any(not isinstance(each, (int, float, str, bool)) for each in self.construction.values())

    def _norm_first(self) -> str | None:
        setting = self.built.settings.get("", {}).get("norm_first")
        return None if not isinstance(setting, bool) else "pre" if setting else "post"

    def _attentions(self, heads: int) -> list[list[tuple[Assignment, bool]]]:
        found = read_attentions(
            self.built, self.layout.attention, heads, 2 if self.kind.cross else 1, D_MODEL
        )
        if found is None:
            return []
        self.sizes, self.aliases, self.attention_names = found.sizes, found.aliases, found.names
        self.extra = ("layers-shared",) if found.aliases else ()
        return found.readings

    def _unreadable(self, why: str) -> None:
        self.outcome.check("parameters", False, why)
        self.outcome.mistake("unknown")

    def _causal_arguments(self) -> list:
        """Arguments through which a caller could make the self-attention causal."""
        return [
            each
            for each in mask_arguments(self.built.forward)
            if self.kind.cross and not any(word in each.name.lower() for word in MEMORY_MASK)
        ]

    # ------------------------------------------------------------------ the search

    def _tensors(self, values: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
        found = {name: torch.from_numpy(each) for name, each in values.items()}
        return {**found, **{alias: found[name] for alias, name in self.aliases.items()}}

    def expected(
        self,
        plan: Plan,
        inputs: Mapping[str, Any],
        tensors: Mapping[str, Tensor],
        masks: tuple[Masks, Masks] | None = None,
    ) -> Tensor:
        """What a block made after this plan gives."""
        chosen = [plan[each].value if each in plan else None for each in ("self", "cross")]
        readings, steps = [], []
        for name, value in zip(("self", "cross"), chosen, strict=True):
            if name == "cross" and not self.kind.cross:
                continue
            reading, own = value or self.questions[name][0].value
            readings.append(reading)
            steps.append(own)
        steps[0] = plan["causal"].value(steps[0])
        normalise, eps = plan["norm"].value
        activation = plan.get("activation", self.questions["activation"][0]).value
        block = BlockSteps(plan["flow"].value, plan["norms"].value, tuple(steps), activation, normalise, eps)
        weights = block_weights(self.layout, tuple(readings), tensors)
        x, memory = (
            each if isinstance(each, Tensor) else torch.from_numpy(each)
            for each in (inputs["q"], inputs["k"])
        )
        masks = masks or (Masks(causal=self.kind.cross), Masks())
        return run_block(x, memory if self.kind.cross else None, weights, self.sizes, block, masks)

    def _probe(
        self, form: Form, name: str, asks: Sequence[str], silent: Sequence[str], inputs: Mapping[str, Any]
    ) -> Probe:
        """A call in which the parameters of the silent sublayers are zero."""
        hushed = {
            "ff": self.layout.feed_forward,
            "self": self.attention_names[0],
            "cross": self.attention_names[1] if self.kind.cross else (),
        }
        names = {self.aliases.get(each, each) for part in silent for each in hushed[part]}
        values = {key: np.zeros_like(v) if key in names else v for key, v in self.values.items()}
        seen = self._run(form, inputs, parameters=values)
        tensors = self._tensors(values)

        def expect(plan: Plan) -> np.ndarray | None:
            try:
                with torch.no_grad():
                    return self.expected(plan, inputs, tensors).numpy()
            except (RuntimeError, IndexError, ValueError):
                return None

        return Probe(name, tuple(asks), seen, expect, EXACT)

    def _probes(self, form: Form) -> list[Probe]:
        base = ["flow", "norms", "norm", "causal"]
        attentions = ["self", "cross"] if self.kind.cross else ["self"]
        found = [
            self._probe(form, "the residual stream alone", base, ["ff", *attentions], self._inputs()),
            self._probe(
                form, "the feed-forward layer alone", [*base, "activation"], attentions, self._inputs()
            ),
        ]
        for each in attentions:
            others = ["ff", *(other for other in attentions if other != each)]
            found.append(
                self._probe(form, f"the {each}-attention alone", [*base, each], others, self._inputs())
            )
        everything = [*base, "activation", *attentions]
        found.append(self._probe(form, "all of it", everything, [], self._inputs()))
        found.append(self._probe(form, "a batch of one", everything, [], self._inputs(batch=1)))
        found.append(self._probe(form, "one token", everything, [], self._inputs(tokens=1, source=1)))
        small = {key: 1e-3 * each for key, each in self._inputs().items()}
        found.append(self._probe(form, "small inputs", everything, [], small))
        return found

    def _find(self, kept: list[Form]) -> None:
        said = self.code.batch_first
        ranked = sorted(kept, key=lambda form: said is not None and form.batch_first != said)
        probes: dict[int, list[Probe]] = {}
        stop = time.process_time() + self.patience * IN_ALL
        for budget, likely in ((0, True), (0, False), (1, True), (1, False), (2, True)):
            if budget == 2:
                self.questions["flow"] = flows(3 if self.kind.cross else 2, self.said, 2)
                probes = {}
            for number, form in enumerate(ranked if budget == 0 else ranked[:1]):
                if number not in probes:
                    probes[number] = self._probes(form)
                left = stop - time.process_time()
                seconds = left if budget == 2 else min(SECONDS, left)
                plans = search(probes[number], self.questions, budget, likely=likely, seconds=seconds)
                if plans:
                    self._accept(form, plans, probes[number])
                    return
        self.outcome.check("output", False, "no known way to make a block gives this")
        self.outcome.mistake("unknown")

    def _accept(self, form: Form, plans: list[Plan], probes: list[Probe]) -> None:
        name_plans(self.outcome, plans)
        plan, outcome = plans[0], self.outcome
        if not form.batch_first and self.code.batch_first is not False:
            outcome.mistake("batch-length-swapped")
        right = not any(mistakes(each) for each in plans[:1])
        for probe in probes[-4:]:
            outcome.check(f"output, {probe.name}", right, "" if right else "in the way of a known mistake")
        words = {"q": "x", "k": "memory"}
        outcome.found |= {
            "batch_first": form.batch_first,
            "arguments": {name: words[role] for name, role in form.takes.items()},
            "parameters": self._described(plan),
            "norms": plan["flow"].told,
            "activation": plan["activation"].told,
            "norm": plan["norm"].told,
        }
        if self.kind.cross:
            outcome.found["causal"] = plan["causal"].told
        self._masks(form, plan)
        if right:
            self._gradients(form, plan)
            self._precision(form, plan)

    def _described(self, plan: Plan) -> dict[str, str]:
        found = {}
        for part in ("self", "cross") if self.kind.cross else ("self",):
            for role, name in plan[part].value[0].described().items():
                found[f"{role}, {part}" if self.kind.cross else role] = name
        for role, each in (("feed-forward 1", self.layout.first), ("feed-forward 2", self.layout.second)):
            found[role] = " + ".join(each.names) if each else ""
        for number, each in enumerate(plan["norms"].value):
            found[f"norm {number + 1}"] = " + ".join(self.layout.norms[each].names)
        return found

    # ------------------------------------------------------------------ gradients, masks, numbers

    def _gradients(self, form: Form, plan: Plan) -> None:
        """The gradients of the parameters against those of the reference; which parameters have none."""
        inputs = self._inputs()
        arguments, keywords = form.call(inputs)
        try:
            got = self.session.call(
                self.built.handle, arguments, keywords, parameters=self.values, gradient=True
            )
        except CodeError as error:
            self.outcome.check("gradients", False, str(error))
            self.outcome.mistake("gradient-stopped")
            return
        leaves = {key: torch.from_numpy(each.copy()).requires_grad_() for key, each in self.values.items()}
        tensors = {**leaves, **{alias: leaves[name] for alias, name in self.aliases.items()}}
        output = self.expected(plan, inputs, tensors)
        aim = form.received(cotangent(form.given(np.zeros(output.shape)).shape))
        (output * torch.from_numpy(np.ascontiguousarray(aim))).sum().backward()
        compare_gradients(self.outcome, got.gradients, leaves, EXACT)

    def _masks(self, form: Form, plan: Plan) -> None:
        arguments = mask_arguments(self.built.forward)
        if not arguments:
            return
        memory = [each for each in arguments if each not in self._causal_arguments()]
        known = len(self.outcome.mistakes)
        self._mask("padding", memory or arguments, form, plan)
        taken = self.outcome.found["arguments"]
        if not self.kind.cross and len(self.outcome.mistakes) == known:
            self._mask("causal", [each for each in arguments if each.name not in taken], form, plan)
        elif self.kind.cross and plan["causal"].told == "not causal":
            self._mask("causal", self._causal_arguments(), form, plan)

    def _mask(self, part: str, arguments: Sequence, form: Form, plan: Plan) -> None:
        """Finds how a mask is given, or what is wrong with what is done with it."""
        inputs = self._inputs()
        keys = SOURCE if self.kind.cross and part == "padding" else TOKENS
        lengths = np.array([[keys - 1], [keys // 2 - 1], [keys - 2]])
        real = np.arange(keys)[None] < lengths
        padding, which = torch.from_numpy(real), 1 if self.kind.cross else 0
        masks = [Masks(causal=self.kind.cross), Masks()]
        if part == "padding":
            masks[which] = replace(masks[which], padding=padding)
            allowed = np.broadcast_to(real[:, None, None, :], (BATCH, 1, TOKENS, keys))
        else:
            which = 0
            masks[0] = Masks(causal=True)
            causal = np.tril(np.ones((TOKENS, TOKENS), dtype=bool))
            allowed = np.broadcast_to(causal, (BATCH, 1, TOKENS, TOKENS))
        tensors = self._tensors(self.values)
        part_name = ("self", "cross")[which]

        def wanted(change: Any = None) -> np.ndarray | None:
            reading, steps = plan[part_name].value
            own = {**plan, part_name: option("", (reading, change.on(steps) if change else steps))}
            if part == "causal":
                own["causal"] = option("", lambda each: each)
            try:
                with torch.no_grad():
                    return self.expected(own, inputs, tensors, (masks[0], masks[1])).numpy()
            except (RuntimeError, IndexError, ValueError):
                return None

        right = wanted()
        bank = PADDING if part == "padding" else CAUSAL
        ran: list[np.ndarray] = []
        for argument in arguments:
            said = mask_said(argument.name, words_about(argument.name, self.words))
            for slot in slots(argument, part, said):
                flat = part == "padding" and slot.shape in ("bk", "b1k", "b11k", "k", "lengths")
                value = slot.given(real if flat else allowed)
                output = self._run(form, inputs, {argument.name: value})
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
        self.outcome.check(f"mask, {part}", True, slot.argument)
        self.outcome.found["arguments"][slot.argument] = f"{part} mask"
        if slot.meaning in ("attend", "ignore"):
            self.outcome.found["mask_true_means"] = slot.meaning

    def _precision(self, form: Form, plan: Plan) -> None:
        inputs = self._inputs()
        with torch.no_grad():
            wanted = self.expected(plan, inputs, self._tensors(self.values)).numpy()
        off = distance(self._run(form, inputs, dtype="float32"), wanted)
        self.outcome.check("float32", off < 1e-3, f"off by {off:.1g} of its size")
