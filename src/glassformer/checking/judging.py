"""What every judge works with: the session that runs the code, how near is right, and what was found."""

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from glassformer.checking.exchange import Built, CodeError, Offer
from glassformer.checking.isolation import IsolatedRunner
from glassformer.checking.names import size_role
from glassformer.checking.runner import Runner
from glassformer.checking.source import Code

Session = Runner | IsolatedRunner
Run = Callable[..., np.ndarray | None]
"""Calls the code with options of `Runner.call`; None where it raised."""
EXACT = 1e-9
ALMOST = 1e-6
"""For a known mistake in code that computes a step in single precision."""
SINGLE = 2e-5
"""What is taken for right where the code itself computes in single precision."""
LARGEST_EPS = 1e-2
"""Of a norm: a larger one would leave nothing of what is normed, and is believed nowhere."""
NOISE, LEAST_NOISE = 16, 1e-4
"""In a number format of fewer bits: times what the reference is off there, and this at least."""
STOPPED = ("TimeLimit", "Killed", "MemoryLimit", "Exit", "Protocol")
"""Errors after which no other attempt is worth making."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at."""

    name: str
    passed: bool
    detail: str = ""


@dataclass(frozen=True)
class Place:
    """Where an unknown mistake begins.

    right: the last quantity that is as it should be, line: where, 0 if unknown. differs: the next.
    """

    right: str
    line: int
    differs: str


@dataclass
class Outcome:
    """What a judge found, before it is put into words: slugs, and what they may also be."""

    mistakes: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    remarks: list[tuple[str, tuple[str, ...]]] = field(default_factory=list)
    checks: list[Check] = field(default_factory=list)
    found: dict[str, Any] = field(default_factory=dict)
    error: CodeError | None = None
    built: bool = False
    """Whether an instance could be made."""
    lines: dict[str, int] = field(default_factory=dict)
    """Slug -> the line where it is, for those of which the code itself has told."""
    located: Place | None = None

    @property
    def unexplained(self) -> bool:
        """Whether something is wrong, and nothing of it has a name."""
        return bool(self.mistakes) and all(slug.startswith("unknown") for slug, _ in self.mistakes)

    def mistake(self, slug: str, family: Iterable[str] = ()) -> None:
        if slug not in [each for each, _ in self.mistakes]:
            self.mistakes.append((slug, tuple(dict.fromkeys((slug, *family)))))

    def remark(self, slug: str, family: Iterable[str] = ()) -> None:
        if slug not in [each for each, _ in self.remarks]:
            self.remarks.append((slug, tuple(dict.fromkeys((slug, *family)))))

    def forget(self, slug: str) -> None:
        """Takes back what turned out to be something else."""
        self.mistakes = [each for each in self.mistakes if each[0] != slug]
        self.remarks = [each for each in self.remarks if each[0] != slug]

    def widen(self, slug: str, family: Iterable[str]) -> None:
        """This mistake may be these too."""
        self.mistakes = [
            (each, tuple(dict.fromkeys((*own, *family))) if each == slug else own)
            for each, own in self.mistakes
        ]

    def check(self, name: str, passed: bool, detail: str = "") -> None:
        self.checks.append(Check(name, passed, detail))


def distance(a: np.ndarray | None, b: np.ndarray | None) -> float:
    """Relative L2 distance; infinite where shapes, or the places of NaN and infinity, differ."""
    if a is None or b is None or a.shape != b.shape:
        return math.inf
    holes = ~np.isfinite(a)
    if holes.any() and not np.array_equal(a[holes], b[holes], equal_nan=True):
        return math.inf
    a, b = a[~holes], b[~holes]
    if a.size == 0:
        return 0.0
    with np.errstate(all="ignore"):
        size = float(np.linalg.norm(b))
        found = float(np.linalg.norm(a - b)) / (size if size > 0 else 1.0)
    return found if math.isfinite(found) else (0.0 if np.array_equal(a, b) else math.inf)


class Judge:
    """Judges one offer of the code in a session. A judge fills its `outcome` and never raises CodeError."""

    def __init__(self, session: Session, offer: Offer, code: Code, seed: int = 0) -> None:
        self.session, self.offer, self.code, self.seed = session, offer, code, seed
        self.outcome = Outcome()
        self.random = np.random.default_rng(seed)
        self.errors: list[CodeError] = []
        self.construction: dict[str, Any] = {}
        self.came_back = ""
        """What came back from a call instead of a tensor that fits."""
        self.fixed: dict[str, Any] = {}
        """Role -> what the constructor is given for it, in place of what the judge would take."""
        self.compiles = False
        """Whether to see what torch.compile makes of it, which takes seconds."""
        self.patience = 1.0
        """Times the seconds that a judge searches for the name of a mistake."""

    def judge(self) -> Outcome:
        raise NotImplementedError

    def build(self, keywords: dict[str, Any]) -> Built | None:
        """An instance, or the function itself; None where the constructor raised."""
        try:
            built = self.session.build(self.offer.name, (), keywords, self.seed)
            self.outcome.built = True
            return built
        except CodeError as error:
            self.errors.append(error)
            return None

    @property
    def is_built(self) -> bool:
        """Whether it has to be constructed before it can be called."""
        return self.offer.kind == "class" or self.offer.name.startswith("build")

    @property
    def takes_heads(self) -> bool:
        """Whether the number of heads is the caller's choice."""
        return any(size_role(name) == "heads" for name in self.construction)

    @property
    def dropouts(self) -> list[str]:
        """The arguments by which dropout was asked for."""
        return [name for name in self.construction if size_role(name) == "dropout"]

    def agrees(self, run: Run) -> bool:
        """Whether two calls in eval mode give the same."""
        one, two = (run(seed=seed) for seed in (1, 2))
        return distance(one, two) == 0

    def steady(self, run: Run, drops: bool = True) -> bool:
        """Two calls in eval mode agree; in train mode, with dropout asked for, they do not.

        drops: whether it has to drop anything at all.
        """
        steady = self.agrees(run)
        self.outcome.check("two calls in eval mode agree", steady)
        if not steady:
            self.outcome.mistake("dropout-in-eval")
        elif drops and self.dropouts:
            one, two = (run(train=True, seed=seed) for seed in (1, 2))
            acts = distance(one, two) > 0 or (one is not None and bool(np.isnan(one).all()))
            name = self.dropouts[0]
            self.outcome.check("dropout acts in train mode", acts, f"{name}={self.construction[name]}")
            if not acts:
                self.outcome.mistake("no-dropout-in-train")
        return steady

    def precision(self, run: Run, reference: Callable[[torch.dtype], np.ndarray | None]) -> None:
        """In every number format it is as near as the checker's own reference is in it, or nearly so.

        What does not run in half precision, or overflows there, is told and not judged; nor is what autocast
        and, if asked for, torch.compile make of it.
        """
        wanted = reference(torch.float64)
        for dtype in (torch.float32, torch.bfloat16, torch.float16):
            name = str(dtype).removeprefix("torch.")
            off = distance(run(dtype=name), wanted)
            if dtype != torch.float32 and not math.isfinite(off):
                self.outcome.check(f"{name} (information)", True, "does not run, or gives infinity or NaN")
                continue
            bar = max(NOISE * distance(reference(dtype), wanted), LEAST_NOISE)
            detail = f"off by {off:.1g} of its size" if math.isfinite(off) else "did not run"
            self.outcome.check(name, off < bar, f"{detail}; rounding alone may do {bar:.1g}")
            if off >= bar and math.isfinite(off):
                self.outcome.mistake("unknown")
        self._told_of("autocast", run(dtype="float32", how="autocast"), wanted)
        if self.compiles:
            self._told_of("torch.compile", run(how="compiled"), wanted)

    def _told_of(self, name: str, output: np.ndarray | None, wanted: np.ndarray | None) -> None:
        off = distance(output, wanted)
        detail = f"off by {off:.1g} of its size" if math.isfinite(off) else "does not run"
        if output is None and self.errors:
            detail = f"{detail}: {str(self.errors[-1]).splitlines()[0]:.100}"
        self.outcome.check(f"{name} (information)", True, detail)

    @property
    def stopped(self) -> bool:
        """Whether the process of the code is gone, so that no other attempt is worth making."""
        return bool(self.errors) and self.errors[-1].kind in STOPPED

    def could_not_run(self) -> None:
        """Says why nothing could be built or called."""
        ours = [each for each in self.errors if each.kind != "TypeError"] or self.errors
        stopped = [each for each in self.errors if each.kind in STOPPED]
        returned = [CodeError("Returned", self.came_back)] if self.came_back else []
        chosen = (stopped or returned or ours or [CodeError("Returned", "nothing came back")])[0]
        self.outcome.error = chosen


def described(output: Any) -> str:
    """What a call gave, where it is no tensor of floats."""
    if output is None:
        return "None: is a return missing?"
    if isinstance(output, np.ndarray):
        return f"a tensor of {output.dtype} and shape {tuple(output.shape)}"
    if isinstance(output, str) and output.startswith("<"):
        return f"an object of type {output.strip('<>')}"
    shown = repr(output)
    return f"{shown[:60]}{'...' if len(shown) > 60 else ''}, which is no tensor"
