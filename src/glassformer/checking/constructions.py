"""How to build a module of which only the signature is known: by the names of its arguments."""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from glassformer.checking.exchange import Argument, Namespace, Offer
from glassformer.checking.names import SIZES, size_role

CONFIGURATIONS = (
    "config",
    "cfg",
    "conf",
    "configuration",
    "hparams",
    "params",
    "hp",
    "opts",
    "settings",
    "args",
)
_CONFIGURED = re.compile(r"(?i)(config|args|arguments|settings|hparams|options)\W*$")
"""At the end of an annotation."""
AMBIGUOUS = ("d", "e", "c", "k", "h", "p", "size", "length", "tokens")


def constructions(offer: Offer, sizes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Keyword arguments to try, the likeliest first.

    sizes: role, or the name of an argument itself -> value, or a list of values to try.

    Arguments with a default keep it unless their name says a size that the contract needs.
    """
    needed = [each for each in offer.arguments if each.kind not in ("args", "kwargs")]
    if not needed and any(each.kind == "kwargs" for each in offer.arguments):
        return
    choices: list[tuple[str, list[Any]]] = []
    said = {size_role(each.name) for each in needed}
    open_sizes = {role: value for role, value in sizes.items() if role not in said}
    for argument in needed:
        options = _options(argument, sizes)
        if options is not None:
            choices.append((argument.name, options))
        elif argument.required:
            choices.append((argument.name, _guesses(argument, {**open_sizes, **sizes})))
    yield from _products(choices)


def _products(choices: list[tuple[str, list[Any]]], limit: int = 60) -> Iterator[dict[str, Any]]:
    from itertools import islice, product

    names = [name for name, _ in choices]
    for values in islice(product(*(options for _, options in choices)), limit):
        yield dict(zip(names, values, strict=True))


def _options(argument: Argument, sizes: Mapping[str, Any]) -> list[Any] | None:
    """The values that its name asks for; None where the name says nothing."""
    name = argument.name.lower().strip("_")
    if argument.required and (name in CONFIGURATIONS or _CONFIGURED.search(argument.annotation)):
        return [Namespace(_everything(sizes))]
    role = argument.name if argument.name in sizes else size_role(argument.name)
    if role == "d_model" and name in ("k", "d", "e", "c", "size", "hidden") and "d_model" not in sizes:
        role = None
    if role is None or role not in sizes:
        return None
    value = sizes[role]
    values = list(value) if isinstance(value, list) else [value]
    if (
        name in ("d_out", "out_dim", "output_dim", "dim_out", "out_features", "inner_dim")
        and "heads" in sizes
    ):
        values = [sizes["d_model"], *values]
    if role == "bias" and not isinstance(argument.default, bool) and not argument.required:
        return None
    return values


def _guesses(argument: Argument, sizes: Mapping[str, Any]) -> list[Any]:
    """For a name that says nothing: every size there is."""
    if "bool" in argument.annotation:
        return [False, True]
    found: list[Any] = []
    ordinary = ("d_model", "heads", "d_head", "max_len", "d_ff")
    for role in sorted(ordinary, key=list(sizes).index if set(ordinary) <= set(sizes) else ordinary.index):
        value = sizes.get(role)
        for each in value if isinstance(value, list) else [value]:
            if each is not None and each not in found:
                found.append(each)
    return found or [8]


def _everything(sizes: Mapping[str, Any]) -> dict[str, Any]:
    """A configuration under every name that people use for a size."""
    values: dict[str, Any] = {}
    for role, value in sizes.items():
        for name in SIZES.get(role, ()):
            if name not in AMBIGUOUS or role in ("d_model", "heads"):
                values.setdefault(name, value[0] if isinstance(value, list) else value)
    return values
