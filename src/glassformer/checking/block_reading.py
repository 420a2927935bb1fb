"""Builds and calls a block, reads what its parameters are, and computes what one of a known make gives."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.attention import Masks
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
from glassformer.checking.exchange import CodeError, Offer
from glassformer.checking.forms import Form, Slot, forms, mask_arguments
from glassformer.checking.judging import Session
from glassformer.checking.layered import LayeredJudge
from glassformer.checking.layouts import block_weights, layout, read_attentions
from glassformer.checking.names import inner_widths
from glassformer.checking.projections import Assignment, random_values
from glassformer.checking.said import said_activation, said_norms
from glassformer.checking.searching import Plan, option
from glassformer.checking.source import Code

BATCH, TOKENS, SOURCE, D_MODEL, D_FF = 3, 6, 9, 24, 40
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


class BlockReader(LayeredJudge):
    """What all stages of a block's judge work with."""

    copies = ".*Transformer.*"

    def __init__(self, session: Session, offer: Offer, code: Code, seed: int = 0, *, kind: BlockKind) -> None:
        super().__init__(session, offer, code, seed)
        self.kind = kind
        self.values: dict[str, np.ndarray] = {}
        self.extra: tuple[str, ...] = ()
        self.ways: dict[str, Slot] = {}
        """How each kind of mask is given, as far as it fitted."""

    def _set_up(self) -> list[Form]:
        sizes = {
            "d_ff": D_FF, "d_model": D_MODEL, "heads": 3, "d_head": 8, "max_len": 32, "dropout": 0.3,
            "bias": True, "batch_first": True, "layers": 2,
            **dict.fromkeys(inner_widths(each.name for each in self.offer.arguments), D_FF),
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
