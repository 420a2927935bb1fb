"""Gradients of attention, and what single and half precision do to it."""

from typing import Any

import numpy as np
import torch

from glassformer.checking.attention import Weights, attend
from glassformer.checking.attention_reading import TOKENS, Found, Reader
from glassformer.checking.exchange import CodeError, cotangent
from glassformer.checking.forms import first_array
from glassformer.checking.judging import EXACT, distance


class NumberStage(Reader):
    """Looks at what float64 outputs do not show."""

    def _gradients(self, found: Found) -> None:
        """The gradients of inputs and parameters against those of the reference."""
        reading, inputs = found.reading, self._inputs(TOKENS, TOKENS)
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
        output = attend((q, k, v), weights, reading.sizes, reading.masks, found.steps)
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
        # what comes out for zero where a step is in single precision, beside gradients of this size
        largest = max((float(np.abs(each).max()) for each in result.gradients.values()), default=0.0)
        nothing = 1e-9 if self.bar == EXACT else 1e-5 * largest
        for name in used:
            grad = tensors[name].grad
            wanted = np.zeros_like(self.values[name]) if grad is None else grad.numpy()
            got = result.gradients.get(name)
            idle = np.abs(wanted).max() < 1e-9  # the bias of the keys, which the softmax takes away
            if idle and got is None:
                self.outcome.remark("missing-bias")
            off = 0.0 if idle and (got is None or np.abs(got).max() < nothing) else distance(got, wanted)
            if off > worst:
                worst, where = off, name
        passed = worst < (1e-7 if self.bar == EXACT else 1e-3)
        self.outcome.check(
            "gradients of inputs and parameters", passed, "" if passed else f"of {where}: off by {worst:.2g}"
        )
        if not passed:
            self.outcome.mistake("gradient-stopped")

    def _precision(self, found: Found) -> None:
        reading, inputs = found.reading, self._inputs(TOKENS, TOKENS)

        def reference(dtype: torch.dtype) -> np.ndarray | None:
            return self._expected(reading, inputs, found.steps, dtype=dtype)

        def run(**options: Any) -> np.ndarray | None:
            return self._run(reading.form, inputs, **options)

        self.precision(run, reference)
