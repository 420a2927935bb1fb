"""How the checker understood somebody's code, in plain words; and what of it was not tried, and why."""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from glassformer.checking.exchange import Argument, Offer
from glassformer.checking.judging import Outcome
from glassformer.checking.names import FLAG_WORDS, is_mask

TAKEN = {
    "x": "the input", "input": "the input", "memory": "the other sequence (the encoder's output)",
    "ids": "token ids", "ids of the queries": "token ids of the queries", "pad": "the id of the padding",
    "lengths": "how many tokens of each row are real", "vocabulary": "size of the vocabulary",
    "patch": "side of a patch", "patch height": "height of a patch", "patch width": "width of a patch",
    "size": "number of tokens", "tokens": "number of tokens", "max_len": "number of positions",
    "positions": "numbers of the positions", "d_model": "width (d_model)", "gamma": "gain", "beta": "bias",
    "shape": "shape that is normalised", "batch": "number of examples",
}  # fmt: skip
"""What arguments may be given, by the word of the judges."""
PARAMETERS = {
    "q": "query projection", "k": "key projection", "v": "value projection", "o": "output projection",
    "feed-forward 1": "first feed-forward layer", "feed-forward 2": "second feed-forward layer",
    "norm 1": "first norm", "norm 2": "second norm", "norm 3": "third norm", "gamma": "gain",
    "beta": "bias", "positions": "table of the positions", "head": "last layer, for the logits",
    "layers, e": "layers", "layers, d": "layers of the decoder", "projection": "projection of a patch",
}  # fmt: skip
UNKNOWN = "nothing the checker knows fits it; it keeps its default"
UNKNOWN_MASK = "no form of mask that the checker knows fits it"
LABELS = {
    "norms": "order", "flow": "order", "layers": "depth", "causal": "causality", "scale": "scale",
    "pad_id": "id of the padding", "targets shifted": "targets are shifted", "gradients": "gradients are",
    "examples": "examples stand in", "table": "positions", "place": "positions", "pool": "pooling",
    "ends": "norms outside the layers", "head": "last layer",
}  # fmt: skip
IN_TURN = "dealt out in turn"
LAYOUTS = {"interleaved": IN_TURN, "interleaved within": IN_TURN}
STACKS = {"e": "encoder", "d": "decoder"}
DEFAULTED = ("eps", "epsilon", "scale", "bias", "dropout", "dropout_p", "dropout_rate", "p")
WITHOUT_GRADIENTS = ("causal-mask", "padding-mask", "numpy-backward")
MODELS = ("text-classifier", "vision-transformer", "encoder-decoder")


ARRAYS = "NumPy's arrays"
"""What is given to code that knows no tensors."""


def understood(found: Mapping[str, Any]) -> tuple[str, ...]:
    """`Outcome.found` as lines, one thing each."""
    return tuple(_lines(found))


def _lines(found: Mapping[str, Any]) -> Iterator[str]:
    arguments = dict(found.get("arguments") or {})
    for name, taken in arguments.items():
        if name == "causal" and str(taken).endswith("=True"):
            yield f"causality: asked for by {taken}"
            continue
        yield f"{_argument(name)}: {_taken(str(taken), list(arguments.values()))}"
    for role, names in (found.get("parameters") or {}).items():
        if names:
            yield f"{_projection(role, found)}: {_parameters(str(names).rstrip('.'))}"
    if found.get("batch_first") is not None:
        yield f"axes: {'batch first' if found['batch_first'] else 'tokens first, then the batch'}"
    if found.get("mask_true_means") and not any(" = " in str(each) for each in arguments.values()):
        attends = found["mask_true_means"] == "attend"
        yield f"True in a mask: {'may be attended to' if attends else 'is hidden'}"
    if found.get("causal") == "always":
        yield "causal: always, without a mask being given"
    done = ("arguments", "parameters", "batch_first", "mask_true_means")
    for key, value in found.items():
        if key not in done and value not in (None, "", "always"):
            letter, _, question = key.partition(" ")
            of_stack = letter in STACKS and bool(question)
            both = any(each.startswith("d ") for each in found)
            where = f"{STACKS[letter]}, " if of_stack and both else ""
            label = question if of_stack else key
            yield f"{where}{LABELS.get(label, label)}: {_plain(value)}"


def _argument(name: str) -> str:
    return f"argument {int(name) + 1}" if name.isdigit() else name


def _taken(word: str, all_taken: Sequence[Any]) -> str:
    """One argument. Attention that is given no keys takes the queries for them, and so for values."""
    match = re.fullmatch(r"(padding|causal) mask(?:, (.*?))?(?:, \((.*)\))?", word)
    if match:
        part, meaning, shape = match.groups()
        told = ", ".join(filter(None, ("mask" if meaning else f"{part} mask", meaning)))
        return (
            f"{told}; for {'padding' if part == 'padding' else 'causality'} as ({shape})" if shape else told
        )
    if word in ("query", "key", "value"):
        roles = ("query", "key", "value")
        more = [word]
        for role in roles[roles.index(word) + 1 :]:
            if role in all_taken:
                break
            more.append(role)
        return _listed([{"query": "queries", "key": "keys", "value": "values"}[each] for each in more])
    match = re.fullmatch(r"(True|1) = (real|padding)", word)
    if match:
        return f"mask, {match[1]} = {'a real token' if match[2] == 'real' else 'padding'}"
    return TAKEN.get(word, word)


def _projection(role: str, found: Mapping[str, Any]) -> str:
    bare, _, part = role.partition(", ")
    if part in ("self", "cross"):
        return f"{PARAMETERS.get(bare, bare)} of {part}-attention"
    if role == "layers, e" and "layers, d" in found["parameters"]:
        return "layers of the encoder"
    return PARAMETERS.get(role, role)


def _parameters(names: str) -> str:
    """
    >>> _parameters("c.weight + c.bias (part 2, head by head)")
    'part 2 of c.weight (head by head), with the bias c.bias'
    """
    bare, part, layout = re.fullmatch(r"(.*?)(?: \(part (\d)(?:, (.*))?\))?", names).groups()  # type: ignore[union-attr]
    each = bare.split(" + ")
    half = len(each) // 2
    leaves = [name.rpartition(".")[2] for name in each]
    paired = len(each) % 2 == 0 and not set(leaves[:half]) & set(leaves[half:]) and not leaves[0].isdigit()
    weights, biases = (each[:half], each[half:]) if paired else (each, [])
    told = f"part {part} of {_several(weights)}" if part else _several(weights)
    told += f" ({LAYOUTS.get(layout, layout)})" if layout else ""
    return f"{told}, with the bias {_several(biases)}" if biases else told


def _several(names: Sequence[str]) -> str:
    return _listed(list(names)) if len(names) < 3 else f"{names[0]} to {names[-1]}"


def _plain(value: object) -> str:
    return "yes" if value is True else "no" if value is False else str(value).replace("eps=", "eps = ")


def _listed(names: Sequence[str]) -> str:
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1])))


# ------------------------------------------------------------------ what was not tried


def left_out(offer: Offer, outcome: Outcome, slug: str) -> tuple[str, ...]:
    """What a reader may take for tried: arguments that kept their defaults, and what a wrong output stops."""
    if outcome.error or not outcome.checks:
        return ()
    found = [f"argument `{name}`: {why}" for name, why in _arguments(offer, outcome, slug)]
    grouped = [each.name for each in offer.arguments if re.search("kv_?heads|heads_?kv", each.name.lower())]
    found += [f"`{name}` other than the number of heads: grouped queries" for name in grouped]
    compared = any("gradient" in each.name for each in outcome.checks)
    if outcome.found.get("given") == ARRAYS:
        found.append("gradients: NumPy has none")
    elif outcome.mistakes and not compared and slug not in WITHOUT_GRADIENTS:
        found.append("gradients: they are compared once the output is right")
    return tuple(found)


def never_given(offer: Offer, outcome: Outcome, slug: str) -> tuple[str, ...]:
    """The arguments among it of which nothing is known."""
    if outcome.error or not outcome.checks:
        return ()
    return tuple(name for name, why in _arguments(offer, outcome, slug) if why in (UNKNOWN, UNKNOWN_MASK))


def _arguments(offer: Offer, outcome: Outcome, slug: str) -> Iterator[tuple[str, str]]:
    """Those that kept their defaults, and why."""
    if slug == "numpy-backward":
        return
    takes = offer.forward if offer.kind == "class" or offer.is_module else offer.arguments
    if offer.kind == "function" and offer.name.startswith("build"):
        return
    found = outcome.found.get("arguments") or {}
    taken = {*found, *(str(each).partition("=")[0] for each in found.values())}  # "causal": "is_causal=True"
    for each in takes:
        if each.name not in taken and not each.required and each.kind not in ("args", "kwargs"):
            why = _why(each, outcome, slug)
            if why:
                yield each.name, why


def _why(argument: Argument, outcome: Outcome, slug: str) -> str:
    if argument.name.lower().startswith(FLAG_WORDS):
        return "a switch that changes nothing in what is compared"
    if argument.name.lower() in DEFAULTED:
        return "only its default is checked"
    if not is_mask(argument.name):
        return UNKNOWN
    if slug in MODELS:
        return "a whole model is called without masks of its own making"
    masks = [each for each in outcome.checks if each.name.startswith("mask")]
    if not all(each.passed for each in masks):
        return ""  # tried, and told there
    if masks:
        return "another argument takes the masks, and no form of mask that was tried fits this one"
    if outcome.mistakes:
        return "masks are tried once the output without one is right"
    return UNKNOWN_MASK
