"""Points for a constructor alone: whether what it builds holds the parts that its forward pass will need."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from glassformer.checking.constructions import constructions
from glassformer.checking.isolation import IsolatedRunner
from glassformer.checking.judging import STOPPED
from glassformer.checking.runner import CodeError
from glassformer.checking.targets import Target

D_MODEL, D_FF, CHANNELS, PATCH, IMAGE, CLASSES = 24, 40, 5, 4, 12, 7
SIZES: Mapping[str, Mapping[str, Any]] = {
    "self-attention-2d": {"d_model": D_MODEL, "heads": 3, "d_head": [8, 24], "bias": True, "dropout": 0.1},
    "vision-transformer": {
        "d_model": D_MODEL, "heads": 3, "d_ff": D_FF, "layers": 2, "classes": CLASSES, "image": IMAGE,
        "patch": PATCH, "dropout": 0.1,
    },
}  # fmt: skip
Shapes = Sequence[tuple[int, ...]]


def lacking(session: IsolatedRunner, aim: Target, name: str, contract: str, seed: int = 0) -> str:
    """What is missing in what the constructor builds, in a sentence; empty where nothing is."""
    try:
        offers = {each.name: each for each in session.load(aim.text, aim.filename)}
    except CodeError as error:
        return str(error)
    if name not in offers:
        return f"there is no {name} once the file has run"
    why = "its constructor takes arguments whose meaning is not known"
    for keywords in _tried(offers[name], SIZES[contract]):
        try:
            built = session.build(name, (), keywords, seed)
        except CodeError as error:
            why = str(error)
            if error.kind in STOPPED:
                break
            continue
        return NEEDED[contract](list(built.parameters.values()))
    return f"it cannot be built: {why}"


def _tried(offer: Any, sizes: Mapping[str, Any]) -> list[dict[str, Any]]:
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


def _sizes(shapes: Shapes) -> list[int]:
    total = []
    for shape in shapes:
        count = 1
        for side in shape:
            count *= side
        total.append(count)
    return total


def _attention(shapes: Shapes) -> str:
    """Q, K, V and the output: four square maps, in one parameter or in several."""
    if (
        sum(size for size, shape in zip(_sizes(shapes), shapes, strict=True) if len(shape) > 1)
        < 4 * D_MODEL**2
    ):
        return "its parameters are too few for maps to Q, K and V and an output projection"
    return ""


def _vision(shapes: Shapes) -> str:
    pixels, places = CHANNELS * PATCH**2, (IMAGE // PATCH) ** 2
    counts = list(zip(_sizes(shapes), shapes, strict=True))
    missing = []
    if not any(size == pixels * D_MODEL and D_MODEL in shape for size, shape in counts):
        missing.append(f"a map of a patch's pixels to d_model (no parameter of {pixels} x {D_MODEL})")
    if not any(
        size in (places * D_MODEL, (places + 1) * D_MODEL) and D_MODEL in shape for size, shape in counts
    ):
        missing.append("positions of the patches")
    if not any(shape == (CLASSES, D_MODEL) or shape == (D_MODEL, CLASSES) for _, shape in counts):
        missing.append("a head for the classes")
    of_a_block = 4 * D_MODEL**2 + 2 * D_MODEL * D_FF
    if sum(size for size, shape in counts if len(shape) > 1) < 2 * of_a_block:
        missing.append("blocks, one for each layer asked for")
    return f"what it builds lacks {' and '.join(missing)}" if missing else ""


NEEDED: Mapping[str, Callable[[Shapes], str]] = {
    "self-attention-2d": _attention,
    "vision-transformer": _vision,
}
