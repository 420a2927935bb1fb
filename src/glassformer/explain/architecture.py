"""The architecture of a model as it was built: its parts in the order in which they run, found by running it.

Sizes come from passes at several batch sizes and lengths, residuals and what reads what from the computation
itself (`glassformer.explain.recording`): neither is assumed from the name of a class.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from torch import nn

from glassformer.errors import DataError
from glassformer.explain.recording import Recorded, Recorder, record
from glassformer.explain.shapes import Dim, Shape, Sizes, lengths_of, resized, symbolic

Run = Callable[[nn.Module, dict[str, Any]], object]
"""Calls the model on a batch."""

BATCHES = (2, 3, 5)
"""Sizes of the batch in the passes."""


@dataclass(frozen=True)
class Part:
    """A module, or a function of a parameter, at work.

    name: where it stands in the model, such as `blocks.0.attention`; that of the first of its repeats.
    kind: its class. label, detail: what a reader calls it, and its sizes. inputs, output: shapes.
    parameters: distinct trainable scalars of one of its repeats, where no earlier part has counted them.
    tied: whether all of its weights were met before. repeats: how many of its kind follow one another.
    reads: numbers of the parts beside it whose outputs it takes; -1 - n for the n-th input of what it is in.
    residuals: (first, last) numbers of children; what the first reads is added to what the last gives.
    """

    name: str
    kind: str
    label: str
    detail: str
    inputs: tuple[Shape, ...]
    output: Shape
    parameters: int
    tied: bool = False
    repeats: int = 1
    reads: tuple[int, ...] = ()
    children: tuple["Part", ...] = ()
    residuals: tuple[tuple[int, int], ...] = ()

    def walk(self) -> list["Part"]:
        """This part and all in it."""
        return [self, *(each for child in self.children for each in child.walk())]


@dataclass(frozen=True)
class Architecture:
    """A model's parts, and what they add up to. parameters: distinct trainable scalars of the model.

    unused: those of them that no part had in this pass. symbols: the sizes that change with the input.
    arguments: what the model's inputs are called, empty where that cannot be known.
    """

    root: Part
    parameters: int
    unused: int
    symbols: tuple[str, ...]
    arguments: tuple[str, ...]

    def as_dict(self) -> dict[str, Any]:
        """Ready for JSON."""
        return asdict(self)


def describe(model: nn.Module, batch: Mapping[str, Any], run: Run) -> Architecture:
    """The architecture of a model.

    batch: a small example, one row an example; run: calls the model on such a batch. The model is run in
    evaluation mode at several batch sizes and lengths, and left as it was.
    Raises DataError where `run` does not call the model.
    """
    base = {"batch": BATCHES[0]} | lengths_of(batch)
    watched = _pass(model, batch, run, base)
    first = _root(watched)
    passes, sizes = [first], [base]
    for symbol in list(base)[1:]:
        # one token less, or more where there is but one; a model of a fixed length refuses both
        for length in (base[symbol] - 1, base[symbol] + 1):
            other = _tried(model, batch, run, base | {symbol: length}) if length else None
            if other is not None and _alike(first, other):
                passes.append(other)
                sizes.append(base | {symbol: length})
                break
    changed = {symbol: each[symbol] for each in sizes[1:] for symbol in each if each[symbol] != base[symbol]}
    # the batch alone, and all together: a sum that holds for one change at a time may not hold for all
    for more in ({"batch": BATCHES[1]}, {"batch": BATCHES[2]} | changed):
        passes.append(_root(_pass(model, batch, run, base | more)))
        sizes.append(base | more)
    symbols = ("batch", *changed)
    known = [{symbol: each[symbol] for symbol in symbols} for each in sizes]
    scalars = {name: each.numel() for name, each in model.named_parameters() if each.requires_grad}
    root = _with_classifier(_part(passes, known, scalars), getattr(model, "config", None))
    total, counted = sum(scalars.values()), sum(scalars.get(name, 0) for name in _counted(first))
    return Architecture(root, total, total - counted, symbols, tuple(watched.arguments))


def _pass(model: nn.Module, batch: Mapping[str, Any], run: Run, sizes: Sizes) -> Recorder:
    return record(model, lambda: run(model, resized(batch, sizes)))


def _tried(model: nn.Module, batch: Mapping[str, Any], run: Run, sizes: Sizes) -> Recorded | None:
    try:
        return _root(_pass(model, batch, run, sizes))
    except (ValueError, RuntimeError, IndexError):
        return None


def _root(watched: Recorder) -> Recorded:
    if watched.root is None:
        raise DataError("the task's loss does not call the model it is given, so there is nothing to draw")
    return watched.root


def _alike(one: Recorded, other: Recorded) -> bool:
    """Whether the same parts ran, on tensors of the same number of axes."""

    def form(part: Recorded) -> tuple[object, ...]:
        return part.name, len(part.output), [len(each) for each in part.inputs], len(part.children)

    return form(one) == form(other) and all(map(_alike, one.children, other.children))


def _counted(recorded: Recorded) -> list[str]:
    return recorded.parameters + [name for child in recorded.children for name in _counted(child)]


def _part(passes: list[Recorded], sizes: list[Sizes], scalars: Mapping[str, int]) -> Part:
    """One part of what it was in every pass."""
    first = passes[0]
    children = [_part(list(each), sizes, scalars) for each in zip(*(p.children for p in passes), strict=True)]
    return _folded(
        Part(
            name=first.name,
            kind=first.kind,
            label=first.label,
            detail=first.detail,
            inputs=tuple(_shape(each, sizes) for each in zip(*(p.inputs for p in passes), strict=True)),
            output=_shape([p.output for p in passes], sizes),
            parameters=sum(scalars.get(name, 0) for name in _counted(first)),
            tied=first.tied,
            reads=tuple(first.reads),
            children=tuple(children),
            residuals=tuple(first.residuals),
        )
    )


def _shape(shapes: "list[tuple[int, ...]] | tuple[tuple[int, ...], ...]", sizes: list[Sizes]) -> Shape:
    dims: list[Dim] = []
    for values in zip(*shapes, strict=True):
        found = symbolic(values, sizes)
        dims.append("?" if found is None else found)
    return tuple(dims)


def _folded(whole: Part) -> Part:
    """The same with children that repeat one another drawn once."""
    kept: list[Part] = []
    new: list[int] = []
    ends = {end for first, last in whole.residuals for end in (first, last + 1)}
    for number, child in enumerate(whole.children):
        if kept and number not in ends and _repeats(whole.children[number - 1], child, number - 1):
            kept[-1] = replace(kept[-1], repeats=kept[-1].repeats + 1)
        else:
            kept.append(child)
        new.append(len(kept) - 1)

    def renumbered(child: Part) -> Part:
        return replace(child, reads=tuple(dict.fromkeys(n if n < 0 else new[n] for n in child.reads)))

    residuals = tuple((new[first], new[last]) for first, last in whole.residuals)
    return replace(whole, children=tuple(map(renumbered, kept)), residuals=residuals)


def _repeats(one: Part, other: Part, number: int) -> bool:
    """Whether `other` is one more of what `one`, part `number`, is: the next in a list, fed by it alone."""
    (home, _, index), (other_home, _, other_index) = one.name.rpartition("."), other.name.rpartition(".")
    listed = home == other_home and index.isdigit() and other_index.isdigit()
    return listed and other.reads[:1] == (number,) and _unnamed(one) == _unnamed(other)


def _unnamed(part: Part) -> Part:
    return replace(part, name="", reads=(), children=tuple(map(_unnamed, part.children)))


def _with_classifier(root: Part, config: object) -> Part:
    """The same, with a linear layer at the end that gives the configuration's classes called so."""
    classes = getattr(config, "classes", None)
    if not root.children or root.children[-1].kind != "Linear" or root.output[-1:] != (classes,):
        return root
    last = replace(root.children[-1], label="linear classifier")
    return replace(root, children=(*root.children[:-1], last))
