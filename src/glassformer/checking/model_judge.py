"""Judges whole models: text classifier, Vision Transformer, encoder-decoder. See `searching` for the way."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from glassformer.checking.block_mistakes import (
    ACTIVATIONS,
    activations,
    attention_options,
    causal_options,
    flows,
    norm_functions,
    norm_maps,
)
from glassformer.checking.exchange import Built, CodeError, Offer, cotangent
from glassformer.checking.forms import first_array
from glassformer.checking.judging import EXACT, Outcome, Session
from glassformer.checking.layered import LayeredJudge, compare_gradients, name_plans
from glassformer.checking.model_options import (
    last_norms,
    paddings,
    patchings,
    placements,
    poolings,
    scales,
    shifts,
    stack_norms,
    tables,
)
from glassformer.checking.model_parts import (
    CHANNELS,
    D_MODEL,
    IMAGE,
    LAYERS,
    VOCAB,
    Stack,
    keywords,
    model_parts,
)
from glassformer.checking.model_reference import ModelReference
from glassformer.checking.names import size_role
from glassformer.checking.projections import random_values
from glassformer.checking.said import said_activation, said_norms, said_shift, says_padding
from glassformer.checking.searching import RIGHT_SECONDS, Option, Plan, Probe, mistakes, option, search
from glassformer.checking.source import Code

BATCH, TOKENS, SOURCE = 3, 6, 9
ROUNDED = 3e-6
"""For a table that the model keeps in single precision."""
SECONDS, IN_ALL = 3.5, 5.5
_STACKS = {"e": "the encoder's", "d": "the decoder's"}
_SUBLAYERS = {"self": "self-attention", "cross": "cross-attention", "ff": "feed-forward layers"}


def _in_words(part: str) -> str:
    """Of a sublayer, "e self" say."""
    stack, sublayer = part.split()
    return f"{_STACKS[stack]} {_SUBLAYERS[sublayer]}"


@dataclass(frozen=True)
class ModelKind:
    """A contract of models. takes: "ids", "images" or "pairs" (source and target ids)."""

    slug: str
    title: str
    takes: str


MODELS = {
    each.slug: each
    for each in (
        ModelKind("text-classifier", "text classifier", "ids"),
        ModelKind("vision-transformer", "Vision Transformer", "images"),
        ModelKind("encoder-decoder", "encoder-decoder", "pairs"),
    )
}


class ModelJudge(LayeredJudge):
    """Judges one offer against one kind of model."""

    copies = "TransformerEncoder"

    def __init__(self, session: Session, offer: Offer, code: Code, seed: int = 0, *, kind: ModelKind) -> None:
        super().__init__(session, offer, code, seed)
        self.kind = kind
        self.padded = kind.takes != "images" and says_padding(code.whole or code.text)
        self.bar = EXACT
        self.asked = LAYERS

    def judge(self) -> Outcome:
        self.construction = keywords(self.offer.arguments)
        if not self.rebuild():
            self.could_not_run()
            return self.outcome
        inputs = self._inputs()

        def run(**options: Any) -> np.ndarray | None:
            return self._run(inputs, **options)

        if self.hidden(run) or not self.steady_at_last(run):
            return self.outcome
        self.copied()
        if self._ask():
            self._find()
        return self.outcome

    # ------------------------------------------------------------------ building and calling

    def rebuild(self) -> bool:
        built = self.build(self.construction)
        if built is None:
            return False
        self.built = built
        self.values = random_values(built, self.seed + 1, 1.4)
        return self._run(self._inputs()) is not None

    def _inputs(self, batch: int = BATCH, tokens: int = TOKENS, padded: str = "") -> list[np.ndarray]:
        if self.kind.takes == "images":
            return [self.random.standard_normal((batch, CHANNELS, IMAGE, IMAGE))]
        source = self.random.integers(2, VOCAB, (batch, SOURCE if tokens > 1 else 1))
        if padded:
            lengths = np.array([[SOURCE - 2], [SOURCE - (padded == "every row")], [3]])[:batch]
            source = np.where(np.arange(SOURCE)[None] < lengths, source, 0)
        if self.kind.takes == "ids":
            return [source]
        return [source, self.random.integers(2, VOCAB, (batch, tokens))]

    def _run(self, inputs: Sequence[np.ndarray], **options: Any) -> np.ndarray | None:
        options.setdefault("parameters", self.values)
        try:
            called = self.session.call(self.built.handle, list(inputs), **options)
        except CodeError as error:
            self.errors.append(error)
            return None
        return first_array(called.output)

    # ------------------------------------------------------------------ the questions

    def _ask(self) -> bool:
        self.parts = model_parts(self.built, self.kind.takes == "images")
        stacks = {("d" if each.crosses else "e"): each for each in self.parts.stacks}
        needed = {"e", "d"} if self.kind.takes == "pairs" else {"e"}
        embedded = self.parts.patch if self.kind.takes == "images" else self.parts.embeddings
        if set(stacks) != needed or not embedded or (not self.parts.heads and self.kind.takes != "pairs"):
            self.outcome.check(
                "parameters", False, "layers, embedding or head not found among the parameters"
            )
            self.outcome.mistake("unknown")
            return False
        self.stacks: dict[str, Stack] = stacks
        eps = self.norm_eps()
        self.bar = ROUNDED if self.built.buffers else EXACT
        made: dict[str, list[Option]] = {
            "norm": norm_functions(eps or [1e-5, 1e-6], not eps),
            "scale": scales() if self.kind.takes != "images" else [option("", 1.0)],
            "table": tables(self.parts),
            "place": placements(self.parts),
        }
        self.said = said_norms(self.words)
        for letter, stack in stacks.items():
            made |= self._stack_questions(letter, stack)
        if self.kind.takes == "pairs":
            ends = stack_norms(self.parts)
            starts = {each.default for each in self.offer.arguments if type(each.default) is int
                      and each.name.lower().startswith(("bos", "sos", "start"))}  # fmt: skip
            takes = [each.name for each in self.built.forward if each.required]
            said = said_shift(self.words, takes[1] if len(takes) > 1 else "")
            made |= {"ends": ends, "shift": shifts(said, tuple(starts | {1}))}
        else:
            made |= {"ends": last_norms(self.parts), "pool": poolings(self.parts, self.padded)}
            two = len(self.parts.heads) > 1
            made["head"] = [option(name, each) for name, each in ACTIVATIONS.items()] if two else [option("")]
        made["patches"] = patchings(self.parts) if self.parts.patch else [option("")]
        self.questions = made
        self.reference = ModelReference(self.kind.takes, self.parts, stacks, made)
        return True

    def _stack_questions(self, letter: str, stack: Stack) -> dict[str, list[Option]]:
        count = 3 if stack.crosses else 2
        readings = stack.attentions.readings
        extra = ("layers-shared",) if stack.attentions.aliases else ()
        depth = len(stack.prefixes)
        layers = [option(f"{depth} layers", depth)]
        if depth < self.asked:
            layers = [
                option(f"one layer, {self.asked} times", self.asked, "layers-shared"),
                option(f"{depth} layers", depth, likely=False),
            ]
        return {
            f"{letter} flow": flows(count, self.said),
            f"{letter} norms": norm_maps(count, len(stack.layout.norms)),
            f"{letter} activation": activations(said_activation(self.words)),
            f"{letter} layers": layers,
            f"{letter} causal": causal_options(True, not stack.crosses),
            f"{letter} self": attention_options(readings[0], cross=False, extra=extra),
            f"{letter} cross": attention_options(readings[1], cross=True) if stack.crosses else [option("")],
            f"{letter} padding": paddings(self.padded),
        }

    # ------------------------------------------------------------------ the search

    def _probe(
        self, name: str, asks: Sequence[str], silent: Sequence[str], inputs: Sequence[np.ndarray]
    ) -> Probe:
        hushed = {n for each in silent for n in self.stacks[each[0]].silenced(each[2:])}
        values = {key: np.zeros_like(v) if key in hushed else v for key, v in self.values.items()}
        seen = self._run(inputs, parameters=values)
        tensors = {key: torch.from_numpy(each) for key, each in values.items()}
        memo: dict = {}

        def expect(plan: Plan) -> np.ndarray | None:
            try:
                with torch.no_grad():
                    return self.reference.expected(plan, inputs, tensors, memo).numpy()
            except (RuntimeError, IndexError, ValueError):
                return None

        return Probe(name, tuple(asks), seen, expect, self.bar)

    def _probes(self, padded: str = "") -> list[Probe]:
        outside = ["norm", "scale", "table", "place", "ends"]
        outside += ["shift"] if self.kind.takes == "pairs" else ["pool", "patches", "head"]
        main = "d" if self.kind.takes == "pairs" else "e"
        parts = [f"{main} self", f"{main} ff", *(["d cross"] if main == "d" else [])]
        others = ["e self", "e ff"] if main == "d" else []
        asks = [*outside, f"{main} flow", f"{main} norms", f"{main} layers", f"{main} causal"]
        if padded and main == "e":
            asks.append("e padding")
        found = [
            self._probe("the residual stream alone", asks, [*parts, *others], self._inputs(padded=padded))
        ]

        def active(part: str, question: str, silent: Sequence[str]) -> None:
            """Adds a probe in which one of the silent sublayers acts; it asks only about what acts."""
            if question not in asks:
                asks.append(question)
            hushed = [each for each in silent if each != part]
            about = {each.replace("ff", "activation") for each in hushed}
            wanted = [each for each in asks if each not in about]
            found.append(self._probe(f"{_in_words(part)} alone", wanted, hushed, self._inputs(padded=padded)))

        active(f"{main} ff", f"{main} activation", [*parts, *others])
        active(f"{main} self", f"{main} self", [*parts, *others])
        if main == "d":
            asks += ["e flow", "e norms", "e layers", "e causal"]
            asks += ["e padding", "d padding"] if padded else []
            active("d cross", "d cross", [*parts, *others])
            rest = ["d self", "d ff", *others]
            active("e ff", "e activation", rest)
            active("e self", "e self", rest)
        found.append(self._probe("all of it", asks, [], self._inputs(padded=padded)))
        found.append(self._probe("a batch of one", asks, [], self._inputs(batch=1, tokens=4, padded=padded)))
        if self.kind.takes != "images":
            paddings = ["e padding", *(["d padding"] if main == "d" else [])]
            asks = list(dict.fromkeys([*asks, *paddings]))
            found.append(self._probe("padding", asks, [], self._inputs(padded="some rows")))
        return found

    def _find(self) -> None:
        probes = self._probes()
        if _only_nan(probes) and self._one_layer():
            probes = self._probes()
        if _only_nan(probes) and self.kind.takes != "images":
            probes = self._probes("every row")
        stop = time.thread_time() + self.patience * IN_ALL
        for budget, likely in ((0, True), (0, False), (1, True), (1, False), (2, True)):
            if budget == 2:
                for letter, stack in self.stacks.items():
                    self.questions[f"{letter} flow"] = flows(3 if stack.crosses else 2, self.said, 2)
            seconds = min(SECONDS, stop - time.thread_time()) if budget else RIGHT_SECONDS
            plans = search(probes, self.questions, budget, likely=likely, seconds=seconds)
            if plans:
                self._accept(plans, probes)
                return
        self.outcome.check("output", False, "no known way to make such a model gives this")
        self.outcome.mistake("unknown")

    def _one_layer(self) -> bool:
        """Where one row without anything to attend to spoils all of the next layer."""
        named = [name for name in self.construction if size_role(name) == "layers" or "layers" in name]
        if not named:
            return False
        self.construction = {**self.construction, **dict.fromkeys(named, 1)}
        self.asked = 1
        return self.rebuild() and self._ask()

    def _accept(self, plans: list[Plan], probes: list[Probe]) -> None:
        plan, outcome = plans[0], self.outcome
        name_plans(outcome, plans)
        right = not mistakes(plan)
        if right:
            self._inconsistent(plan)
        for probe in probes[-3:]:
            outcome.check(f"output, {probe.name}", right, "" if right else "in the way of a known mistake")
        outcome.found |= {
            "batch_first": True,
            "arguments": {each.name: "input" for each in self.built.forward if each.required},
            "parameters": {
                "embedding": " + ".join(self.parts.embeddings),
                "positions": " + ".join(self.parts.positions),
                "head": " + ".join(name for each in self.parts.heads for name in each.names),
                **{f"layers, {letter}": each.name for letter, each in self.stacks.items()},
            },
            **{question: each.told for question, each in plan.items() if each.told},
        }
        if right:
            self._gradients(plan)
            self._odd_width(plan)

    def _inconsistent(self, plan: Plan) -> None:
        """Padding that one part of the model leaves out and another one does not."""
        masked = any(
            plan[each].told == "padding is masked" for each in ("e padding", "d padding") if each in plan
        )
        counted = "pool" in plan and plan["pool"].value[1] == "mean"
        unmasked = [e for e in ("e padding", "d padding") if e in plan and "not" in plan[e].told]
        left_out = "pool" in plan and plan["pool"].value[1] == "mean of real"
        if counted and masked:
            self.outcome.mistake("pooling-counts-padding")
        elif unmasked and (masked or left_out):
            self.outcome.mistake("padding-ignored")

    def _gradients(self, plan: Plan) -> None:
        inputs = self._inputs()
        try:
            got = self.session.call(self.built.handle, inputs, parameters=self.values, gradient=True)
        except CodeError as error:
            self.outcome.check("gradients", False, str(error))
            self.outcome.mistake("gradient-stopped")
            return
        leaves = {key: torch.from_numpy(each.copy()).requires_grad_() for key, each in self.values.items()}
        output = self.reference.expected(plan, inputs, leaves)
        (output * torch.from_numpy(cotangent(output.shape))).sum().backward()
        compare_gradients(self.outcome, got.gradients, leaves, self.bar)

    def _odd_width(self, plan: Plan) -> None:
        """Whether sines and cosines share out an odd width; crashing there is told, no mistake of a model."""
        if "sinusoidal" not in plan["table"].told:
            return
        wide = {
            name: 21 if value == D_MODEL and type(value) is int else value
            for name, value in self.construction.items()
        }
        built: Built | None = self.build(wide)
        if built is not None:
            try:
                self.session.call(built.handle, self._inputs())
                return
            except CodeError as error:
                self.errors.append(error)
        self.outcome.remark("positions-odd-width")


def _only_nan(probes: Sequence[Probe]) -> bool:
    seen = probes[0].seen
    return seen is not None and bool(np.isnan(seen).all())
