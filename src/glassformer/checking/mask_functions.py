"""Judges functions that make masks: which places may be seen, whatever the mask is written with.

causal: query i sees key j where j <= i        padding: a key is seen where it is a real token
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.exchange import Offer
from glassformer.checking.feeding import Feed, Probe, Way, feed
from glassformer.checking.forms import Said, mask_said
from glassformer.checking.parts import Mistake, PartJudge, Reading, mistake

SIZE, BATCH, TOKENS = 7, 4, 9
LENGTHS = (5, 3, 9, 2)
FAR_BELOW = -1e4
"""A score under this hides its place."""


@dataclass(frozen=True)
class Seen:
    """change, then turn: of what may be seen, (queries, keys) or (batch, keys), all booleans."""

    change: Callable[[Tensor], Tensor] = lambda allowed: allowed
    turn: Callable[[Tensor], Tensor] = lambda allowed: allowed

    def __call__(self, allowed: Tensor) -> Tensor:
        return self.turn(self.change(allowed))


def _diagonal(shift: int) -> Callable[[Tensor], Tensor]:
    return lambda allowed: torch.ones_like(allowed).tril(shift)


def _upper(shift: int) -> Callable[[Tensor], Tensor]:
    return lambda allowed: torch.ones_like(allowed).triu(shift)


def _one_more(allowed: Tensor) -> Tensor:
    return torch.cat((allowed[:, :1] | True, allowed[:, :-1]), 1)


def _one_less(allowed: Tensor) -> Tensor:
    return torch.cat((allowed[:, 1:], allowed[:, :1] & False), 1)


CAUSAL_MISTAKES: tuple[Mistake, ...] = (
    mistake("causal-excludes-self", change=_diagonal(-1)),
    mistake("causal-one-too-far", change=_diagonal(1)),
    mistake("causal-transposed", change=_upper(0)),
    mistake("causal-inverted", change=_upper(1)),
    mistake("causal-forgotten", change=torch.ones_like),
)
PADDING_MISTAKES: tuple[Mistake, ...] = (
    mistake("padding-inverted", change=lambda allowed: ~allowed),
    mistake("padding-wrong-axis", turn=lambda allowed: allowed.T),
    mistake("padding-one-too-far", change=_one_more),
    mistake("padding-one-too-short", change=_one_less),
    mistake("padding-ignored", change=torch.ones_like),
)


def allowed_by(mask: np.ndarray, meaning: str) -> np.ndarray | None:
    """What may be seen, of a mask that attends, ignores, or is added; None where it cannot be such a one."""
    if mask.dtype.kind not in "biuf" or np.isnan(mask).any():
        return None
    if meaning == "additive":
        fits = mask.dtype.kind == "f" and ((mask == 0) | (mask <= FAR_BELOW)).all()
        return mask == 0 if fits else None
    if not np.isin(mask, (0, 1)).all():
        return None
    return mask.astype(bool) if meaning == "attend" else ~mask.astype(bool)


class _Masks(PartJudge):
    differentiable = False
    across = True

    def said(self) -> Said:
        """What True means, by the words beside the code or by the name."""
        found = mask_said("", re.sub(r"(?i)\bkey_padding_mask\b", " ", self.code.words))
        if found.meaning is None and re.search(r"key_padding_mask|attn_mask", self.code.words):
            return Said("ignore", True, "the argument that it is meant for")
        return found

    def whole(self, mask: np.ndarray, probe: Probe) -> np.ndarray | None:
        """(queries, keys) or (batch, keys)."""
        raise NotImplementedError

    def readings(self, way: Way) -> Sequence[Reading]:
        return list(self._meanings(way))

    def _meanings(self, way: Way) -> Iterator[Reading]:
        said = self.said()
        order = ("attend", "ignore") if said.meaning != "ignore" else ("ignore", "attend")
        for meaning in ("additive", *order):

            def view(output: np.ndarray, probe: Probe, meaning: str = meaning) -> np.ndarray | None:
                allowed = allowed_by(output, meaning)
                return None if allowed is None else self.whole(allowed, probe)

            wrong = meaning != "additive" and said.meaning not in (None, meaning)
            if wrong and said.strict:
                continue  # the bank has what is inverted
            yield Reading(
                way, Seen(), view,
                found={"mask_true_means": None if meaning == "additive" else meaning, **self.told(way)},
            )  # fmt: skip

    def told(self, way: Way) -> dict[str, Any]:
        return {}

    def after(self, reading: Reading, right: bool) -> None:
        """A large number in place of minus infinity."""
        output = self.run(reading.way, next(iter(self.probes(reading.way).values())))
        if not right or output is None or output.dtype.kind != "f":
            return
        if np.isfinite(output).all() and output.min() <= FAR_BELOW:
            self.outcome.remark("filled-with-minus-1e9")


class CausalMaskJudge(_Masks):
    """A function of a size."""

    at_once = 1

    feeds = (
        feed("size", r"size|sz|n|t|l|length|seq_?len|max_len|(n_|num_)?tokens|context_length|dim|tgt_len"),
        Feed("batch", r"b|batch|batch_size|bs", lambda probe: 1),
        Feed("x", r"x|tgt|seq|input|inputs|ids|input_ids|trg", lambda probe: probe["ids"], "size"),
    )  # fmt: skip
    bank = CAUSAL_MISTAKES

    def probes(self, way: Way) -> dict[str, Probe]:
        def of(size: int) -> Probe:
            return {"size": size, "ids": np.ones((2, size), dtype=np.int64)}

        return {"seven tokens": of(SIZE), "one token": of(1), "two tokens": of(2)}

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return output.shape[-2:] == (SIZE, SIZE)

    def whole(self, mask: np.ndarray, probe: Probe) -> np.ndarray | None:
        flat = mask.reshape(-1, *mask.shape[-2:])
        return flat[0] if (flat == flat[:1]).all() else None

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        return steps(torch.ones(probe["size"], probe["size"], dtype=torch.bool).tril())


_IDS = r"(seq_)?k(eys?)?|x|src|tgt|trg|seq|ids|input_ids|tokens|token_ids|batch|inputs?|seqs|sequence"


class PaddingMaskJudge(_Masks):
    """A function of token ids, or of lengths."""

    feeds = (
        Feed("ids", _IDS, lambda probe: probe["ids"], "input"),
        Feed("ids of the queries", r"(\w+_)?q(uery|ueries)?", lambda probe: probe["ids"]),
        Feed("lengths", r".*(len|lens|lengths|valid).*", lambda probe: probe["lengths"], "input"),
        feed("tokens", r"max_?(len|length|seq_?len|tokens|size)|length|size|seq_?len|t|n|total_length"),
        feed("pad", r".*pad.*(id|idx|index|token|value|ix)?|pad|ignore_?index"),
    )  # fmt: skip
    bank = PADDING_MISTAKES

    def __init__(self, *given: Any, **more: Any) -> None:
        super().__init__(*given, **more)
        self.pad = self._defaulted(self.offer)

    def _defaulted(self, offer: Offer) -> int | None:
        for each in (*offer.arguments, *offer.forward):
            if "pad" in each.name.lower() and isinstance(each.default, int):
                return each.default
        return None

    def ways(self, sizes: Mapping[str, Any], probes: Mapping[str, Probe] | None = None) -> list[Way]:
        """With a pad id given, or each of the usual ones."""
        found = super().ways(sizes, probes)
        if self.pad is None and not any(way.takes_a("pad") for way in found):
            written = re.search(r"[!=]=\s*(-?\d+)|(-?\d+)\s*[!=]=|\.(?:ne|eq)\((-?\d+)\)", self.code.text)
            self.pad = int(next(each for each in written.groups() if each)) if written else 0
        return found

    def probes(self, way: Way) -> dict[str, Probe]:
        pad = 0 if self.pad is None else self.pad

        def of(lengths: tuple[int, ...], tokens: int) -> Probe:
            draw = np.random.default_rng(self.seed + 4)
            real = np.arange(tokens) < np.array(lengths)[:, None]
            ids = np.where(real, draw.integers(2, 50, real.shape), pad)
            return {"ids": ids, "lengths": np.array(lengths), "tokens": tokens, "pad": pad, "real": real}

        return {"padded rows": of(LENGTHS, TOKENS), "one row": of((3,), 3)}

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return output.ndim >= 2 and output.size % (BATCH * TOKENS) == 0

    def whole(self, mask: np.ndarray, probe: Probe) -> np.ndarray | None:
        """(batch, keys), also of (batch, 1, 1, keys) and (batch, queries, keys); other axes turn it."""
        batch, tokens = probe["real"].shape
        if mask.ndim > 2 and mask.shape[-1] == 1 != tokens and mask.shape[-2] == tokens:
            return mask.reshape(batch, tokens).T if mask.size == batch * tokens else None
        if mask.ndim > 2:
            flat = mask.reshape(batch, -1, mask.shape[-1]) if len(mask) == batch else mask[0]
            return flat[:, 0] if (flat == flat[:, :1]).all() else None
        return mask

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        return steps(torch.from_numpy(probe["real"]))

    def told(self, way: Way) -> dict[str, Any]:
        return {} if way.takes_a("lengths") else {"pad_id": self.pad}
