"""Judges layer norm: the checker's own one, every step replaceable, and its known mistakes.

    y = gamma (x - mean(x)) / sqrt(var(x) + eps) + beta        (Ba, Kiros & Hinton 2016, eq. 4)

Mean and variance, which is divided by n, are taken over the last axis. eps = 1e-5, as in torch.nn.LayerNorm.
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.exchange import Built
from glassformer.checking.feeding import Probe, Way, feed, sized
from glassformer.checking.judging import LARGEST_EPS
from glassformer.checking.names import FORWARD, size_role
from glassformer.checking.parts import Mistake, PartJudge, Reading, mistake

BATCH, TOKENS, D_MODEL = 4, 7, 24
EPS = 1e-5


@dataclass(frozen=True)
class Norm:
    """axes: that mean and variance are taken over. root: of the variance and eps. centred: x - mean.

    about_mean: what the variance is taken about, where not 0.
    """

    axes: tuple[int, ...] = (-1,)
    unbiased: bool = False
    eps: float = EPS
    root: Callable[[Tensor, float], Tensor] = lambda variance, eps: torch.sqrt(variance + eps)
    centred: bool = True
    about_mean: bool = True
    gain: bool = True
    shift: bool = True

    def __call__(self, x: Tensor, gamma: Tensor | None, beta: Tensor | None) -> Tensor:
        away = x - x.mean(self.axes, keepdim=True)
        squares = (away if self.about_mean else x) ** 2
        variance = squares.sum(self.axes, keepdim=True)
        variance = variance / (x.numel() // variance.numel() - self.unbiased)
        y = (away if self.centred else x) / self.root(variance, self.eps)
        y = y if gamma is None or not self.gain else y * gamma
        return y if beta is None or not self.shift else y + beta


def mistakes(other: Sequence[float], asked: float = EPS) -> tuple[Mistake, ...]:
    """other: values of eps that are tried, but for the one that was asked for."""
    return (
        *(mistake("norm-over-wrong-axis", axes=each) for each in ((1,), (0,), (-2, -1), (0, 1), (0, 1, 2))),
        mistake("unbiased-variance", unbiased=True),
        mistake("eps-outside-root", root=lambda variance, eps: torch.sqrt(variance) + eps),
        mistake("eps-outside-root", root=lambda variance, eps: torch.sqrt(variance + eps**2)),
        mistake("norm-without-root", root=lambda variance, eps: variance + eps),
        mistake("norm-without-mean", centred=False),
        mistake("norm-without-mean", centred=False, about_mean=False),
        mistake("norm-gain-forgotten", gain=False),
        mistake("norm-shift-forgotten", shift=False),
        *(mistake("other-eps", eps=each) for each in other if each != asked),
    )


OTHERS = (1e-6, 1e-8, 1e-12, 1e-3, 1e-4, 1e-7, 1e-9, 1e-10, 1e-2, 0.0)
GAINS = r"(.*[._])?(gamma|weight|gain|scale|g|a|alpha|w|a_2|a2)"
SHIFTS = r"(.*[._])?(beta|bias|shift|offset|b|b_2|b2)"


class LayerNormJudge(PartJudge):
    """Small inputs show eps: at a scale of 1e-3 it is ten times the variance."""

    constructor = (sized("d_model", "ndim|shape|feature_size|dims|n"), sized("bias", "elementwise_affine"))
    feeds = (
        feed("x", "|".join((*FORWARD["x"], "a", "tensor", "activations"))),
        feed("gamma", "gamma|weight|gain|scale|g|alpha|w"),
        feed("beta", "beta|bias|shift|offset|b"),
        feed("shape", "normalized_shape|shape"),
        feed("eps", "no name fits this"),
    )
    at_once = 3

    def sizes(self) -> dict[str, Any]:
        return {"d_model": D_MODEL, "bias": True}

    def draw(self, built: Built) -> dict[str, np.ndarray]:
        values = super().draw(built)
        return {name: 1 + each if re.fullmatch(GAINS, name) else each for name, each in values.items()}

    def probes(self, way: Way) -> dict[str, Probe]:
        draw = np.random.default_rng(self.seed + 3)
        both = {
            "gamma": 1 + 0.4 * draw.standard_normal(D_MODEL), "beta": 0.6 * draw.standard_normal(D_MODEL),
            "shape": [D_MODEL], "eps": EPS,
        }  # fmt: skip
        x = draw.standard_normal((BATCH, TOKENS, D_MODEL)) + draw.standard_normal((BATCH, TOKENS, 1))
        return {
            "inputs of scale 1": {"x": x, **both},
            "inputs of scale 1e-3": {"x": 1e-3 * x, **both},
            "one token": {"x": x[:1, :1] + 0.5, **both},
        }

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return output.shape == probe["x"].shape

    @cached_property
    def eps(self) -> float:
        """What the words ask for, else what the signature says."""
        if self._asks_for_torchs():
            return EPS
        words = re.search(r"eps(?:ilon)?\D{0,5}?(\d+\.?\d*e-\d+)", self.code.words.lower())
        signature = [each.default for each in self.offer.arguments if size_role(each.name) == "eps"]
        said = [*([float(words[1])] if words else []), *signature[:1]]
        return next((each for each in said if type(each) is float and 0 < each <= LARGEST_EPS), EPS)

    def _asks_for_torchs(self) -> bool:
        words = self.code.words.lower().replace(" ", "")
        return bool(re.search(r"1e-0?5|0\.00001\b|10\^-5|(torch\S*|nn|f)\.layer_?norm", words))

    @cached_property
    def bank(self) -> Sequence[Mistake]:  # type: ignore[override]
        """The values of eps that people take, and every small number in the code."""
        own = (float(each) for each in re.findall(r"\b\d+\.?\d*e-\d+|\b0?\.0+\d+", self.code.text))
        return mistakes(tuple(dict.fromkeys((EPS, *OTHERS, *own))), self.eps)

    def readings(self, way: Way) -> Sequence[Reading]:
        found = []
        for gamma, beta in _affine(way):
            parameters = {
                word: each for word, each in (("gamma", gamma), ("beta", beta)) if each in way.values
            }
            found.append(
                Reading(
                    way,
                    Norm(eps=self.eps),
                    context={"gamma": gamma, "beta": beta},
                    found={"parameters": parameters},
                )
            )
        return found

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        def of(name: str | None) -> Tensor | None:
            return None if name is None else values[name] if name in values else torch.as_tensor(probe[name])

        x = torch.as_tensor(probe["x"])
        return steps(x, of(reading.context["gamma"]), of(reading.context["beta"]))

    def _diagnose(self, readings: Sequence[Reading], off: Any, bar: float) -> bool:
        """Another eps is a mistake only where the words ask for 1e-5."""
        if not super()._diagnose(readings, off, bar):
            return False
        others = [each for each in self.outcome.mistakes if each[0] == "other-eps"]
        if others and not self._asks_for_torchs():
            self.outcome.mistakes.remove(others[0])
            self.outcome.remark("other-eps")
            if not self.outcome.mistakes:
                self.outcome.checks = [each for each in self.outcome.checks if each.name != "output"]
                self.outcome.check("output", True, "right with another eps")
        return True


def _affine(way: Way) -> Iterator[tuple[str | None, str | None]]:
    """Which is the gain and which the shift: parameters or arguments; as the names say first."""
    vectors = [name for name, shape in way.built.parameters.items() if int(np.prod(shape)) == D_MODEL]
    if not vectors:
        given = [what if way.takes_a(what) else None for what in ("gamma", "beta")]
        yield given[0], given[1]
        if all(given):
            yield given[1], given[0]
        return
    pairs = [*permutations(vectors, 2), *((each, None) for each in vectors), *((None, e) for e in vectors)]

    def disagreement(pair: tuple[str | None, str | None]) -> int:
        fits = [
            each is not None and re.fullmatch(pattern, each.lower()) is not None
            for each, pattern in zip(pair, (GAINS, SHIFTS), strict=True)
        ]
        return -sum(fits) + sum(each is not None for each in pair) - sum(fits)

    if len(vectors) > 1:
        pairs = [each for each in pairs if None not in each]
    yield from sorted(pairs, key=disagreement)
