"""Judges encodings of positions, fixed and learned: a table, or something that adds one to its input."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from glassformer.checking.feeding import Feed, Probe, Way, batch_first_said, feed, sized
from glassformer.checking.judging import SINGLE, distance
from glassformer.checking.names import FORWARD
from glassformer.checking.parts import PartJudge, Reading
from glassformer.checking.positions import CONVENTIONS, LEARNED, SINUSOID, Learned, Sinusoid

BATCH, LENGTH, D_MODEL, ROWS, ODD, FAR = 4, 11, 24, 32, 7, 2048
AT_FAR_POSITIONS = 2e-3
"""A right table in single precision is off by 4e-4 at position 4999."""


def _taken(what: str, pattern: str) -> Feed:
    return replace(feed(what, pattern), group="input")


class _Positions(PartJudge):
    constructor = (
        sized("d_model", "d_hid|depth|dimension"),
        sized("max_len", "n_position"),
        sized("dropout"),
    )
    feeds = (
        _taken("x", "|".join((*FORWARD["x"], "token_embeddings", "embedding", "word_embeddings"))),
        _taken("ids", "ids|input_ids|token_ids"),
        _taken("positions", "pos|positions|position|position_ids|t"),
        sized("max_len", "n_position|num_position|seqlen|max_pos"),
        sized("d_model", "d_hid|depth|dimension|width"),
    )
    single = True

    def sizes(self) -> dict[str, Any]:
        return {"d_model": D_MODEL, "max_len": ROWS, "dropout": 0.3}

    def probes(self, way: Way) -> dict[str, Probe]:
        return {"eleven positions": self._probe(LENGTH, D_MODEL), "one position": self._probe(1, D_MODEL)}

    def _probe(self, length: int, d_model: int, batch: int = BATCH) -> Probe:
        draw = np.random.default_rng(self.seed + length)
        return {
            "x": draw.standard_normal((batch, length, d_model)),
            "ids": draw.integers(0, ROWS, (batch, length)),
            "positions": np.arange(length),
            "max_len": length,
            "d_model": d_model,
        }

    def fits(self, output: np.ndarray, probe: Probe) -> bool:
        return output.ndim in (2, 3) and output.shape[-1] == probe["d_model"] and output.dtype.kind == "f"

    def _layouts(self, way: Way) -> Iterator[dict[str, Any]]:
        """Added or not, and which axis counts the positions."""
        if not way.takes_a("x"):
            yield {"view": _table, "context": {"table": True}}
            return
        said = batch_first_said(self.code.words, self.code.batch_first)
        for scaled in (False, True):
            for batch_first in (True, False) if said is not False else (False, True):
                wrong = () if batch_first or said is False else ("positions-length-first",)
                yield {
                    "context": {"table": False, "batch_first": batch_first, "scaled": scaled},
                    "found": {"batch_first": batch_first},
                    "mistakes": wrong if said else (),
                    "remarks": (*(() if said else wrong), *(("input-scaled",) if scaled else ())),
                }
        yield {"view": _table, "context": {"table": True}}

    def put(self, table: Tensor, reading: Reading, probe: Probe) -> Tensor:
        """The table alone, or added to x."""
        if reading.context["table"]:
            return table
        x = torch.as_tensor(probe["x"])
        x = x * x.shape[-1] ** 0.5 if reading.context["scaled"] else x
        return x + (table if reading.context["batch_first"] else table[:, None])

    def length(self, reading: Reading, probe: Probe) -> int:
        if reading.context["table"]:
            return probe["max_len"]
        return probe["x"].shape[1 if reading.context["batch_first"] else 0]


def _table(output: np.ndarray, probe: Probe) -> np.ndarray | None:
    """(length, d) of what may have an axis for a batch, of one or of equal rows."""
    if output.ndim == 2:
        return output
    if output.shape[1] == 1 != probe["max_len"]:
        return output[:, 0]
    return output[0] if (output == output[:1]).all() else None


class SinusoidalJudge(_Positions):
    """Fixed sines and cosines."""

    bank = SINUSOID
    conventions = CONVENTIONS

    def readings(self, way: Way) -> Sequence[Reading]:
        return [Reading(way, Sinusoid(), **each) for each in self._layouts(way)]

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        table = steps.table(self.length(reading, probe), probe["d_model"])
        return self.put(table, reading, probe)

    def after(self, reading: Reading, right: bool) -> None:
        self._odd_width(reading)
        if right:
            self._far(reading)

    def _odd_width(self, reading: Reading) -> None:
        """The formula is one for even widths; of an odd one, a sine more than cosines, there is a remark."""
        before = len(self.errors)
        sizes = {**self.sizes(), "d_model": ODD, "dropout": 0.0}
        probe = self._probe(LENGTH, ODD)
        ways = self.ways(sizes, {"odd": probe})
        told = ""
        if not ways:
            refused = any(each.line and self._refuses(each.line) for each in self.errors[before:])
            told = "it refuses them" if refused else "it fails: right for even ones only"
        elif reading.steps == Sinusoid():
            here = replace(reading, way=ways[0])
            output = self.run(ways[0], probe)
            seen = None if output is None else here.view(output, probe)
            if not distance(seen, self._wanted(here, probe, here.steps, {})) < SINGLE:
                told = "other numbers: right for even ones only"
        if told.endswith("only"):
            self.outcome.remark("positions-odd-width")
        self.outcome.check("an odd d_model (information)", True, told)

    def _refuses(self, line: int) -> bool:
        """Whether the code says so itself, by raise or assert, on this line of the file."""
        lines = self.code.whole.splitlines()
        return line <= len(lines) and lines[line - 1].strip().startswith(("raise", "assert"))

    def _far(self, reading: Reading) -> None:
        sizes = {**self.sizes(), "d_model": 6, "max_len": FAR, "dropout": 0.0}
        first = reading.context.get("batch_first", True)
        probe = self._probe(FAR, 6, 1)
        if not first:
            probe = {**probe, "x": probe["x"].swapaxes(0, 1)}
        for way in self.ways(sizes, {"far": probe})[:1]:
            here = replace(reading, way=way)
            output = self.run(way, probe)
            seen = None if output is None else here.view(output, probe)
            wanted = self._wanted(here, probe, here.steps, {})
            if seen is None or wanted is None or seen.shape != wanted.shape:
                return
            off = float(np.abs(seen - wanted).max())
            self.outcome.check("positions up to 2047", off < AT_FAR_POSITIONS, f"off by {off:.1g} at most")
            if not off < AT_FAR_POSITIONS:
                self.outcome.mistake("unknown")


class LearnedJudge(_Positions):
    """A table of parameters, a row for each position."""

    bank = LEARNED

    def readings(self, way: Way) -> Sequence[Reading]:
        found = []
        for name, shape in way.built.parameters.items():
            wide = tuple(side for side in shape if side != 1)
            if sorted(wide) == [D_MODEL, ROWS]:
                for each in self._layouts(way):
                    context = {**each.pop("context"), "name": name, "turned": wide[0] == D_MODEL}
                    tell = {**each.pop("found", {}), "parameters": {"positions": name}}
                    found.append(Reading(way, Learned(), context=context, found=tell, **each))
        return found

    def expected(self, reading: Reading, probe: Probe, steps: Any, values: Mapping[str, Tensor]) -> Tensor:
        rows = values[reading.context["name"]].squeeze()
        rows = rows.T if reading.context["turned"] else rows
        return self.put(steps.table(rows, self.length(reading, probe)), reading, probe)
