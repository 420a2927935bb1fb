"""Which parameter is which projection: every way to read the parameters of a module as Q, K, V and O.

Linear layers, bare matrices in either orientation, one matrix for all heads or one a head, three projections
in one matrix in any order and layout, three-dimensional tensors for einsum, 1x1 convolutions: all become
projections (in, out) of the checker's own attention. Names only say what is tried first.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, replace
from itertools import permutations

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.attention import Projection, Sizes, Weights
from glassformer.checking.exchange import Built
from glassformer.checking.names import projection_roles

Values = Mapping[str, Tensor]
LINEAR = ("Linear", "NonDynamicallyQuantizableLinear", "LazyLinear")
CONVOLUTIONS = ("Conv1d", "Conv2d")
ON_SLICES, SHARED = "each head on its slice", "one for all heads"


@dataclass(frozen=True)
class Source:
    """A matrix (in, out) with its bias, read from parameters. roles: what their names say it is for.

    turned: a bare matrix used as x @ W rather than x @ W.T, where its shape leaves that open.
    """

    names: tuple[str, ...]
    shape: tuple[int, int]
    weight: Callable[[Values], Tensor]
    bias: Callable[[Values], Tensor] | None
    roles: str
    turned: bool = False
    layout: str = ""

    def projection(self, values: Values) -> Projection:
        return Projection(self.weight(values), self.bias(values) if self.bias else None)


@dataclass(frozen=True)
class Assignment:
    """Which source is q, k, v and o. agrees: with every name that says something."""

    sources: Mapping[str, Source]
    agreement: int
    agrees: bool

    def weights(self, values: Values) -> Weights:
        return Weights(**{role: source.projection(values) for role, source in self.sources.items()})

    @property
    def mistakes(self) -> tuple[str, ...]:
        """Of projections that no multi-head attention has, read as if it had them."""
        layouts = " ".join(source.layout for source in self.sources.values())
        if ON_SLICES in layouts:
            return ("heads-on-slices",)
        return ("heads-share-projection",) if SHARED in layouts else ()

    def described(self) -> dict[str, str]:
        """Role -> names of parameters, as the answer tells it."""
        return {
            role: " + ".join(source.names) + (f" ({source.layout})" if source.layout else "")
            for role, source in self.sources.items()
        }


def random_values(built: Built, seed: int, sharpness: float = 1.8) -> dict[str, np.ndarray]:
    """Every parameter at random, biases and gains too; large enough that the softmax is far from uniform."""
    generator = np.random.default_rng(seed)
    values = {}
    for name, shape in built.parameters.items():
        drawn = generator.standard_normal(shape)
        owner, _, leaf = name.rpartition(".")
        if "Norm" in built.modules.get(owner, "") and leaf == "weight":
            values[name] = 1.0 + 0.4 * drawn
        elif len(shape) >= 2:
            fan = np.sqrt(max(shape)) if "Embedding" not in built.modules.get(owner, "") else 1.0
            values[name] = sharpness * drawn / fan
        else:
            values[name] = 0.6 * drawn
    return values


def assignments(
    built: Built, sizes: Sizes, d_out: int | None = None, needs_output: bool = False
) -> list[Assignment]:
    """All readings of the parameters, the ones that agree with the names first.

    d_out: width of the output, where it is not d_model. needs_output: drop readings without an output
    projection where there are some with one.
    """
    wide = sizes.heads * sizes.d_head
    d_in, d_out = sizes.d_model, sizes.d_model if d_out is None else d_out
    found: dict[tuple, Assignment] = {}
    for turned in (False, True):
        sources = [each for each in _sources(built, sizes) if each.turned in (turned, False)]
        if turned and not any(each.turned for each in sources):
            continue
        sources = _preferred(sources, turned)
        entries = [each for each in sources if each.shape == (d_in, wide)]
        exits = [each for each in sources if each.shape == (wide, d_out)]
        # one that is too narrow for all heads side by side shows that they were averaged
        narrow = [each for each in sources if each.shape == (sizes.d_head, d_out)]
        for chosen in _threes(sources, entries, d_in, sizes):
            taken = {name for each in chosen.values() for name in each.names}
            free = [each for each in exits if not taken & set(each.names)] or [
                each for each in narrow if not taken & set(each.names)
            ]
            options = [{**chosen, "o": each} for each in free]
            if not (needs_output and options):
                options.append(dict(chosen))
            for option in options:
                one = _assignment(option)
                key = tuple(
                    (role, source.names, source.turned, source.layout) for role, source in option.items()
                )
                found.setdefault(key, one)
    return sorted(found.values(), key=lambda each: (not each.agrees, -each.agreement))


def _preferred(sources: list[Source], turned: bool) -> list[Source]:
    """Of two readings of one bare matrix, the one of this orientation."""
    turnable = {each.names for each in sources if each.turned}
    return [each for each in sources if each.turned == turned or each.names not in turnable]


def _threes(
    sources: list[Source], entries: list[Source], d_in: int, sizes: Sizes
) -> Iterator[dict[str, Source]]:
    wide = sizes.heads * sizes.d_head
    for q, k, v in permutations(entries, 3):
        if not (set(q.names) & set(k.names) or set(q.names) & set(v.names) or set(k.names) & set(v.names)):
            yield {"q": q, "k": k, "v": v}
    for source in sources:
        if source.shape == (d_in, 3 * wide):
            yield from ({"q": q, "k": k, "v": v} for q, k, v in _parts(source, 3, sizes))
        if source.shape == (d_in, 2 * wide):
            for q in entries:
                yield from ({"q": q, "k": k, "v": v} for k, v in _parts(source, 2, sizes))


def _assignment(sources: dict[str, Source]) -> Assignment:
    said = {role: source.roles for role, source in sources.items()}
    right = sum(said[role] == role for role in said)
    wrong = sum(len(said[role]) == 1 and said[role] != role for role in said)
    # a fused matrix says its order by its name: the parts carry one letter each
    return Assignment(sources, right - wrong, wrong == 0)


def _parts(source: Source, count: int, sizes: Sizes) -> Iterator[tuple[Source, ...]]:
    """A fused matrix cut into its projections, in every order and layout."""
    letters = source.roles if len(source.roles) == count else {2: "kv", 3: "qkv"}[count]
    heads, d_head = sizes.heads, sizes.d_head
    wide = heads * d_head
    layouts = {"": np.arange(count * wide).reshape(count, wide)}
    if heads > 1:
        index = np.arange(count * wide)
        layouts["head by head"] = index.reshape(heads, count, d_head).swapaxes(0, 1).reshape(count, wide)
        layouts["interleaved"] = index.reshape(heads, d_head, count).transpose(2, 0, 1).reshape(count, wide)
        layouts["interleaved within"] = (
            index.reshape(d_head, count, heads).transpose(1, 2, 0).reshape(count, wide)
        )
    for layout, index in layouts.items():
        for order in permutations(range(count)):
            cut = []
            for place in order:
                columns = torch.from_numpy(np.ascontiguousarray(index[place]))
                cut.append(_part(source, columns, letters[place], place, layout))
            yield tuple(cut)


def _part(source: Source, columns: Tensor, letter: str, place: int, layout: str) -> Source:
    bias = source.bias
    return replace(
        source,
        shape=(source.shape[0], len(columns)),
        weight=lambda values: source.weight(values)[:, columns],
        bias=None if bias is None else lambda values: bias(values)[columns],
        # the usual order is expected where the name does not give one
        roles=letter,
        layout=f"part {place + 1}" + (f", {layout}" if layout else ""),
    )


def _sources(built: Built, sizes: Sizes) -> list[Source]:
    groups: dict[str, list[str]] = {}
    for name in built.parameters:
        groups.setdefault(re.sub(r"\d+", "#", name), []).append(name)
    found: list[Source] = []
    for names in groups.values():
        shapes = {built.parameters[name] for name in names}
        if len(names) == sizes.heads > 1 and len(shapes) == 1:
            found += _of_heads(built, tuple(names), sizes)
        else:
            for name in names:
                found += [wide for one in _of_one(built, name, sizes) for wide in _for_all_heads(one, sizes)]
    return found


def _for_all_heads(source: Source, sizes: Sizes) -> Iterator[Source]:
    """A matrix as wide as a head: as it is, of each head's own slice, or the same for all heads."""
    yield source
    heads, d_head = sizes.heads, sizes.d_head
    if heads == 1 or source.shape[1] != d_head or "o" in source.roles:
        return
    bias = source.bias
    repeated = None if bias is None else lambda values: bias(values).repeat(heads)
    if source.shape[0] == d_head:
        yield replace(
            source, shape=(heads * d_head,) * 2, bias=repeated, layout=f"{ON_SLICES}, {SHARED}",
            weight=lambda values: torch.block_diag(*[source.weight(values)] * heads),
        )  # fmt: skip
    if source.shape[0] == sizes.d_model:
        yield replace(
            source, shape=(sizes.d_model, heads * d_head), bias=repeated, layout=SHARED,
            weight=lambda values: source.weight(values).repeat(1, heads),
        )  # fmt: skip


def _kind(built: Built, name: str) -> str:
    owner, _, leaf = name.rpartition(".")
    kind = built.modules.get(owner, "")
    return kind if leaf == "weight" and kind in (*LINEAR, *CONVOLUTIONS) else ""


def _bias_name(built: Built, name: str) -> str | None:
    """The bias that belongs to a matrix, by its name."""
    owner, dot, leaf = name.rpartition(".")
    roles = projection_roles(name)
    if _kind(built, name):
        candidate = f"{owner}{dot}bias"
        return candidate if candidate in built.parameters else None
    flat = [
        key
        for key, shape in built.parameters.items()
        if len(shape) <= (2 if len(built.parameters[name]) == 3 else 1)
    ]
    for old, new in (("weight", "bias"), ("kernel", "bias"), ("W", "b"), ("w", "b")):
        candidate = owner + dot + leaf.replace(old, new, 1)
        if candidate != name and candidate in flat:
            return candidate
    same = [key for key in flat if roles and projection_roles(key) == roles and "norm" not in key.lower()]
    return same[0] if len(same) == 1 else None


def _of_one(built: Built, name: str, sizes: Sizes) -> Iterator[Source]:
    shape = built.parameters[name]
    kind, bias_name, roles = _kind(built, name), _bias_name(built, name), projection_roles(name)
    names = (name,) if bias_name is None else (name, bias_name)
    bias = None if bias_name is None else (lambda values: values[bias_name].flatten())
    if kind in CONVOLUTIONS and set(shape[2:]) == {1}:
        yield Source(names, (shape[1], shape[0]), lambda values: values[name].flatten(1).T, bias, roles)
    elif len(shape) == 2:
        yield Source(names, (shape[1], shape[0]), lambda values: values[name].T, bias, roles)
        if not kind:
            yield Source(
                names, (shape[0], shape[1]), lambda values: values[name], bias, roles, shape[0] == shape[1]
            )
    elif len(shape) == 3:
        wide = sizes.heads * sizes.d_head
        for axes in permutations(range(3)):
            moved = tuple(shape[axis] for axis in axes)
            if moved[1:] == (sizes.heads, sizes.d_head):  # (in, heads, d_head)
                yield Source(
                    names,
                    (moved[0], wide),
                    lambda values, axes=axes: values[name].permute(axes).flatten(1),
                    bias,
                    roles,
                )
            if moved[:2] == (sizes.heads, sizes.d_head) and axes[2] == 2:  # (heads, d_head, out)
                yield Source(
                    names,
                    (wide, moved[2]),
                    lambda values, axes=axes: values[name].permute(axes).flatten(0, 1),
                    bias,
                    roles,
                )
            if moved[1] in (2, 3) and moved[2] == wide:  # (in, parts, heads * d_head)
                yield Source(
                    names,
                    (moved[0], moved[1] * wide),
                    lambda values, axes=axes: values[name].permute(axes).flatten(1),
                    bias,
                    roles,
                    moved[0] == wide and axes[0] < axes[2],
                )
    elif len(shape) == 4:
        for axes in permutations(range(4)):
            moved = tuple(shape[axis] for axis in axes)
            if moved[1] in (2, 3) and moved[2:] == (sizes.heads, sizes.d_head):  # (in, parts, heads, d_head)
                yield Source(
                    names,
                    (moved[0], moved[1] * sizes.heads * sizes.d_head),
                    lambda values, axes=axes: values[name].permute(axes).flatten(1),
                    bias,
                    roles,
                )


def _of_heads(built: Built, names: tuple[str, ...], sizes: Sizes) -> Iterator[Source]:
    """One matrix a head: side by side, or of outputs that are added up one on another, that of all heads."""
    shape = built.parameters[names[0]]
    if len(shape) != 2:
        return
    kind, roles = _kind(built, names[0]), projection_roles(names[0])
    found = [_bias_name(built, name) for name in names]
    bias_names = [each for each in found if each is not None]
    biased = len(bias_names) == len(names)
    all_names = (*names, *bias_names) if biased else names
    bias = (lambda values: torch.cat([values[each] for each in bias_names])) if biased else None
    orientations = [False] if kind else [False, True]
    for plain in orientations:
        d_in, d_out = shape if plain else shape[::-1]

        def weight(values: Values, plain: bool = plain) -> Tensor:
            return torch.cat([values[name] if plain else values[name].T for name in names], 1)

        source = Source(all_names, (d_in, d_out * len(names)), weight, bias, roles, plain and d_in == d_out)
        yield source
        if d_in == sizes.d_head:
            yield replace(
                source, shape=(d_in * len(names), d_out), layout="added up",
                weight=lambda values, each=source, d_out=d_out: torch.cat(
                    each.weight(values).split(d_out, 1)
                ),
                bias=bias and (lambda values, bias=bias: bias(values).unflatten(0, (len(names), -1)).sum(0)),
            )  # fmt: skip
        if d_in == d_out:
            yield replace(
                source, shape=(d_in * len(names),) * 2, layout=ON_SLICES,
                weight=lambda values, each=source: torch.block_diag(
                    *each.weight(values).split(each.shape[0], 1)
                ),
            )  # fmt: skip
