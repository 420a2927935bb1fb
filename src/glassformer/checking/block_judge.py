"""Judges a transformer block or a decoder's block: finds out how it is made, compares, names what differs."""

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch

from glassformer.checking.block_masks import BlockMasks
from glassformer.checking.block_mistakes import (
    flows,
)
from glassformer.checking.exchange import CodeError, cotangent
from glassformer.checking.forms import Form
from glassformer.checking.judging import EXACT, Outcome
from glassformer.checking.layered import compare_gradients, name_plans
from glassformer.checking.searching import RIGHT_SECONDS, Plan, Probe, mistakes, search

SECONDS, IN_ALL = 2.5, 6.0


class BlockJudge(BlockMasks):
    """Judges one offer against one kind of block."""

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
        stop = time.thread_time() + self.patience * IN_ALL
        for budget, likely in ((0, True), (0, False), (1, True), (1, False), (2, True)):
            if budget == 2:
                self.questions["flow"] = flows(3 if self.kind.cross else 2, self.said, 2)
                probes = {}
            for number, form in enumerate(ranked if budget == 0 else ranked[:1]):
                if number not in probes:
                    probes[number] = self._probes(form)
                left = stop - time.thread_time()
                seconds = {0: RIGHT_SECONDS, 1: min(SECONDS, left)}.get(budget, left)
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

    def _precision(self, form: Form, plan: Plan) -> None:
        inputs = self._inputs()

        def reference(dtype: torch.dtype) -> np.ndarray:
            tensors = {name: each.to(dtype) for name, each in self._tensors(self.values).items()}
            given = {role: torch.from_numpy(each).to(dtype) for role, each in inputs.items()}
            with torch.no_grad():
                return self.expected(plan, given, tensors).to(torch.float64).numpy()

        def run(**options: Any) -> np.ndarray | None:
            return self._run(form, inputs, **options)

        self.precision(run, reference)
