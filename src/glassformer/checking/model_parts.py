"""The parameters of a whole model sorted: stacks of layers, embeddings, positions, CLS token, norms, head."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from glassformer.checking.exchange import Argument, Built, Namespace
from glassformer.checking.layouts import (
    Attentions,
    Layout,
    Part,
    bias_of,
    layout,
    norm_parts,
    read_attentions,
)
from glassformer.checking.names import inner_widths, size_role

VOCAB, TARGET_VOCAB, CLASSES, LENGTH, LAYERS = 29, 31, 5, 20, 2
IMAGE, PATCH, CHANNELS, D_MODEL, D_FF, HEADS = 12, 4, 2, 24, 40, 3
NAMED = (
    (r"(tgt|target|trg|out|dec)\w*vocab|vocab\w*(tgt|target|trg|out)", TARGET_VOCAB),
    (r"vocab|num_embeddings|n_?tokens$|num_tokens$", VOCAB),
    (r"class|label|n_out$|output_(dim|size)$", CLASSES),
    (r"num_?patches|n_patches", (IMAGE // PATCH) ** 2),
    (r"^(image|img|resolution)|(image|img)_?(size|h|w)", IMAGE),
    (r"patch", PATCH),
    (r"chan|^in_ch|^c$|^in_c$", CHANNELS),
    (r"layers|depth|blocks", LAYERS),
    (r"dropout|^p$|p_drop|drop", 0.3),
    (r"^(pad|padding)(_?(id|idx|index|token|token_id|token_idx))?$", 0),
)
ROLES = {
    "d_model": D_MODEL,
    "heads": HEADS,
    "d_ff": D_FF,
    "max_len": LENGTH,
    "layers": LAYERS,
    "dropout": 0.3,
}


def keywords(arguments: tuple[Argument, ...]) -> dict[str, Any]:
    """What to build a model with: a value for each argument whose name says a size."""
    found: dict[str, Any] = {}
    inner = inner_widths(each.name for each in arguments)
    for each in arguments:
        if each.kind in ("args", "kwargs"):
            continue
        name = each.name.lower().strip("_")
        value = next((value for pattern, value in NAMED if re.search(pattern, name)), None)
        if value is None:
            value = ROLES.get(size_role(name) or "")
            if each.name in inner:
                value = D_FF
        if value is None and each.required:
            value = _configuration() if re.fullmatch(r"config|cfg|conf|hparams|args", name) else D_FF
        if isinstance(each.default, bool):
            continue
        if value is not None:
            found[each.name] = value
    return found


def _configuration() -> Namespace:
    from glassformer.checking.names import SIZES

    values: dict[str, Any] = {name: value for role, value in ROLES.items() for name in SIZES[role]}
    for name in ("vocab_size", "vocab", "n_vocab", "src_vocab_size", "src_vocab"):
        values[name] = VOCAB
    values |= dict.fromkeys(("tgt_vocab_size", "tgt_vocab"), TARGET_VOCAB)
    values |= dict.fromkeys(("num_classes", "n_classes", "classes", "num_labels"), CLASSES)
    values |= {"image_size": IMAGE, "img_size": IMAGE, "patch_size": PATCH, "channels": CHANNELS}
    return Namespace(values)


@dataclass(frozen=True)
class Stack:
    """Layers of one kind. prefixes: of the names of each layer's parameters."""

    name: str
    prefixes: tuple[str, ...]
    layout: Layout
    attentions: Attentions

    @property
    def crosses(self) -> bool:
        return len(self.attentions.names) == 2

    def silenced(self, part: str) -> list[str]:
        """Full names of "ff", "self" or "cross" in every layer."""
        place = {"self": 0, "cross": 1}
        if part == "ff":
            names: tuple[str, ...] = self.layout.feed_forward
        else:
            names = self.attentions.names[place[part]] if place[part] < len(self.attentions.names) else ()
        back = self.attentions.aliases
        return [prefix + back.get(name, name) for prefix in self.prefixes for name in names]


@dataclass(frozen=True)
class ModelParts:
    """stacks in the order of registration; the others are names of parameters."""

    stacks: tuple[Stack, ...]
    norms: tuple[Part, ...]
    wide_norms: tuple[Part, ...]
    embeddings: tuple[str, ...]
    positions: tuple[str, ...]
    cls: str | None
    patch: Part | None
    convolved: bool
    heads: tuple[Part, ...]
    unread: tuple[str, ...] = ()
    shapes: Mapping[str, tuple[int, ...]] = field(default_factory=dict)


def stacks_of(built: Built) -> dict[str, dict[str, list[str]]]:
    """Stem -> prefix of each layer -> names; only where the layers look like blocks."""
    found: dict[str, dict[str, list[str]]] = {}
    for name in built.parameters:
        match = re.match(r"(.*?)(\d+)\.", name)
        if match:
            found.setdefault(match[1], {}).setdefault(match[0], []).append(name)
    return {
        stem: layers
        for stem, layers in found.items()
        if all((len(names) >= 6 and any("norm" in n.lower() or "ln" in n.lower() for n in names))
               or len(names) >= 8 for names in layers.values())
    }  # fmt: skip


def model_parts(built: Built, images: bool) -> ModelParts:
    stacks = []
    inside: set[str] = set()
    for stem, layers in stacks_of(built).items():
        made = _stack(built, stem, layers)
        if made is not None:
            stacks.append(made)
            inside |= {name for names in layers.values() for name in names}
    outside = {name: shape for name, shape in built.parameters.items() if name not in inside}
    kind = {name: built.modules.get(name.rpartition(".")[0], "") for name in outside}
    norms = [
        each
        for each in norm_parts(outside, built.modules)
        if "Norm" in kind[each.names[0]] or len(each.names) == 2
    ]
    taken = {name for each in norms for name in each.names}
    wide = [
        Part(name, bias_of_any(name, outside))
        for name, shape in outside.items()
        if "LayerNorm" in kind[name] and name.endswith("weight") and len(shape) == 2
    ]
    taken |= {name for each in wide for name in each.names}
    embeddings, positions, heads, cls, patch, convolved = [], [], [], None, None, False
    for name, shape in outside.items():
        flat = tuple(side for side in shape if side != 1)
        if name in taken:
            continue
        if kind[name].startswith("Conv") and len(shape) == 4:
            patch, convolved = Part(name, bias_of(name, outside)), True
            taken |= set(patch.names)
        elif kind[name] == "Linear" and len(shape) == 2:
            part = Part(name, bias_of(name, outside))
            taken |= set(part.names)
            if images and shape == (D_MODEL, CHANNELS * PATCH * PATCH):
                patch = part
            else:
                heads.append(part)
        elif flat == (D_MODEL,) and kind[name] != "Linear":
            cls = name
            taken.add(name)
        elif len(flat) == 2 and flat[1] == D_MODEL:
            taken.add(name)
            (embeddings if flat[0] in (VOCAB, TARGET_VOCAB) and not images else positions).append(name)
    unread = tuple(name for name in outside if name not in taken)
    return ModelParts(
        tuple(stacks), tuple(norms), tuple(wide), tuple(embeddings), tuple(positions), cls, patch, convolved,
        tuple(heads), unread, outside,
    )  # fmt: skip


def bias_of_any(weight: str, shapes: Mapping[str, tuple[int, ...]]) -> str | None:
    name = weight.removesuffix("weight") + "bias"
    return name if name in shapes else None


def _stack(built: Built, stem: str, layers: Mapping[str, list[str]]) -> Stack | None:
    prefixes = tuple(layers)
    first = prefixes[0]
    short = {name.removeprefix(first): built.parameters[name] for name in layers[first]}
    modules = {
        name.removeprefix(first): kind for name, kind in built.modules.items() if name.startswith(first)
    }
    one = replace(built, parameters=short, modules=modules)
    found = layout(short, modules, D_MODEL, D_FF)
    if found.first is None:
        found = layout(short, modules, D_MODEL, None)
    if found.first is None or len(found.norms) < 1:
        return None
    weights = [name for name in found.attention if len(short[name]) > 1]
    crosses = len(found.norms) >= 3 or "dec" in stem.lower() or len(weights) > 4 * HEADS
    for count in (2, 1) if crosses else (1,):
        read = read_attentions(one, found.attention, HEADS, count, D_MODEL)
        if read is not None:
            return Stack(stem, prefixes, found, read)
    return None
