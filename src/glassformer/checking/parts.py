"""What the judges of small parts share: ways to call, readings of what comes back, a bank of mistakes.

A part is right where one reading of it agrees with the reference on every probe. Where none does, each known
mistake is put into the reference, then each pair, and whatever gives the very output is named.
"""

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import combinations
from typing import Any, ClassVar

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.constructions import CONFIGURATIONS
from glassformer.checking.exchange import Argument, Built, CodeError, Namespace, Offer, cotangent
from glassformer.checking.feeding import Feed, Probe, Way, feedings
from glassformer.checking.judging import EXACT, SINGLE, Judge, Outcome, distance
from glassformer.checking.names import SIZES, size_role
from glassformer.checking.projections import random_values

SECONDS = 4.0
"""For mistakes, and again for pairs of them."""


@dataclass(frozen=True)
class Mistake:
    """A mistake as the fields of the steps that it does otherwise."""

    slug: str
    changes: Mapping[str, Any]

    def on(self, steps: Any) -> Any:
        return replace(steps, **self.changes)


def mistake(slug: str, **changes: Any) -> Mistake:
    return Mistake(slug, changes)


def with_mistakes(steps: Any, bank: Sequence[Mistake], *slugs: str) -> Any:
    """These steps with mistakes of a bank, each in the first way that it can be made."""
    for slug in slugs:
        steps = next(each for each in bank if each.slug == slug).on(steps)
    return steps


def _as_it_is(output: np.ndarray, probe: Probe) -> np.ndarray | None:
    return output


@dataclass(frozen=True, eq=False)
class Reading:
    """One way to understand the code. steps: the right ones. view: an output in the form of the reference.

    context: what else the reference needs. mistakes, remarks: what is to be said where this reading fits.
    """

    way: Way
    steps: Any
    view: Callable[[np.ndarray, Probe], np.ndarray | None] = _as_it_is
    context: Mapping[str, Any] = field(default_factory=dict)
    mistakes: tuple[str, ...] = ()
    remarks: tuple[str, ...] = ()
    found: Mapping[str, Any] = field(default_factory=dict)


class PartJudge(Judge):
    """A judge of a small part. The class below says what goes in, and gives readings and the reference."""

    constructor: ClassVar[tuple[Feed, ...]] = ()
    feeds: ClassVar[tuple[Feed, ...]] = ()
    bank: Sequence[Mistake] = ()
    conventions: ClassVar[frozenset[str]] = frozenset()
    at_once: ClassVar[int] = 2
    single: ClassVar[bool] = False
    """Whether mistakes are looked for within single precision too."""
    across: ClassVar[bool] = False
    """Whether what fits under another reading is of the family too, not only the first reading that fits."""
    ways_wanted: ClassVar[int] = 6
    differentiable: ClassVar[bool] = True

    # ------------------------------------------------------------------ for each contract

    def sizes(self) -> dict[str, Any]:
        """For the constructor."""
        return {}

    def probes(self, way: Way) -> dict[str, Probe]:
        """The first one is what ways are tried with."""
        raise NotImplementedError

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return True

    def readings(self, way: Way) -> Sequence[Reading]:
        raise NotImplementedError

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        """What the reference gives; any RuntimeError, IndexError or ValueError means that it does not fit."""
        raise NotImplementedError

    def after(self, reading: Reading, right: bool) -> None:
        """What else there is to look at. right: whether it agreed, if need be under another convention."""

    def unknown(self, readings: Sequence[Reading]) -> None:
        """What to say where nothing fits."""
        self.outcome.mistake("unknown")

    # ------------------------------------------------------------------ building and calling

    def judge(self) -> Outcome:
        ways = self.ways(self.sizes())
        if not ways:
            self.could_not_run()
            return self.outcome
        ways = self._steady(ways)
        self._compare(ways)
        return self.outcome

    def ways(self, sizes: Mapping[str, Any], probes: Mapping[str, Probe] | None = None) -> list[Way]:
        """Every way that runs and gives an output of a fitting shape."""
        found: list[Way] = []
        for made in self._constructions(sizes):
            built = self.build(made)
            if built is None:
                if self.stopped:
                    break
                continue
            values = self.draw(built)
            for by_name in (True, False):
                for takes in feedings(built.forward, self.feeds, by_name=by_name):
                    places = tuple(each.name for each in built.forward if each.kind == "positional")
                    way = Way(built, values, takes, made, places)
                    probe = next(iter((probes or self.probes(way)).values()))
                    output = self.run(way, probe)
                    if output is not None and self.fits(output, probe):
                        found.append(way)
                    if self.stopped or len(found) == self.ways_wanted:
                        return found
                if found:
                    return found
        return found

    def _constructions(self, sizes: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
        if self.offer.kind != "class":
            yield {}
            return
        known = [each for each in self.constructor if each.what in sizes]
        config = {name: value for role, value in sizes.items() for name in SIZES.get(role, (role,))}
        for by_name in (True, False):
            for takes in feedings(_constructible(self.offer), known, by_name=by_name):
                made = {name: each.give(sizes) for name, each in takes.items()}
                for each in self.offer.arguments:
                    if each.required and each.name.lower() in CONFIGURATIONS:
                        made[each.name] = Namespace(config)
                yield made

    def draw(self, built: Built) -> dict[str, np.ndarray]:
        return random_values(built, self.seed + 1)

    def run(self, way: Way, probe: Probe, **options: Any) -> np.ndarray | None:
        """The first array of what a call gives; None where the code raised."""
        arguments, keywords = way.given(probe)
        try:
            result = self.session.call(
                way.built.handle, arguments, keywords, parameters=dict(way.values), **options
            )
        except CodeError as error:
            self.errors.append(error)
            return None
        return received(result.output)

    def _steady(self, ways: list[Way]) -> list[Way]:
        """Two calls in eval mode agree; in train mode, with dropout asked for, they do not."""
        way = ways[0]
        probe = next(iter(self.probes(way).values()))
        one, two = (self.run(way, probe, seed=seed) for seed in (1, 2))
        steady = apart(one, two) == 0
        self.outcome.check("two calls agree", steady, "in eval mode" if self.offer.is_module else "")
        asked = [name for name in way.made if size_role(name) == "dropout"]
        if not steady:
            self.outcome.mistake("dropout-in-eval" if asked else "unknown")
            if asked:
                quiet = {**self.sizes(), "dropout": 0.0}
                return self.ways(quiet) or ways
        elif asked and self.offer.is_module:
            one, two = (self.run(way, probe, train=True, seed=seed) for seed in (1, 2))
            drops = apart(one, two) > 0
            self.outcome.check("dropout acts in train mode", drops, f"{asked[0]}={way.made[asked[0]]}")
            if not drops:
                self.outcome.mistake("no-dropout-in-train")
        return ways

    # ------------------------------------------------------------------ comparing

    def _compare(self, ways: list[Way]) -> None:
        probes = {way: self.probes(way) for way in ways}
        outputs = {(way, name): self.run(way, each) for way in ways for name, each in probes[way].items()}
        readings = sorted(
            (each for way in ways for each in self.readings(way)),
            key=lambda each: (len(each.mistakes), len(each.remarks)),
        )
        tensors = {way: {name: torch.from_numpy(each) for name, each in way.values.items()} for way in ways}

        def off(reading: Reading, steps: Any, limit: float) -> float:
            """How far these steps are from the code on the worst probe; inf above the limit."""
            worst = 0.0
            for name, probe in probes[reading.way].items():
                output = outputs[reading.way, name]
                seen = None if output is None else reading.view(output, probe)
                worst = max(worst, apart(seen, self._wanted(reading, probe, steps, tensors[reading.way])))
                if not worst <= limit:
                    return math.inf
            return worst

        near = [(off(each, each.steps, SINGLE), number) for number, each in enumerate(readings)]
        for bar in (EXACT, SINGLE):
            right = next((readings[number] for far, number in near if far <= bar), None)
            if right is not None:
                self._accept(right, probes[right.way], bar)
                return
        for bar in (EXACT, SINGLE) if self.single else (EXACT,):
            if self._diagnose(readings, off, bar):
                return
        self.outcome.check(
            "output", False, "however it is understood, it differs, and not in the way of a known mistake"
        )
        self.unknown(readings)

    def _wanted(
        self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]
    ) -> np.ndarray | None:
        try:
            with torch.no_grad():
                return self.expected(reading, probe, steps, values).numpy()
        except (RuntimeError, IndexError, ValueError):
            return None

    def _accept(self, reading: Reading, probes: Mapping[str, Probe], bar: float) -> None:
        for name in probes:
            self.outcome.check(f"output, {name}", True)
        if bar == SINGLE:
            self.outcome.remark("single-precision-inside")
        self._tell(reading)
        if self.differentiable:
            self._gradients(reading, next(iter(probes.values())), bar)
        self.after(reading, True)

    def _diagnose(
        self, readings: Sequence[Reading], off: Callable[[Reading, Any, float], float], bar: float
    ) -> bool:
        """Names the mistake, or the mistakes, that give the very output; tells whether there were any."""
        for count in range(1, self.at_once + 1):
            stop = time.thread_time() + SECONDS
            matches: list[tuple[str, ...]] = []
            first = None
            for reading in readings:
                for together in combinations(self.bank, count):
                    steps = _with(reading.steps, together)
                    if steps is not None and off(reading, steps, bar) <= bar:
                        matches.append(tuple(each.slug for each in together))
                        first = first or replace(reading, steps=steps)
                    if time.thread_time() > stop:
                        break
                if first and not self.across:
                    break
            if first:
                self._name(matches, first)
                return True
        return False

    def _name(self, matches: list[tuple[str, ...]], reading: Reading) -> None:
        self._tell(reading)
        shared = [slug for slug in matches[0] if all(slug in each for each in matches)]
        others = list(dict.fromkeys(slug for each in matches for slug in each if slug not in shared))
        first = [slug for slug in matches[0] if slug not in shared]
        families = {slug: (slug,) for slug in shared} | {slug: (slug, *others) for slug in first}
        for slug, family in families.items():
            if slug in self.conventions:
                self.outcome.remark(slug, family)
            else:
                self.outcome.mistake(slug, family)
        only = all(slug in self.conventions for slug in families)
        detail = "right under another convention" if only else "it is that of a known mistake"
        self.outcome.check("output", only, detail)
        self.after(reading, only)

    def _tell(self, reading: Reading) -> None:
        self.outcome.found["arguments"] = {name: each.what for name, each in reading.way.takes.items()}
        self.outcome.found.update(reading.found)
        for slug in reading.mistakes:
            self.outcome.mistake(slug)
            self.outcome.check("as it was asked for", False, "by the contract, or the words beside the code")
        for slug in reading.remarks:
            self.outcome.remark(slug)

    def _gradients(self, reading: Reading, probe: Probe, bar: float) -> None:
        """The gradients of the arguments and of the parameters against those of the reference."""
        way = reading.way
        arguments, keywords = way.given(probe)
        leaves: dict[str, Tensor] = {}

        def leaf(name: str, value: Any) -> Any:
            if isinstance(value, np.ndarray) and value.dtype.kind == "f":
                leaves[name] = torch.from_numpy(value.copy()).requires_grad_()
                return leaves[name]
            return value

        own = {name: leaf(name, value) for name, value in probe.items()}
        values = {name: torch.from_numpy(each.copy()).requires_grad_() for name, each in way.values.items()}
        if not leaves and not values:
            return
        try:
            wanted = self.expected(reading, own, reading.steps, values)
            if not wanted.requires_grad:
                return
            result = self.session.call(
                way.built.handle, arguments, keywords, parameters=dict(way.values), gradient=True
            )
        except CodeError as error:
            self.errors.append(error)
            self.outcome.check("gradients", False, str(error))
            self.outcome.mistake("gradient-stopped")
            return
        seen = received(result.output)
        aim = None if seen is None else reading.view(cotangent(seen.shape), probe)
        if aim is None:
            return
        (wanted * torch.from_numpy(np.ascontiguousarray(aim))).sum().backward()
        pairs = [(name, each, result.gradients.get(name)) for name, each in values.items()]
        for place, name in enumerate(way.positional):
            pairs += self._leaf(leaves, way, name, result.gradients.get(f"argument {place}"))
        for name in way.takes:
            if name not in way.positional:
                pairs += self._leaf(leaves, way, name, result.gradients.get(f"argument {name}"))
        worst, where = 0.0, ""
        for name, tensor, got in pairs:
            gradient = np.zeros(tensor.shape) if tensor.grad is None else tensor.grad.numpy()
            if got is None and not np.abs(gradient).max(initial=0.0) > 0:
                continue
            far = apart(got, gradient)
            if far > worst:
                worst, where = far, name
        passed = worst < (1e-7 if bar == EXACT else 1e-3)
        self.outcome.check(
            "gradients of inputs and parameters", passed, "" if passed else f"of {where}: off by {worst:.2g}"
        )
        if not passed:
            self.outcome.mistake("gradient-stopped")

    def _leaf(
        self, leaves: Mapping[str, Tensor], way: Way, name: str, got: np.ndarray | None
    ) -> list[tuple[str, Tensor, np.ndarray | None]]:
        what = way.takes[name].what
        if what not in leaves:
            return []
        if got is not None and got.shape != leaves[what].shape:
            got = self.returned(way, name, got)
        return [(name, leaves[what], got)]

    def returned(self, way: Way, name: str, gradient: np.ndarray) -> np.ndarray:
        """A gradient in the form of the probe, where the argument was given in another one."""
        return gradient


def apart(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """The distance of arrays of any kind, booleans too."""
    return distance(*(None if each is None else each.astype(float) for each in (a, b)))


def received(output: Any) -> np.ndarray | None:
    """The array that counts in what a call gave: the first one; a number counts as one."""
    if isinstance(output, np.ndarray):
        return output
    if isinstance(output, float):
        return np.array(output)
    if isinstance(output, dict):
        output = list(output.values())
    if isinstance(output, list):
        for each in output:
            found = received(each)
            if found is not None:
                return found
    return None


def _constructible(offer: Offer) -> list[Argument]:
    return [each for each in offer.arguments if each.name.lower() not in CONFIGURATIONS]


def _with(steps: Any, together: Sequence[Mistake]) -> Any | None:
    """These steps with these mistakes; None where two of them touch the same step."""
    touched = [name for each in together for name in each.changes]
    if len(set(touched)) < len(touched) or len({each.slug for each in together}) < len(together):
        return None
    for each in together:
        steps = each.on(steps)
    return steps
