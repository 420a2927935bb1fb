"""The ways in which a block can be made: right ones, and the known mistakes, as options of a search."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import combinations, permutations, product

import torch
from torch import Tensor

from glassformer.checking.attention import RIGHT, Masks, Steps
from glassformer.checking.attention_mistakes import BUILT_IN, CAUSAL, CONVENTIONS, CORE, Seeded
from glassformer.checking.blocks import Flow, gelu, moments, relu
from glassformer.checking.projections import Assignment
from glassformer.checking.said import contradicts
from glassformer.checking.searching import Option, option


def _over(*dims: int) -> Callable[[Tensor, float], Tensor]:
    return lambda x, eps: moments(x, eps, dims)


def _unbiased(x: Tensor, eps: float) -> Tensor:
    return (x - x.mean(-1, keepdim=True)) / torch.sqrt(x.var(-1, keepdim=True) + eps)


def _eps_outside(x: Tensor, eps: float) -> Tensor:
    centred = x - x.mean(-1, keepdim=True)
    return centred / (centred.square().mean(-1, keepdim=True).sqrt() + eps)


def _rms(x: Tensor, eps: float) -> Tensor:
    return x / torch.sqrt(x.square().mean(-1, keepdim=True) + eps)


def norm_functions(eps: Sequence[float], own: bool) -> list[Option]:
    """value: (function, eps). own: written out by the author, and so open to every mistake."""
    found = [option(f"eps={each:g}", (moments, each)) for each in eps]
    if own:
        for each in eps:
            found.append(option(f"root mean square, eps={each:g}", (_rms, each)))
            found.append(option("", (_unbiased, each), "unbiased-variance"))
            found.append(option("", (_eps_outside, each), "eps-outside-root"))
            found += [
                option("", (_over(*d), each), "norm-over-wrong-axis") for d in ((1,), (0,), (1, 2), (0, 1))
            ]
    return found


ACTIVATIONS: Mapping[str, Callable[[Tensor], Tensor]] = {
    "relu": relu,
    "gelu": gelu,
    "gelu-tanh": lambda x: torch.nn.functional.gelu(x, approximate="tanh"),
    "silu": torch.nn.functional.silu,
    "tanh": torch.tanh,
    "sigmoid": torch.sigmoid,
    "leaky relu": torch.nn.functional.leaky_relu,
    "quick gelu": lambda x: x * torch.sigmoid(1.702 * x),
    "elu": torch.nn.functional.elu,
    "none": lambda x: x,
}


def activations(said: str | None) -> list[Option]:
    """Each is right where the words beside the code do not name another one."""
    return [
        option(name, each, *(("wrong-activation",) if name == "none" or contradicts(said, name) else ()))
        for name, each in ACTIVATIONS.items()
    ]


def _subsets(places: Sequence[int]) -> Iterator[tuple[int, ...]]:
    for size in range(1, len(places) + 1):
        yield from combinations(places, size)


def _with(values: tuple[str, ...], where: tuple[int, ...], new: str) -> tuple[str, ...]:
    return tuple(new if place in where else each for place, each in enumerate(values))


def flows(count: int, said: str | None, budget: int = 1) -> list[Option]:
    """Where the norms are and what is added, for `count` sublayers. said: "pre", "post" or None."""
    own = ("own",) * count
    found: list[Option] = []
    for base in ("pre", "post"):
        places = (base,) * count
        other = {"pre": "post", "post": "pre"}[base]
        meant = (f"{base}-norm-for-{other}-norm",) if said == other else ()
        found.append(option(f"{base}-norm", Flow(places, own), *meant))
        edits: list[tuple[str, tuple[int, ...], str | None, str | None]] = []
        for where in _subsets(range(count)):
            edits.append(("residual-missing", where, None, "none"))
            if len(where) < count:
                edits.append((f"{other}-norm-for-{base}-norm", where, other, None))
            if base == "pre":
                edits.append(("residual-after-norm", where, "after", None))
            edits.append(("norm-before-addition", where, "before", None))
        for where in _subsets(range(1, count)):
            edits.append(("residual-from-input", where, None, "input"))
        if count == 3:
            edits.append(("residual-from-input", (2,), None, "previous"))

        def edited(
            *chosen: tuple[str, tuple[int, ...], str | None, str | None],
            places: tuple[str, ...] = places,
            meant: tuple[str, ...] = meant,
            base: str = base,
            other: str = other,
        ) -> Option:
            flow = Flow(places, own)
            for _, where, place, residual in chosen:
                flow = Flow(
                    flow.places if place is None else _with(flow.places, where, place),
                    flow.residuals if residual is None else _with(flow.residuals, where, residual),
                )
            replaced = all(each in ("before", "after") for each in flow.places)
            slugs = [each[0] for each in chosen] + ([] if replaced else list(meant))
            if said == other and f"{other}-norm-for-{base}-norm" in slugs:
                slugs = [each for each in slugs if each != f"{other}-norm-for-{base}-norm"]
            return option("", flow, *slugs)

        found += [edited(each) for each in edits]
        if budget > 1:
            found += [
                edited(a, b)
                for a, b in combinations(edits, 2)
                if a[0] != b[0]
                and (a[2] is None or b[2] is None)
                and (a[3] is None or b[3] is None or not set(a[1]) & set(b[1]))
            ]
    return found


def norm_maps(count: int, norms: int) -> list[Option]:
    """Which norm each sublayer uses; value: their numbers in the order of registration."""
    found = []
    if norms >= count:
        for each in permutations(range(count)):
            swapped = each != tuple(range(count))
            found.append(option("", each, likely=not swapped, remark="norms-swapped" if swapped else ""))
    if norms >= 1:
        for each in product(range(min(norms, count)), repeat=count):
            if len(set(each)) < count:
                found.append(option("", each, "norm-shared"))
    return found


def _always_causal(masks: Masks, scores: Tensor) -> Tensor:
    return torch.ones(scores.shape[-2:], dtype=torch.bool).tril()


LATENT = replace(RIGHT, sources=("q", "q", "q"), causal=_always_causal)


def attention_options(
    readings: Sequence[tuple[Assignment, bool]], *, cross: bool, extra: tuple[str, ...] = ()
) -> list[Option]:
    """value: (reading, steps). extra: mistakes that every one of them is."""
    found = []
    for reading, likely in readings:
        misnamed = "" if reading.agrees else "wrong-projection"
        unlike = any("interleaved" in source.layout for source in reading.sources.values())
        lost = (*reading.mistakes, *(() if "o" in reading.sources else ("no-output-projection",)))
        remark = "interleaved-heads" if unlike else misnamed
        found.append(option("", (reading, RIGHT), *extra, *lost, likely=likely and not unlike, remark=remark))
    for reading, likely in readings:
        if not likely or not reading.agrees or reading.mistakes or "o" not in reading.sources:
            continue
        for seeded in CORE:
            if not cross and seeded.slug == "cross-attends-to-itself":
                continue
            found.append(_option(reading, seeded, extra))
        if cross:
            found.append(option("", (reading, LATENT), "cross-attends-to-itself", *extra))
    return found


def _option(reading: Assignment, seeded: Seeded, extra: tuple[str, ...]) -> Option:
    slugs = (seeded.slug, *extra)
    if seeded.slug in CONVENTIONS:
        return option("", (reading, seeded.on(RIGHT)), *extra, likely=False, remark=seeded.slug)
    return option("", (reading, seeded.on(RIGHT)), *slugs)


def causal_options(needed: bool, forbidden: bool = False) -> list[Option]:
    """Of a self-attention that ought to be causal; value: steps -> steps. needed: without a mask."""

    def changed(seeded: Seeded) -> Callable[[Steps], Steps]:
        return lambda steps: seeded.on(steps)

    missing = next(each for each in CAUSAL if each.slug == "causal-forgotten")
    if forbidden:
        return [option("not causal", changed(missing))]
    found = [option("causal", lambda steps: steps)]
    found.append(option("not causal", changed(missing), *(("causal-forgotten",) if needed else ())))
    found += [option("", changed(each), each.slug) for each in BUILT_IN]
    return found
