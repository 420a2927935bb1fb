"""Builds and calls a stranger's attention, and holds every reading of it beside the checker's own."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from glassformer.checking.attention import BARE, Masks, Sizes, Steps, Weights, attend
from glassformer.checking.attention_kinds import Kind
from glassformer.checking.constructions import constructions
from glassformer.checking.exchange import Built, CodeError, Namespace, Offer, Step
from glassformer.checking.forms import Form, Inputs, forms
from glassformer.checking.judging import EXACT, Judge, Session, described
from glassformer.checking.names import size_role
from glassformer.checking.projections import Assignment, assignments, random_values
from glassformer.checking.source import Code

BATCH, TOKENS, KEYS = 4, 7, 11
UNMASKED = Masks()

_WORDS = {"q": "query", "k": "key", "v": "value"}


@dataclass(frozen=True)
class Reading:
    """One way to understand the module that the calls so far allow."""

    form: Form
    sizes: Sizes
    assignment: Assignment | None
    masks: Masks = UNMASKED

    def weights(self, values: Mapping[str, torch.Tensor]) -> Weights:
        return self.assignment.weights(values) if self.assignment else Weights()


@dataclass(frozen=True)
class Found:
    """A reading and the steps under which it gives what the module gives; wrong: they hold a mistake."""

    reading: Reading
    steps: Steps
    wrong: bool = False


class Reader(Judge):
    """What every stage of the judging of attention needs."""

    def __init__(self, session: Session, offer: Offer, code: Code, seed: int = 0, *, kind: Kind) -> None:
        super().__init__(session, offer, code, seed)
        self.kind = kind
        self.built: Built | None = None
        self.values: dict[str, np.ndarray] = {}
        self.tensors: dict[str, torch.Tensor] = {}
        self.inner_heads = 0
        self.d_model, self.heads = 24, 3
        self.arrays = offer.kind == "function" and code.numpy_alone
        """Whether it is given NumPy's arrays, as its file knows no tensors."""
        self.actual: dict[Form, list] = {}
        """What the forms gave, probe by probe."""
        self.bar = EXACT

    @property
    def steps(self) -> Steps:
        """The right steps for the inputs as they are given."""
        return (
            replace(self.kind.steps, split=BARE.split, merge=BARE.merge)
            if self.inner_heads
            else self.kind.steps
        )

    def _sizes_tried(self) -> dict[str, Any]:
        heads = {"heads": self.heads} if self.kind.several_heads else {}
        return {
            "d_model": self.d_model, **heads, "d_head": [8, 24], "max_len": 32,
            "dropout": 0.3, "bias": True, "batch_first": True, "causal": False, "layers": 2, "d_ff": 40,
            **self.fixed,
        }  # fmt: skip

    def build(self, keywords: dict[str, Any]) -> Built | None:
        """With the parameters that torch does not see among the others."""
        built = super().build(keywords)
        return built and replace(
            built,
            parameters={**built.parameters, **built.hidden},
            modules={**built.modules, **built.hidden_modules},
        )

    def _set_up(self) -> list[Form]:
        """Builds an instance that can be called; gives the forms whose output has a fitting shape."""
        for keywords in constructions(self.offer, self._sizes_tried()) if self.is_built else ({},):
            built = self.build(keywords)
            if self.stopped:
                return []
            if built is None:
                continue
            if self.offer.kind == "instance":
                self._sizes_of_instance(built)
            values = random_values(built, self.seed + 1)
            for inner_heads in (0, 3) if self.kind.slug == "attention" else (0,):
                self.inner_heads = inner_heads
                kept = self._forms_that_run(built, values)
                if kept:
                    self.built, self.values, self.construction = built, values, keywords
                    return kept
        return []

    def _sizes_of_instance(self, built: Built) -> None:
        """What it was built with: as its attributes say, else the side that most of its matrices have."""
        said = {size_role(name): value for name, value in built.settings[""].items() if type(value) is int}
        sides = [shape[-1] for shape in built.parameters.values() if len(shape) > 1]
        self.d_model = said.get("d_model") or max(sides, key=sides.count, default=self.d_model)
        self.heads = said.get("heads") or (1 if self.d_model % self.heads else self.heads)

    def _forms_that_run(self, built: Built, values: Mapping[str, np.ndarray]) -> list[Form]:
        inputs = self._inputs(TOKENS, TOKENS)
        kept: list[Form] = []
        possible = forms(built.forward, self._batch_first(built))
        if self.inner_heads:
            possible += [replace(form, tokens_first=True) for form in possible if form.batched]
        for form in possible:
            if kept and (not form.batched or form.required != kept[0].required):
                continue  # counts only where no better one works
            if not form.serves(inputs):
                continue
            output = self._run(form, inputs, built=built, values=values)
            if output is not None and self._fits(output, inputs, form):
                kept.append(form)
            elif output is not None:
                shape, given = tuple(output.shape), tuple(inputs["q"].shape)
                self.came_back = f"it returned a tensor of shape {shape} for an input of shape {given}"
        return kept

    def _batch_first(self, built: Built) -> bool | None:
        setting = built.settings.get("", {}).get("batch_first")
        return setting if isinstance(setting, bool) else None

    def _fits(self, output: np.ndarray, inputs: Inputs, form: Form) -> bool:
        want = inputs["q"].shape if form.batched else inputs["q"][:1].shape
        if self.kind.grid:
            return output.shape == want
        return output.ndim == len(want) and output.shape[:-1] == want[:-1]

    def _inputs(self, queries: int, keys: int, batch: int = BATCH, values: bool = False) -> dict[str, Any]:
        """Random q, k and v; the very same array where they are the same place."""
        d_model = self.d_model if self.kind.slug != "attention" else 8
        if self.kind.grid:
            x = self.random.standard_normal((batch, d_model, 5, 3))
            return {"q": x, "k": x, "v": x}
        # without parameters a token's product with itself must not leave the others without a share
        scale = 1.0 if self.kind.projected else 1.3 if self.kind.slug == "attention" else 0.45
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
                parameters=self.values if values is None else values, as_numpy=self.arrays, **options,
            )  # fmt: skip
        except CodeError as error:
            self.errors.append(error)
            return None
        received = form.received(result.output)
        if received is None:
            self.came_back = f"it returned {described(result.output)}"
        return received

    def _watched(self, form: Form, inputs: Inputs) -> list[Step]:
        """What is computed on the way; nothing where it raises."""
        arguments, keywords = form.call(inputs)
        try:
            return self.session.call(
                self._must().handle, arguments, keywords, parameters=self.values, steps=True
            ).steps
        except CodeError as error:
            self.errors.append(error)
            return []

    def _expected(
        self,
        reading: Reading,
        inputs: Inputs,
        steps: Steps,
        masks: Masks | None = None,
        seen: dict[str, torch.Tensor] | None = None,
        dtype: torch.dtype = torch.float64,
    ) -> np.ndarray | None:
        """What the reference gives under this reading; None where the steps do not fit together."""
        cut = (lambda x: x) if reading.form.batched else (lambda x: x[:1])
        tensors = [torch.from_numpy(cut(inputs[role])).to(dtype) for role in ("q", "k", "v")]
        parameters = {name: each.to(dtype) for name, each in self.tensors.items()}
        masks = reading.masks if masks is None else masks
        if masks.padding is not None and not reading.form.batched:
            masks = replace(masks, padding=masks.padding[:1])
        try:
            with torch.no_grad():
                output = attend(
                    (tensors[0], tensors[1], tensors[2]),
                    reading.weights(parameters),
                    reading.sizes,
                    masks,
                    steps,
                    seen,
                )
        except (RuntimeError, IndexError, ValueError):
            return None
        return output.to(torch.float64).numpy()

    def _readings(self, kept: list[Form], widths: Mapping[Form, int]) -> list[Reading]:
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
                width = widths[form]
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

    def _sizes(self) -> list[Sizes]:
        if not self.kind.projected:
            d = 8 if self.kind.slug == "attention" else self.d_model
            return [Sizes(d, self.inner_heads or 1, d)]
        given = self.offer.kind == "instance" or self.heads in self.construction.values()
        count = self.heads if self.kind.several_heads and (given or self._in_config()) else 1
        assert self.built is not None
        sides = {side for shape in self.built.parameters.values() for side in shape}
        found = []
        for d_head in dict.fromkeys((self.d_model // count, 8, self.d_model)):
            wide = count * d_head
            if any(side in sides for side in (wide, d_head, 2 * wide, 3 * wide)):
                found.append(Sizes(self.d_model, count, d_head))
        return found or [Sizes(self.d_model, count, self.d_model // count)]

    def _in_config(self) -> bool:
        return self.kind.several_heads and any(
            isinstance(each, Namespace) for each in self.construction.values()
        )

    def _says_causal(self) -> bool:
        return "causal" in self.offer.name.lower() or "masked" in self.offer.name.lower()

    def _causal_switch(self) -> str | None:
        """The argument of the constructor that asks for causality."""
        names = [each.name for each in self.offer.arguments if size_role(each.name) == "causal"]
        return names[0] if names and self.is_built else None

    def _must(self) -> Built:
        assert self.built is not None
        return self.built

    def _tell(self, reading: Reading) -> None:
        """How the module was read."""
        found = self.outcome.found
        found["batch_first"] = reading.form.batch_first
        found["arguments"] = {name: _WORDS[role] for name, role in reading.form.takes.items()}
        if reading.assignment:
            found["parameters"] = reading.assignment.described()
