"""Judges a backward pass in NumPy: finds forward and backward, sets the weights, reads the gradients.

Gradients are what a function or method returns, or attributes, or the change of the weights over the learning
rate. Examples may be rows or columns.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from itertools import permutations
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.backward import LOSSES, MISTAKES, ROLES, Backward, forward, hidden
from glassformer.checking.backward_names import (
    Function,
    flat,
    functions_of,
    is_gradient,
    loss_said,
    meaning,
    role_of,
)
from glassformer.checking.exchange import Built, CodeError, Namespace
from glassformer.checking.feeding import Probe, Way, feed
from glassformer.checking.judging import Outcome
from glassformer.checking.parts import PartJudge, Reading, apart

N, FEATURES, HIDDEN, RATE = 6, 4, 3, 0.37
FORWARD = r"forward\w*|feed_?forward|predict_proba|predict|propagate|__call__|run"
BACKWARD = r"(back\w*|\w*backprop\w*|(compute_|get_|calc\w*_)?grad(ient)?s?|\w+_grad(ient)?s?)"
UPDATE = r"(update\w*|step|apply\w*|gradient_descent|descend|optimi[sz]e)"
TRAIN = r"(train\w*|fit)"
RETURNED, KEPT, CHANGED = "what it returns", "what it keeps", "how the weights change"


class BackwardJudge(PartJudge):
    """A class with methods, or functions of one file."""

    constructor = (
        feed("features", r"(n_|num_|d_)?(features?|inputs?|in|input_(size|dim|nodes|layer)|x|in_features)|d"),
        feed("hidden", r"(n_|num_|d_)?(hidden|h|hidden_(size|dim|units|nodes|neurons)|neurons|units)"),
        feed("output", r"(n_|num_|d_)?(outputs?|out|output_(size|dim|nodes)|y|classes|d_out)"),
        feed("rate", r"lr|learning_?rate|eta|alpha|rate|step_size"),
    )  # fmt: skip
    feeds = ()
    bank = MISTAKES
    differentiable = False

    # ------------------------------------------------------------------ the code's functions

    @cached_property
    def functions(self) -> list[Function]:
        is_class = self.offer.kind == "class"
        if is_class:
            return functions_of(self.code.text, self.offer.name)
        return functions_of(self.code.whole or self.code.text)

    def named(self, pattern: str) -> Function | None:
        fitting = [each for each in self.functions if re.fullmatch(pattern, each.name.lower().strip("_"))]
        own = [each for each in fitting if each.name == self.offer.name]
        return (own or fitting or [None])[0]

    def judge(self) -> Outcome:
        outcome = self.outcome
        found = self._seen()
        if not found:
            self.could_not_run()
            return outcome
        self._forward(found)
        for source in (RETURNED, KEPT, CHANGED):
            ways = [way for way in found if way.made["source"] == source]
            if ways:
                outcome.found["gradients"] = source
                self._compare(ways)
                if outcome.mistakes:
                    break
        return outcome

    def sizes(self) -> dict[str, Any]:
        return {"features": FEATURES, "hidden": HIDDEN, "output": 1, "rate": RATE}

    def _seen(self) -> list[Way]:
        """Every way to set weights, call and read gradients that gives arrays of the right sizes."""
        found: list[Way] = []
        if self.offer.kind != "class":
            for rows in (True, False):
                for y in ("column", "flat"):
                    found += self._by_functions(rows, y)
                    if found:
                        return found
            return found
        for made in self._constructions(self.sizes()):
            built = self.build(made)
            if built is None:
                if self.stopped:
                    return found
                continue
            try:
                arrays = self.session.arrays(built.handle)
            except CodeError as error:
                self.errors.append(error)
                continue
            owned = {name: role_of(name) for name in arrays if not is_gradient(name)}
            names = {role: name for name, role in owned.items() if role}
            if "W1" not in names or "W2" not in names:
                continue
            for rows in (True, False):
                for y in ("column", "flat"):
                    found += self._by_methods(built, made, names, arrays, rows, y)
                    if found:
                        return found
        return found

    # ------------------------------------------------------------------ data

    def _data(self, features: int, width: int) -> dict[str, np.ndarray]:
        draw = np.random.default_rng(self.seed + 8)
        return {
            "X": draw.standard_normal((N, features)),
            "y": np.array([1.0, 0.0, 0.0, 1.0, 1.0, 0.0])[:, None],
            "W1": draw.standard_normal((features, width)),
            "b1": draw.standard_normal(width),
            "W2": draw.standard_normal((width, 1)),
            "b2": draw.standard_normal(1),
        }

    def probes(self, way: Way) -> dict[str, Probe]:
        return {"one batch": way.made["data"]}

    def run(self, way: Way, probe: Probe, **options: Any) -> np.ndarray | None:
        """The gradients that were seen, one after the other."""
        return way.made["vector"]

    def readings(self, way: Way) -> Sequence[Reading]:
        words = self.code.words.lower()
        said = loss_said(words, self.code.whole or self.code.text)
        found = []
        for loss in LOSSES:
            if said.get("squared") not in (None, loss.squared):
                continue
            if said.get("mean") not in (None, loss.mean):
                continue
            found.append(Reading(way, Backward(loss), context=way.made, found={"loss": loss.told}))
        if way.made["source"] != CHANGED and self._adds():
            found += [replace(each, steps=replace(each.steps, sign=-1.0)) for each in found]
        return found

    def _adds(self) -> bool:
        """Whether the code adds its gradients to its weights, so that they point downhill."""
        return bool(re.search(r"\+=\s*(self\.)?(lr|learning_?rate|eta|alpha)\b", self.code.text))

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        data = {name: torch.as_tensor(each) for name, each in probe.items()}
        weights = {role: data[role] for role in reading.context["roles"]}
        found = steps(weights, data["X"], data["y"], RATE)
        return torch.cat([found[role].reshape(-1) for role in reading.context["roles"]])

    def _tell(self, reading: Reading) -> None:
        self.outcome.found.update(reading.found)
        self.outcome.found["examples"] = "rows" if reading.context["rows"] else "columns"

    def _forward(self, found: list[Way]) -> None:
        """The forward pass, where there is one that gives the probabilities."""
        seen = [way for way in found if way.made.get("output") is not None]
        if not seen:
            return
        data = seen[0].made["data"]
        weights = {role: torch.from_numpy(data[role]) for role in seen[0].made["roles"]}
        p = forward(weights, torch.from_numpy(data["X"])).numpy().reshape(-1)
        passed = any(apart(way.made["output"], p) < 1e-9 for way in seen)
        self.outcome.check("output of the forward pass", passed)
        if not passed:
            self.outcome.mistake("unknown")

    # ------------------------------------------------------------------ calling

    def _values(self, data: Mapping[str, np.ndarray], rows: bool, y: str) -> dict[str, Any]:
        """What arguments take, by what they mean, in the form of the code."""
        weights = {role: torch.from_numpy(data[role]) for role in ROLES}
        X = torch.from_numpy(data["X"])
        A1, p = hidden(weights, X).numpy(), forward(weights, X).numpy()
        Z1, Z2 = np.log(A1 / (1 - A1)), np.log(p / (1 - p))
        turn = (lambda a: a) if rows else (lambda a: a.T.copy())
        values: dict[str, Any] = {
            "X": turn(data["X"]), "A1": turn(A1), "A2": turn(p), "Z1": turn(Z1), "Z2": turn(Z2),
        }  # fmt: skip
        values["y"] = turn(data["y"]) if y == "column" else data["y"][:, 0]
        return values | {"rate": RATE, "epochs": 1, "n": N}

    def _arguments(self, function: Function, values: Mapping[str, Any]) -> dict[str, Any] | None:
        """Keywords for a call; None where a needed argument means nothing known."""
        found = {}
        for name in function.arguments:
            what = meaning(name)
            if what in values:
                found[name] = values[what]
            elif name in function.needed:
                return None
        return found

    def _call(self, handle: int, function: Function, values: Mapping[str, Any], method: bool) -> Any:
        """What a call gives; raises CodeError."""
        keywords = self._arguments(function, values)
        if keywords is None:
            raise CodeError("TypeError", f"{function.name}: what do its arguments take?")
        return self.session.call(
            handle, [], keywords, method=function.name if method else None, as_numpy=True
        ).output

    def _by_functions(self, rows: bool, y: str) -> list[Way]:
        data = self._data(FEATURES, HIDDEN)
        backward = self.named(BACKWARD) or next(
            (each for each in self.functions if each.name == self.offer.name), None
        )
        if backward is None:
            return []
        first = self.named(FORWARD)
        values = self._values(data, rows, y)
        turn = (lambda a: a) if rows else (lambda a: a.T.copy())
        found: list[Way] = []
        for flat_biases in (True, False) if rows else (False,):
            shaped = {role: turn(data[role]) for role in ("W1", "W2")} | {
                role: data[role] if flat_biases else turn(data[role][None]) for role in ("b1", "b2")
            }
            shaped = {role: shaped[role] for role in ROLES}
            for weights in (shaped, list(shaped.values()), Namespace(shaped)):
                given = {**values, **shaped, "weights": weights}
                try:
                    output = None
                    if first is not None and first.name != backward.name:
                        handle = self.session.build(first.name, (), {}, self.seed).handle
                        answer = self._call(handle, first, given, False)
                        output = _probabilities(answer)
                        given["cache"] = _cache(answer)
                    handle = self.session.build(backward.name, (), {}, self.seed).handle
                    answer = self._call(handle, backward, given, False)
                except CodeError as error:
                    self.errors.append(error)
                    continue
                built = Built(handle, {}, {}, {}, {})
                found += self._assigned(built, flat(answer), data, rows, RETURNED, output)
                if found:
                    return found
        return found

    def _by_methods(
        self,
        built: Built,
        made: Mapping[str, Any],
        names: Mapping[str, str],
        arrays: Mapping[str, np.ndarray],
        rows: bool,
        y: str,
    ) -> list[Way]:
        sides = arrays[names["W1"]].shape
        if len(sides) != 2:
            return []
        features = FEATURES
        width = int(np.prod(sides)) // features
        data = self._data(features, width)
        orient = _orientations(sides, (features, width), rows)
        before = {}
        for role, name in names.items():
            wanted = data[role].T if role[0] == "W" and orient else data[role]
            if wanted.size != arrays[name].size:
                return []
            before[name] = wanted.reshape(arrays[name].shape)
        values = self._values(
            {**data, **{role: 0 * data[role] for role in ROLES if role not in names}}, rows, y
        )
        given = {**values, **{role: before[name] for role, name in names.items()}}
        given["weights"] = {role: before[name] for role, name in names.items()}
        backward, first, train = self.named(BACKWARD), self.named(FORWARD), self.named(TRAIN)
        try:
            self.session.assign(built.handle, before)
            output, answer = None, None
            if first is not None:
                answer = self._call(built.handle, first, given, True)
                output = _probabilities(answer)
                given["cache"] = _cache(answer)
            step = backward or train
            if step is None:
                return []
            answer = self._call(built.handle, step, given, True)
            after = self.session.arrays(built.handle)
            update = self.named(UPDATE)
            if update is not None and step is not update and _same(before, after):
                given["gradients"] = answer
                try:
                    self._call(built.handle, update, given, True)
                    after = self.session.arrays(built.handle)
                except CodeError as error:
                    self.errors.append(error)
        except CodeError as error:
            self.errors.append(error)
            return []
        roles = [role for role in ROLES if role in names]
        more = {"roles": roles, "turned": orient}
        found = self._assigned(built, flat(answer), data, rows, RETURNED, output, more) if backward else []
        kept = {name: each for name, each in after.items() if is_gradient(name) and role_of(name) in roles}
        if len(kept) >= len(roles):
            found += self._assigned(built, list(kept.items()), data, rows, KEPT, output, more)
        rate = self._rate(step, made, built)
        if rate and not _same(before, after):
            change = [(role, (before[names[role]] - after[names[role]]) / rate) for role in roles]
            found += self._assigned(built, change, data, rows, CHANGED, output, more)
        return found

    def _rate(self, step: Function, made: Mapping[str, Any], built: Built) -> float | None:
        """The learning rate that was given, or that the object keeps."""
        update = self.named(UPDATE)
        arguments = (*step.arguments, *(update.arguments if update else ()))
        if any(meaning(each) == "rate" for each in arguments) or RATE in made.values():
            return RATE
        kept = built.settings.get("", {})
        return next((each for name, each in kept.items() if meaning(name) == "rate" and each), None)

    def _assigned(
        self,
        built: Built,
        seen: Sequence[tuple[str, np.ndarray]],
        data: Mapping[str, np.ndarray],
        rows: bool,
        source: str,
        output: np.ndarray | None,
        more: Mapping[str, Any] | None = None,
    ) -> list[Way]:
        """Ways to take the arrays that were seen for the gradients: by their names, or by their sizes."""
        more = {"roles": list(ROLES), "turned": not rows, **(more or {})}
        roles = more["roles"]
        by_name = {role_of(name): each for name, each in seen if name}
        choices: list[dict[str, np.ndarray]] = []
        if set(roles) <= set(by_name):
            choices.append({role: by_name[role] for role in roles})
        else:
            arrays = [each for _, each in seen]
            for order in permutations(range(len(arrays)), len(roles)) if len(arrays) <= 6 else ():
                chosen = dict(zip(roles, (arrays[place] for place in order), strict=True))
                if all(_fits(role, each, data) for role, each in chosen.items()):
                    choices.append(chosen)
        found = []
        for chosen in choices:
            vector = np.concatenate(
                [_canonical(role, each, data, more["turned"]) for role, each in chosen.items()]
            )
            made = {**more, "source": source, "vector": vector, "data": data, "rows": rows, "output": output}
            found.append(Way(built, {}, {}, made))
        return found


def _orientations(sides: tuple[int, ...], wanted: tuple[int, int], rows: bool) -> bool:
    """Whether the code keeps its matrices as (out, in); where they are square, as its examples lie."""
    return sides != wanted if sides != sides[::-1] else not rows


def _fits(role: str, array: np.ndarray, data: Mapping[str, np.ndarray]) -> bool:
    size = data[role].size
    if role[0] == "W":
        return array.size == size and array.ndim == 2
    return array.size in (size, N * size, N) and (array.ndim < 2 or 1 in array.shape or N in array.shape)


def _canonical(role: str, array: np.ndarray, data: Mapping[str, np.ndarray], turned: bool) -> np.ndarray:
    """A gradient in the reference's order: matrices (in, out), examples as rows."""
    if role[0] == "W":
        return (array.T if turned and array.ndim == 2 else array).reshape(-1)
    unsummed = array.ndim == 2 and array.size == N * data[role].size and array.shape[0] != N
    return (array.T if unsummed else array).reshape(-1)


def _same(before: Mapping[str, np.ndarray], after: Mapping[str, np.ndarray]) -> bool:
    return all(name in after and np.array_equal(each, after[name]) for name, each in before.items())


def _probabilities(answer: Any) -> np.ndarray | None:
    """The output of a forward pass: the array with one number an example, the last of several."""
    found = [each.reshape(-1) for _, each in flat(answer) if each.size == N]
    inside = [each for each in found if ((each > 0) & (each < 1)).all()]
    return (inside or [None])[-1]


def _cache(answer: Any) -> Any:
    """What a forward pass hands to the backward pass: its last part that is not a mere array."""
    if isinstance(answer, list):
        inner = [each for each in answer if isinstance(each, (dict, list))]
        return inner[-1] if inner else answer
    return answer
