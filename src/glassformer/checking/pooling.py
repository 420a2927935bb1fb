"""Judges pooling, of the real tokens' mean or of the first token, with its known mistakes.

mean: y_b = sum_t m_bt x_bt / sum_t m_bt, m_bt = 1 for real tokens and 0 for padding      CLS: y_b = x_b0
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.feeding import Feed, Probe, Way, batch_first_said, feed
from glassformer.checking.forms import CODES, mask_said
from glassformer.checking.names import FORWARD
from glassformer.checking.parts import Mistake, PartJudge, Reading, mistake

BATCH, TOKENS, D_MODEL = 4, 7, 5
LENGTHS = (5, 3, 6, 2)
STATES = "|".join((
    *FORWARD["x"], "states", "hidden_states?", "token_embeddings?", "last_hidden_state", "outputs?",
    "encoded", "model_output", "vectors", "y",
))  # fmt: skip
MASKS = r".*(mask|pad|real|valid|keep).*"


@dataclass(frozen=True)
class Mean:
    """weights: of the tokens, given which are real. over: what the weighted sum is divided by."""

    weights: Callable[[Tensor], Tensor] = lambda real: real
    over: Callable[[Tensor], Tensor] = lambda weights: weights.sum(1)

    def __call__(self, x: Tensor, real: Tensor) -> Tensor:
        weights = self.weights(real).to(x.dtype)
        return (x * weights[..., None]).sum(1) / self.over(weights)[:, None]


@dataclass(frozen=True)
class Cls:
    """place: of the token that is taken."""

    take: Callable[[Tensor], Tensor] = lambda x: x[:, 0]

    def __call__(self, x: Tensor) -> Tensor:
        return self.take(x)


def _shifted(real: Tensor) -> Tensor:
    """One token of the padding too."""
    return torch.cat((real[:, :1], real[:, :-1]), 1)


def _all_rows(weights: Tensor) -> Tensor:
    """The real tokens of the whole batch."""
    return weights.sum().expand(len(weights))


def _length(weights: Tensor) -> Tensor:
    return torch.full(weights.shape[:1], float(weights.shape[1]), dtype=weights.dtype)


MEAN_MISTAKES: tuple[Mistake, ...] = (
    mistake("pooling-counts-padding", weights=torch.ones_like),
    mistake("pooling-divides-by-length", over=_length),
    mistake("pooling-divides-by-batch", over=_all_rows),
    mistake("pooling-not-divided", over=lambda weights: torch.ones(len(weights), dtype=weights.dtype)),
    mistake("padding-inverted", weights=lambda real: ~real),
    mistake("pooling-one-too-far", weights=_shifted),
)
CLS_MISTAKES: tuple[Mistake, ...] = (
    mistake("cls-from-wrong-place", take=lambda x: x[:, -1]),
    mistake("cls-from-wrong-place", take=lambda x: x[:, 1]),
    mistake("batch-length-swapped", take=lambda x: x[0]),
    mistake("mean-where-cls-is-meant", take=lambda x: x.mean(1)),
)


def _coded(kind: str, meaning: str, shape: str) -> Feed:
    """A mask in one way of writing it."""

    def give(probe: Probe) -> np.ndarray:
        real = probe["real"]
        said = real if meaning == "attend" else ~real
        coded = said if kind == "bool" else said.astype(float if kind == "float" else np.int64)
        return coded if shape == "bk" else coded[..., None]

    what = f"{'True' if kind == 'bool' else '1'} = {'real' if meaning == 'attend' else 'padding'}"
    return Feed(what, MASKS, give, "mask")


class MeanPoolingJudge(PartJudge):
    """x and lengths, or x and a mask of either meaning."""

    constructor = (feed("d_model", "d_model|dim|hidden_size|features"),)
    feeds = (
        feed("x", STATES),
        Feed("lengths", r".*(len|count|sizes).*", lambda probe: probe["real"].sum(1), "mask"),
        *(
            _coded(kind, meaning, shape)
            for shape in ("bk", "bk1")
            for kind, meaning in CODES
            if meaning != "additive"
        ),
    )
    bank = MEAN_MISTAKES
    ways_wanted = 40

    def sizes(self) -> dict[str, Any]:
        return {"d_model": D_MODEL}

    def probes(self, way: Way) -> dict[str, Probe]:
        draw = np.random.default_rng(self.seed + 2)
        x = draw.standard_normal((BATCH, TOKENS, D_MODEL))
        real = np.arange(TOKENS) < np.array(LENGTHS)[:, None]
        return {
            "padded rows": {"x": x, "real": real},
            "no padding": {"x": x, "real": np.ones_like(real)},
        }

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return output.shape == (BATCH, D_MODEL)

    def readings(self, way: Way) -> Sequence[Reading]:
        what = next((each.what for each in way.takes.values() if each.group == "mask"), "")
        said = self._said(way)
        true_means = {"real": "attend", "padding": "ignore"}.get(what.rpartition("= ")[2])
        wrong = true_means is not None and said.meaning not in (None, true_means)
        reading = Reading(
            way, Mean(),
            mistakes=("padding-inverted",) if wrong and said.strict else (),
            remarks=("padding-inverted",) if wrong and not said.strict else (),
            found={"mask_true_means": true_means, "batch_first": True},
        )  # fmt: skip
        return [reading]

    def _said(self, way: Way) -> Any:
        name = next((name for name, each in way.takes.items() if each.group == "mask"), "")
        lines = self.code.words.splitlines()
        own = [line for line in lines if name.lower() in line.lower()] or lines
        text = re.sub(r"(?i)\bhidden(_?states?)?\b", "x", "\n".join(own))  # a name, not what a mask does
        return mask_said(name, text)

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        return steps(torch.as_tensor(probe["x"]), torch.as_tensor(probe["real"]))


class ClsPoolingJudge(PartJudge):
    """The state of the first token."""

    feeds = (feed("x", STATES),)
    bank = CLS_MISTAKES

    def probes(self, way: Way) -> dict[str, Probe]:
        draw = np.random.default_rng(self.seed + 2)
        return {
            "seven tokens": {"x": draw.standard_normal((BATCH, TOKENS, D_MODEL))},
            "one sequence": {"x": draw.standard_normal((1, TOKENS, D_MODEL))},
        }

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return output.ndim in (2, 3) and output.shape[-1] == D_MODEL

    def readings(self, way: Way) -> Sequence[Reading]:
        return list(self._readings(way))

    def _readings(self, way: Way) -> Iterator[Reading]:
        said = batch_first_said(self.code.words, self.code.batch_first)
        yield Reading(way, Cls(), found={"batch_first": True})
        if said is False:
            yield Reading(way, Cls(lambda x: x[0]), found={"batch_first": False})

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        return steps(torch.as_tensor(probe["x"]))
