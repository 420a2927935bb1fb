"""How to call what is under check: which argument takes what, batch first or not, what a mask looks like."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import permutations
from typing import Any

import numpy as np

from glassformer.checking.exchange import Argument
from glassformer.checking.names import ATTENDS, FLAG_WORDS, IGNORES, SHUT, forward_role, is_mask

Inputs = Mapping[str, Any]
"""What a probe gives: q, k and v, arrays (batch, tokens, d_model); padding (batch, keys) and causal."""


@dataclass(frozen=True, eq=False)
class Form:
    """takes: argument name -> "q", "k" or "v". positional: given by place, for signatures that hide names.

    tokens_first: of four axes, (batch, tokens, heads, size).

    required: masks that cannot be left out, with the slot that hides nothing; None where None does.
    """

    takes: Mapping[str, str]
    batch_first: bool = True
    batched: bool = True
    positional: bool = False
    named: bool = True
    required: Mapping[str, "Slot | None"] = field(default_factory=dict)
    tokens_first: bool = False

    @property
    def crosses(self) -> bool:
        """Whether queries and keys can come from different places."""
        return len(set(self.takes.values())) > 1

    @property
    def distinct(self) -> bool:
        """Whether keys and values can differ too."""
        return len(set(self.takes.values())) > 2

    def serves(self, inputs: Inputs) -> bool:
        same_k = inputs["k"] is inputs["q"]
        same_v = inputs["v"] is inputs["k"]
        return (self.crosses or same_k) and (self.distinct or same_v)

    def given(self, array: np.ndarray) -> np.ndarray:
        """An input (batch, tokens, ...) as this form has it."""
        return array[0] if not self.batched else self._turned(array)

    def _turned(self, array: np.ndarray) -> np.ndarray:
        if self.tokens_first and array.ndim == 4:
            return array.swapaxes(1, 2)
        return array if self.batch_first or array.ndim != 3 else array.swapaxes(0, 1)

    def call(self, inputs: Inputs) -> tuple[list[Any], dict[str, Any]]:
        """Arguments and keywords for these inputs."""
        found = {name: self.given(inputs[role]) for name, role in self.takes.items()}
        q, k = inputs["q"], inputs["k"]
        everything = np.ones((len(q), 1, q.shape[-2], k.shape[-2]), dtype=bool)
        masks = {
            name: slot and slot.given(everything if "q" in slot.shape else everything[:, 0, 0])
            for name, slot in self.required.items()
        }
        return (list(found.values()), masks) if self.positional else ([], {**found, **masks})

    def received(self, output: Any) -> np.ndarray | None:
        """The first float array of an output, as (batch, tokens, ...)."""
        array = first_array(output)
        if array is None:
            return None
        return array[None] if not self.batched else self._turned(array)


def first_array(output: Any) -> np.ndarray | None:
    """The array that counts in what a call gave: the first one of floats."""
    if isinstance(output, np.ndarray):
        return output if output.dtype.kind == "f" else None
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, list):
        for each in output:
            found = first_array(each)
            if found is not None:
                return found
    return None


def input_arguments(arguments: tuple[Argument, ...]) -> list[Argument]:
    """The arguments that take tensors to attend over: the required ones, and the optional ones named so."""
    found = []
    for each in arguments:
        role = forward_role(each.name)
        if each.kind in ("args", "kwargs") or role == "mask" or each.name.lower().startswith(FLAG_WORDS):
            continue
        if each.required or (role in ("query", "key", "value", "context", "x") and each.default is None):
            found.append(each)
    return found


def forms(arguments: tuple[Argument, ...], batch_first: bool | None = None) -> list[Form]:
    """Every way in which the inputs may be meant, the likeliest first."""
    inputs = input_arguments(arguments)
    names = [each.name for each in inputs]
    roles = [forward_role(name) for name in names]
    positional = not arguments or any(each.kind == "positional" for each in inputs)
    found: list[Form] = []
    orders: list[tuple[dict[str, str], bool]] = []
    if not names:
        orders = [({"0": "q", "1": "k", "2": "v"}, True), ({"0": "q"}, True)]
        positional = True
    elif len(names) == 1:
        orders = [({names[0]: "q"}, True)]
    else:
        orders = [(each, named) for each, named in _orders(names, roles)]
    first = (True, False) if batch_first is None else (batch_first,)
    needed = [each for each in arguments if each.required and is_mask(each.name)]
    for required in _open_masks(needed):
        for batched in (True, False):
            for each in first if batched else (True,):
                for takes, named in orders:
                    found.append(Form(takes, each, batched, positional, named, required))
    return found


def _open_masks(needed: list[Argument]) -> Iterator[dict[str, "Slot | None"]]:
    """What to give for masks that cannot be left out: None, or one that hides nothing."""
    yield {each.name: None for each in needed}
    if needed:
        for kind, meaning in CODES:
            for shapes in (("b1qk", "b11k"), ("bqk", "b1k"), ("qk", "bk"), ("bk", "bk")):
                yield {
                    each.name: Slot(each.name, shapes[0 if "pad" not in each.name else 1], kind, meaning)
                    for each in needed
                }


def _orders(names: list[str], roles: list[str | None]) -> Iterator[tuple[dict[str, str], bool]]:
    letters = {"query": "q", "key": "k", "value": "v", "x": "q", "context": "k"}
    said = [letters.get(role or "") for role in roles]
    if len(names) == 2:
        if "context" in roles or said == ["q", "k"]:
            yield (
                {
                    name: letter or ("k" if "q" in said else "q")
                    for name, letter in zip(names, said, strict=True)
                },
                True,
            )
        yield dict(zip(names, "qk", strict=True)), said != ["k", "q"]
        yield dict(zip(names, "kq", strict=True)), False
        return
    three, rest = names[:3], said[:3]
    if set(rest) == {"q", "k", "v"}:
        yield dict(zip(three, rest, strict=True)), True  # type: ignore[arg-type]
    known = set(rest) == {"q", "k", "v"}
    for order in permutations("qkv"):
        yield dict(zip(three, order, strict=True)), not known and order == ("q", "k", "v")


@dataclass(frozen=True)
class Slot:
    """How one argument takes a mask. meaning: "attend" or "ignore" (what True says), "additive" or "flag"."""

    argument: str
    shape: str
    kind: str
    meaning: str

    def given(self, allowed: np.ndarray) -> Any:
        """allowed: (batch, 1, queries, keys), or (batch, keys) for padding, True = may attend."""
        if self.meaning == "flag":
            return True
        if self.shape == "lengths":
            return allowed.sum(-1)
        array = _shaped(allowed, self.shape)
        if self.meaning == "additive":
            return np.where(array, 0.0, -np.inf)
        array = array if self.meaning == "attend" else ~array
        return array if self.kind == "bool" else array.astype(float if self.kind == "float" else np.int64)


def _shaped(allowed: np.ndarray, shape: str) -> np.ndarray:
    if allowed.ndim == 2:
        return {
            "bk": allowed, "b1k": allowed[:, None], "b11k": allowed[:, None, None], "k": allowed[0],
        }[shape]  # fmt: skip
    return {
        "b1qk": allowed, "bqk": allowed[:, 0], "qk": allowed[0, 0], "11qk": allowed[:1],
        "1qk": allowed[:1, 0],
    }[shape]  # fmt: skip


PADDING_SHAPES = ("bk", "b11k", "b1k", "b1qk", "bqk")
CAUSAL_SHAPES = ("qk", "11qk", "1qk", "bqk", "b1qk")
CODES = (("bool", "attend"), ("bool", "ignore"), ("float", "additive"), ("float", "attend"),
         ("float", "ignore"),
         ("int", "attend"), ("int", "ignore"))  # fmt: skip


def mask_arguments(arguments: tuple[Argument, ...]) -> list[Argument]:
    return [each for each in arguments if is_mask(each.name)]


def slots(argument: Argument, part: str, said: "Said") -> list[Slot]:
    """Ways in which an argument may take this part ("padding", "causal"), those that its words say first."""
    name = argument.name.lower()
    if "is_causal" in name or (
        isinstance(argument.default, bool) or "bool" in argument.annotation.split("|")[0].split()
    ):
        return [Slot(argument.name, "", "bool", "flag")] if part == "causal" else []
    if "len" in name and "mask" not in name:
        return [Slot(argument.name, "lengths", "int", "attend")] if part == "padding" else []
    if part == "causal" and ("pad" in name or name.startswith("key_")):
        return []
    if part == "padding" and "causal" in name:
        return []
    shapes = PADDING_SHAPES if part == "padding" else CAUSAL_SHAPES
    found = [Slot(argument.name, shape, kind, meaning) for kind, meaning in CODES for shape in shapes]
    if said.strict:  # words that say what True means leave no room for a mask that is added
        found = [slot for slot in found if slot.meaning != "additive"]
    return sorted(
        found, key=lambda slot: said.meaning is not None and slot.meaning not in (said.meaning, "additive")
    )


@dataclass(frozen=True)
class Said:
    """What the words beside the code say of a mask's True, and where. strict: they hold it to that."""

    meaning: str | None
    strict: bool = False
    where: str = ""


def words_about(name: str, words: str) -> str:
    """The sentences beside the code that speak of this argument, or of a mask at all."""
    lines = words.splitlines()
    own = [line for line in lines if name.lower() in line.lower()]
    return "\n".join(own or [line for line in lines if "mask" in line.lower()])


def mask_said(argument: str, text: str) -> Said:
    """What a name and the text around the code (docstrings, comments) say that True means.

    >>> mask_said("key_padding_mask", "").meaning, mask_said("m", "m: bool, True = may attend").meaning
    ('ignore', 'attend')
    """
    import re

    found = set()
    for sentence in re.split(r"[\n;.]+", text.lower()):
        if not re.search(r"true|\b1s?\b|\bones\b|nonzero", sentence):
            continue
        after = re.split(r"true|\b1s?\b|\bones\b|nonzero", sentence, maxsplit=1)[1]
        after = re.split(r"false|\b0s?\b|zeros?", after, maxsplit=1)[0]
        negated = re.search(
            r"not (be )?(attend|allowed|seen|visible|used|real|look)|may not|must not|cannot|don't", after
        )
        hides = re.search(
            r"ignor|mask(ed)? (out|away)|hid|pad|block|forbid|disallow|drop|exclud|= masked|is masked", after
        )
        shows = re.search(
            r"attend|allow|keep|kept|real|visible|valid|see\b|seen|may look|participat|used", after
        )
        if negated or (hides and not (shows and shows.start() < hides.start())):
            found.add("ignore")
        elif shows:
            found.add("attend")
    if len(found) == 1:
        return Said(found.pop(), True, "the words beside the code")
    bare = argument.lower()
    if any(word in bare for word in SHUT):
        return Said("ignore", True, "its name")
    if bare in IGNORES:
        return Said("ignore", False, "its name")
    if bare in ATTENDS:
        return Said("attend", False, "its name")
    return Said(None)
