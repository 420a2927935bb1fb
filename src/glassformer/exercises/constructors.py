"""Points for a constructor alone: whether what it builds holds the parts that its forward pass will need.

Before there is a forward pass only the shapes of parameters can tell, with sizes of which no two are equal.
"""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from math import prod
from typing import Any

from glassformer.checking.constructions import constructions
from glassformer.checking.exchange import CodeError, Offer
from glassformer.checking.isolation import IsolatedRunner
from glassformer.checking.judging import STOPPED
from glassformer.checking.names import size_role
from glassformer.checking.targets import Target

D_MODEL, HEADS, D_FF, CHANNELS, PATCH, IMAGE, CLASSES, LAYERS = 24, 3, 40, 5, 4, 12, 7, 2
SIZES: Mapping[str, Mapping[str, Any]] = {
    "self-attention-2d": {
        "d_model": D_MODEL, "heads": HEADS, "d_head": [D_MODEL // HEADS, D_MODEL], "bias": True,
        "dropout": 0.1,
    },
    "vision-transformer": {
        "d_model": D_MODEL, "heads": HEADS, "d_ff": D_FF, "layers": LAYERS, "classes": CLASSES,
        "image": IMAGE, "patch": PATCH, "dropout": 0.1,
    },
}  # fmt: skip
Shape = tuple[int, ...]
Build = Callable[[Mapping[str, Any]], list[Shape]]


def lacking(session: IsolatedRunner, aim: Target, name: str, contract: str, seed: int = 0) -> str:
    """What is missing in what the constructor builds, in a sentence; empty where nothing is."""
    try:
        offers = {each.name: each for each in session.load(aim.text, aim.filename)}
    except CodeError as error:
        return str(error)
    if name not in offers:
        return f"there is no {name} once the file has run"
    offer = offers[name]

    def build(other: Mapping[str, Any]) -> list[Shape]:
        """The shapes of its parameters, with some sizes other than `SIZES`."""
        why = CodeError("TypeError", "its constructor takes arguments whose meaning is not known")
        for keywords in _tried(offer, {**SIZES[contract], **other}):
            try:
                return list(session.build(name, (), keywords, seed).parameters.values())
            except CodeError as error:
                why = error
                if error.kind in STOPPED:
                    break
        raise why

    try:
        missing = NEEDED[contract](build, offer)
    except CodeError as error:
        return f"it cannot be built: {error}"
    return f"what it builds lacks {' and '.join(missing)}" if missing else ""


def _tried(offer: Offer, sizes: Mapping[str, Any]) -> list[dict[str, Any]]:
    """With every channel count that an argument of that name may mean."""
    found = []
    for keywords in constructions(offer, sizes):
        named = {
            key: CHANNELS if _is_channels(key) and "image" in sizes else value
            for key, value in keywords.items()
        }
        found.append(named)
    return found[:20]


def _is_channels(name: str) -> bool:
    return "channel" in name.lower() or name.lower() in ("c", "in_chans", "in_ch")


def _attention(build: Build, _: Offer) -> list[str]:
    found = _matrices(build({}))
    return [] if any(True for _ in _without_attention(found)) else [MAPS]


MAPS = "maps to Q, K and V and an output projection among its parameters"


def _vision(build: Build, offer: Offer) -> list[str]:
    shapes = build({})
    pixels, places = CHANNELS * PATCH**2, (IMAGE // PATCH) ** 2
    missing = []
    if not any(prod(each) == pixels * D_MODEL and D_MODEL in each for each in shapes):
        missing.append(f"a map of a patch's pixels to d_model (no parameter of {pixels} x {D_MODEL})")
    tables = (places * D_MODEL, (places + 1) * D_MODEL)
    if not any(prod(each) in tables and D_MODEL in each for each in shapes):
        missing.append("positions of the patches")
    if not any(each in ((CLASSES, D_MODEL), (D_MODEL, CLASSES)) for each in shapes):
        missing.append("a head for the classes")
    if any(size_role(each.name) == "layers" for each in offer.arguments):
        # what one layer more adds is a block
        shapes = list((Counter(build({"layers": LAYERS + 1})) - Counter(shapes)).elements())
    return [*missing, *_block(shapes)]


def _block(shapes: Sequence[Shape]) -> list[str]:
    """What a block lacks for each layer: attention's maps, two of a feed-forward layer, two norms."""
    found = _matrices(shapes)
    rests = list(_without_attention(found))
    if not found:
        return ["blocks, one for each layer asked for"]
    missing = [] if rests else [f"in each block {MAPS}"]
    if rests and not any(count >= 2 for rest in rests for count in rest.values()):
        missing.append("in each block the two maps of a feed-forward layer")
    if sum(prod(each) == D_MODEL for each in shapes) < 2:
        missing.append("in each block two norms")
    return missing


def _matrices(shapes: Sequence[Shape]) -> Counter[int]:
    """Sizes of the parameters that can map to or from d_model, and how many have each."""
    return Counter(prod(each) for each in shapes if len(each) > 1 and prod(each) % D_MODEL == 0)


def _without_attention(found: Counter[int]) -> Iterator[Counter[int]]:
    """What is left after Q, K, V and the output, for every way in which these can be in the parameters."""
    for inner in (D_MODEL, HEADS * D_MODEL, D_MODEL // HEADS):
        one = D_MODEL * inner
        apart, fused, pair = [one] * 3, [3 * one], [2 * one, one]
        by_head = [one // HEADS] * 3 * HEADS, [3 * one // HEADS] * HEADS
        for maps in (apart, fused, pair, *by_head):
            wanted = Counter([*maps, one])
            if wanted <= found:
                yield found - wanted


NEEDED: Mapping[str, Callable[[Build, Offer], list[str]]] = {
    "self-attention-2d": _attention,
    "vision-transformer": _vision,
}
