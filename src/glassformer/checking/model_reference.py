"""What a whole model gives that is made after a plan: the reference of `model_judge`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.attention import Masks
from glassformer.checking.blocks import BlockSteps, BlockWeights, moments, normed, right_steps, run_block
from glassformer.checking.layouts import Part, block_weights, norm, projection
from glassformer.checking.model_parts import ModelParts, Stack
from glassformer.checking.models import pooled, shifted
from glassformer.checking.searching import Option, Plan


@dataclass(frozen=True)
class ModelReference:
    """takes: "ids", "images" or "pairs". stacks: the encoder's under "e", the decoder's under "d".

    questions: the first answer to each is taken where a plan has none.
    """

    takes: str
    parts: ModelParts
    stacks: Mapping[str, Stack]
    questions: Mapping[str, Sequence[Option]]

    def expected(
        self,
        plan: Plan,
        inputs: Sequence[np.ndarray],
        tensors: Mapping[str, Tensor],
        memo: dict | None = None,
    ) -> Tensor:
        """What a model made after this plan gives.

        memo: keeps what stages give, for plans that agree so far.
        """

        def value(question: str) -> Any:
            return plan.get(question, self.questions[question][0]).value

        def kept(stage: str, questions: Sequence[str], make: Any, *also: object) -> Any:
            if memo is None:
                return make()
            key = (stage, *also, *(id(plan.get(each)) for each in questions))
            if key not in memo:
                memo[key] = make()
            return memo[key]

        if self.takes == "pairs":
            return self._pairs(value, inputs, tensors, kept)
        ends = value("ends")
        entering = ("scale", "table", "place", "patches", "norm")
        own = (ends[0], value("pool")[0])

        def entered() -> tuple[Tensor, Tensor]:
            x, real = self._entered(value, inputs[0], tensors)
            return self._after_norm(value, ends[0], x, tensors), real

        x, real = kept("entered", entering, entered, *own)
        masks = (Masks(real if (inputs[0] == 0).any() and self.takes == "ids" else None), Masks())
        x = kept(
            "layers",
            (*entering, *_of("e")),
            lambda: self._layers(value, "e", x, None, tensors, masks, kept),
            *own,
        )
        x = self._after_norm(value, ends[1], x, tensors)
        place, how = value("pool")
        counted = real.clone()
        if place:
            counted[:, 0 if place == "first" else -1] = False
        y = self._after_norm(value, ends[2], pooled(x, how, counted.to(x.dtype)), tensors)
        for number, each in enumerate(self.parts.heads):
            y = value("head")(y) if number else y
            y = projection(each, tensors, False)(y)
        return y

    def _entered(self, value: Any, given: np.ndarray, tensors: Mapping[str, Tensor]) -> tuple[Tensor, Tensor]:
        """Tokens with their positions and the CLS token, and which of them are real."""
        raw = torch.from_numpy(given)
        if self.takes == "images":
            patch = self.parts.patch
            assert patch
            assert patch.weight
            bias = tensors[patch.bias] if patch.bias else None
            x = value("patches")(raw, tensors[patch.weight], bias)
            real = torch.ones(x.shape[:2], dtype=torch.bool)
        else:
            x, real = tensors[self.parts.embeddings[0]][raw] * value("scale"), raw != 0
        place, _ = value("pool")
        axis, which = value("place")
        table = value("table")
        skipped = which != "all" and bool(place)
        if skipped and table is not None:
            start = 1 if "from 1" in which else 0
            x = x + table(x.shape[1] + start, tensors)[start:]
        if place:
            cls = tensors[self.parts.cls].reshape(1, 1, -1).expand(len(x), 1, -1)  # type: ignore[index]
            true = torch.ones(len(x), 1, dtype=torch.bool)
            x = torch.cat((cls, x) if place == "first" else (x, cls), 1)
            real = torch.cat((true, real) if place == "first" else (real, true), 1)
        if not skipped and table is not None:
            rows = table(x.shape[1] if axis == 1 else len(x), tensors)
            x = x + (rows if axis == 1 else rows[:, None])
        return x, real

    def _after_norm(self, value: Any, part: Part | None, x: Tensor, tensors: Mapping[str, Tensor]) -> Tensor:
        if part is None:
            return x
        normalise, eps = value("norm")
        if part in self.parts.wide_norms:
            return moments(x, eps, (1, 2)) * tensors[part.weight] + tensors[part.bias]  # type: ignore[index]
        steps = replace(right_steps("pre"), normalise=normalise, eps=eps)
        return normed(x, norm(part, tensors), steps)

    def _layers(
        self,
        value: Any,
        letter: str,
        x: Tensor,
        memory: Tensor | None,
        tensors: Mapping[str, Tensor],
        masks: tuple[Masks, Masks],
        kept: Any,
    ) -> Tensor:
        stack = self.stacks[letter]
        chosen = [value(f"{letter} self"), *([value(f"{letter} cross")] if stack.crosses else [])]
        steps = [each[1] for each in chosen]
        change = value(f"{letter} padding")
        padded = 1 if stack.crosses else 0
        if change is not None:
            steps[padded] = change.on(steps[padded])
        steps[0] = value(f"{letter} causal")(steps[0])
        normalise, eps = value("norm")
        block = BlockSteps(
            value(f"{letter} flow"), value(f"{letter} norms"), tuple(steps), value(f"{letter} activation"),
            normalise, eps,
        )  # fmt: skip

        def weights(prefix: str) -> BlockWeights:
            own = {n.removeprefix(prefix): each for n, each in tensors.items() if n.startswith(prefix)}
            own |= {alias: own[name] for alias, name in stack.attentions.aliases.items()}
            return block_weights(stack.layout, tuple(each[0] for each in chosen), own)

        for number in range(value(f"{letter} layers")):
            prefix = stack.prefixes[number % len(stack.prefixes)]
            read = (f"{letter} self", f"{letter} cross")
            mine = kept("weights", read, lambda prefix=prefix: weights(prefix), prefix)
            x = run_block(x, memory, mine, stack.attentions.sizes, block, masks)
        return x

    def _pairs(
        self, value: Any, inputs: Sequence[np.ndarray], tensors: Mapping[str, Tensor], kept: Any
    ) -> Tensor:
        source, target = (torch.from_numpy(each) for each in inputs)
        start, by = value("shift")
        target = shifted(target, start, by) if by else target
        tables_of = self.parts.embeddings
        ends = value("ends")
        embedded = []
        for ids, name in ((source, tables_of[0]), (target, tables_of[-1])):
            x = tensors[name][ids] * value("scale")
            axis, _ = value("place")
            table = value("table")
            if table is not None:
                rows = table(x.shape[1] if axis == 1 else len(x), tensors)
                x = x + (rows if axis == 1 else rows[:, None])
            embedded.append(x)
        real = source != 0 if (source == 0).any() else None
        before = ("scale", "table", "place", "norm")

        def encoded() -> Tensor:
            memory = self._layers(value, "e", embedded[0], None, tensors, (Masks(real), Masks()), kept)
            return self._after_norm(value, ends[0], memory, tensors)

        def decoded() -> Tensor:
            memory = kept("encoded", (*before, *_of("e")), encoded, ends[0])
            return self._layers(
                value, "d", embedded[1], memory, tensors, (Masks(causal=True), Masks(real)), kept
            )

        x = kept("decoded", (*before, "shift", *_of("e"), *_of("d")), decoded, ends[0])
        x = self._after_norm(value, ends[1], x, tensors)
        if not self.parts.heads:
            return x @ tensors[tables_of[-1]].T
        return projection(self.parts.heads[-1], tensors, False)(x)


def _of(letter: str) -> tuple[str, ...]:
    """The questions about one stack."""
    names = ("flow", "norms", "activation", "layers", "causal", "self", "cross", "padding")
    return tuple(f"{letter} {each}" for each in names)
