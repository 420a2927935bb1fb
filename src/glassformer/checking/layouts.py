"""The parameters of a block or a model sorted by what they can be: norms, feed-forward layer, attentions."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace

from glassformer.checking.attention import Projection, Sizes
from glassformer.checking.blocks import BlockWeights, Norm
from glassformer.checking.exchange import Built
from glassformer.checking.projections import LINEAR, Assignment, Values, assignments

CROSS = re.compile(r"cross|src|mem|enc|context|multihead_attn|inter|attn_?2|attention_?2", re.I)
Shapes = Mapping[str, tuple[int, ...]]


@dataclass(frozen=True)
class Part:
    """A matrix with its bias, or the gain and shift of a norm: names of parameters."""

    weight: str | None
    bias: str | None

    @property
    def names(self) -> tuple[str, ...]:
        return tuple(each for each in (self.weight, self.bias) if each)


@dataclass(frozen=True)
class Layout:
    """The parameters of one block. shared: names that stand for parameters of another head."""

    norms: tuple[Part, ...]
    first: Part | None
    second: Part | None
    attention: tuple[str, ...]
    turned: bool = False

    @property
    def feed_forward(self) -> tuple[str, ...]:
        return tuple(name for each in (self.first, self.second) if each for name in each.names)


def norm_parts(shapes: Shapes, modules: Mapping[str, str]) -> list[Part]:
    """The layer norms, in the order in which they were registered."""
    found = []
    for owner, names in by_owner(shapes).items():
        vectors = [name for name in names if len(shapes[name]) == 1]
        is_norm = "Norm" in modules.get(owner, "")
        if not is_norm and (len(vectors) != len(names) or len(names) > 2 or not owner):
            continue
        if len({shapes[name] for name in names}) != 1:
            continue
        bias = next((n for n in names if re.search(r"(bias|beta|shift|^b|\.b)$", n)), None)
        if bias is None and len(names) == 2:
            bias = names[1]
        weight = next((name for name in names if name != bias), None)
        found.append(Part(weight, bias))
    return found


def by_owner(shapes: Shapes) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for name in shapes:
        found.setdefault(name.rpartition(".")[0], []).append(name)
    return found


def bias_of(weight: str, shapes: Shapes) -> str | None:
    owner, dot, leaf = weight.rpartition(".")
    for old, new in (("weight", "bias"), ("W", "b"), ("w", "b")):
        name = owner + dot + leaf.replace(old, new, 1)
        if name != weight and name in shapes and len(shapes[name]) == 1:
            return name
    return None


def layout(shapes: Shapes, modules: Mapping[str, str], d_model: int, d_ff: int | None) -> Layout:
    """Sorts the parameters of one block. d_ff: the width that was asked for, None where none was."""
    norms = norm_parts(shapes, modules)
    taken = {name for each in norms for name in each.names}
    matrices = [n for n in shapes if n not in taken and len(shapes[n]) == 2]
    first, second, turned = _feed_forward(matrices, shapes, modules, d_model, d_ff)
    used = taken | {name for each in (first, second) if each for name in each.names}
    return Layout(tuple(norms), first, second, tuple(n for n in shapes if n not in used), turned)


def _feed_forward(
    matrices: list[str], shapes: Shapes, modules: Mapping[str, str], d_model: int, d_ff: int | None
) -> tuple[Part | None, Part | None, bool]:
    from glassformer.checking.names import projection_roles

    widths = [d_ff] if d_ff is not None else []
    widths += [side for name in matrices for side in shapes[name] if side not in (d_model, d_ff)]
    for width in dict.fromkeys(widths):
        wide = [name for name in matrices if sorted(shapes[name]) == sorted((width, d_model))]
        if len(wide) == 2 and not any(set(projection_roles(name)) & set("qkv") for name in wide):
            linear = modules.get(wide[0].rpartition(".")[0], "") in LINEAR
            up = (width, d_model) if linear else (d_model, width)
            ordered = sorted(wide, key=lambda name: shapes[name] != up)
            if {shapes[name] for name in wide} == {up, up[::-1]}:
                first, second = (Part(name, bias_of(name, shapes)) for name in ordered)
                return first, second, not linear
    return None, None, False


def attention_readings(built: Built, names: tuple[str, ...], count: int) -> list[tuple[tuple[str, ...], ...]]:
    """How the parameters of the attentions are parted among `count` of them, the likeliest first."""
    if count == 1:
        return [(names,)]
    found: list[tuple[tuple[str, ...], ...]] = []
    groups: dict[str, list[str]] = {}
    for name in names:
        groups.setdefault(name.split(".")[0], []).append(name)
    if len(groups) == 2:
        one, two = groups
        if CROSS.search(one) and not CROSS.search(two):
            one, two = two, one
        found.append((tuple(groups[one]), tuple(groups[two])))
    weights = [each for each in names if len(built.parameters[each]) > 1]
    for cut in range(1, len(weights)):
        heads = {name.rpartition(".")[0] for name in weights[:cut]}
        front = tuple(
            n for n in names if n in weights[:cut] or (n.rpartition(".")[0] in heads and heads != {""})
        )
        back = tuple(n for n in names if n not in front)
        if (front, back) not in found:
            found.append((front, back))
    return found


def part_of(built: Built, names: tuple[str, ...]) -> Built:
    return replace(built, parameters={name: built.parameters[name] for name in names})


def likely_first(found: list[Assignment], order: tuple[str, ...]) -> list[tuple[Assignment, bool]]:
    """The readings with whether names, or else the order of registration, speak for them."""
    agreeing = [each for each in found if each.agrees]
    if not agreeing:
        return [(each, False) for each in found]
    best = max(each.agreement for each in agreeing)
    top = [each for each in agreeing if each.agreement == best]
    place = {name: number for number, name in enumerate(order)}

    def registered(each: Assignment) -> bool:
        places = [place[source.names[0]] for source in each.sources.values() if source.names[0] in place]
        return places == sorted(places)

    ordered = [each for each in top if registered(each)] or top
    rest = [each for each in found if each not in ordered]
    return [(each, True) for each in ordered] + [(each, False) for each in rest]


def shared_heads(shapes: Shapes, sizes: Sizes) -> dict[str, str]:
    """Names of heads that do not exist -> the one head whose parameters they share."""
    found = {}
    for name, shape in shapes.items():
        match = re.fullmatch(r"(.*?)\b0\b(.*)", name)
        if not match or f"{match[1]}1{match[2]}" in shapes or sizes.d_head not in shape:
            continue
        if not re.search(r"head", match[1], re.I):
            continue
        for head in range(1, sizes.heads):
            found[f"{match[1]}{head}{match[2]}"] = name
    return found


def projection(part: Part, values: Values, turned: bool) -> Projection:
    weight = values[part.weight]  # type: ignore[index]
    return Projection(weight if turned else weight.T, values[part.bias] if part.bias else None)


def block_weights(shape: Layout, readings: tuple[Assignment, ...], values: Values) -> BlockWeights:
    """The weights of one block under a reading of its attentions."""
    assert shape.first
    assert shape.second
    return BlockWeights(
        tuple(each.weights(values) for each in readings),
        tuple(norm(each, values) for each in shape.norms),
        projection(shape.first, values, shape.turned),
        projection(shape.second, values, shape.turned),
    )


def norm(part: Part, values: Values) -> Norm:
    return Norm(values[part.weight] if part.weight else None, values[part.bias] if part.bias else None)


@dataclass(frozen=True)
class Attentions:
    """How the attentions of a block are read. names: the parameters of each; aliases: of heads that share."""

    sizes: Sizes
    aliases: Mapping[str, str]
    names: tuple[tuple[str, ...], ...]
    readings: list[list[tuple[Assignment, bool]]]


def read_attentions(
    built: Built, names: tuple[str, ...], heads: int, count: int, d_model: int
) -> Attentions | None:
    """The readings that use every matrix and have an output projection, or else what comes nearest."""
    best: Attentions | None = None
    score = (-1, -1, -1)
    for d_head in dict.fromkeys((d_model // heads, 8, d_model)):
        sizes = Sizes(d_model, heads, d_head)
        aliases = shared_heads({name: built.parameters[name] for name in names}, sizes)
        added = {alias: built.parameters[name] for alias, name in aliases.items()}
        whole = replace(built, parameters={**built.parameters, **added})
        for parts in attention_readings(whole, (*names, *aliases), count):
            found = [_complete(whole, part, sizes) for part in parts]
            if not all(found):
                continue
            rated = (
                sum(_uses_all(each[0][0], part, whole) for each, part in zip(found, parts, strict=True)),
                sum("o" in each[0][0].sources for each in found),
                sum(each[0][0].agrees for each in found),
            )
            if rated > score:
                best, score = Attentions(sizes, aliases, tuple(parts), found), rated
    return best


def _complete(whole: Built, part: tuple[str, ...], sizes: Sizes) -> list[tuple[Assignment, bool]]:
    found = assignments(part_of(whole, part), sizes, None, True)
    full = [each for each in found if _uses_all(each, part, whole)]
    return likely_first(full or found, part)


def _uses_all(reading: Assignment, part: tuple[str, ...], whole: Built) -> bool:
    used = {name for source in reading.sources.values() for name in source.names}
    return all(name in used for name in part if len(whole.parameters[name]) > 1)
