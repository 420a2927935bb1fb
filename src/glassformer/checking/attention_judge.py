"""Judges attention: builds it, finds out how it is meant, compares, and names what differs.

Two stages. Without masks: every reading (argument order, batch first or not, which parameter is which
projection) against the right steps, and where none fits, against each known mistake and each pair. Then, with
the reading that fitted, the masks: every way to give them, right first, then each known mistake of masking.
"""

import torch

from glassformer.checking.attention_core import CoreStage
from glassformer.checking.attention_kinds import KINDS
from glassformer.checking.attention_masks import MaskStage
from glassformer.checking.attention_numbers import NumberStage
from glassformer.checking.judging import Outcome
from glassformer.checking.understanding import ARRAYS

__all__ = ["KINDS", "AttentionJudge"]


class AttentionJudge(CoreStage, MaskStage, NumberStage):
    """Judges one offer against one kind of attention."""

    def judge(self) -> Outcome:
        outcome = self.outcome
        kept = self._set_up()
        if not kept:
            self.could_not_run()
            return outcome
        self.tensors = {key: torch.from_numpy(each) for key, each in self.values.items()}
        self._registered()
        self._steadiness(kept[0])
        found = self._core(kept)
        if found is None:
            return outcome
        if self.arrays:
            outcome.found["given"] = ARRAYS
        tensors = not self.arrays  # only these have gradients and half precision
        if tensors and not found.wrong:
            self._gradients(found)
        self._fully_masked(self._masks(found))
        if tensors and not found.wrong:
            self._precision(found)
        return outcome
