"""Checks a piece of code under a contract: `check_file` in a process of its own, `check` in this one."""

import inspect
import random
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.exchange import CodeError, Offer
from glassformer.checking.guess import contract_named, guesses
from glassformer.checking.isolation import IsolatedRunner
from glassformer.checking.judging import STOPPED, Judge, Outcome, Session
from glassformer.checking.questions import BEYOND, asks, beyond, doubtful, explained, question
from glassformer.checking.runner import Runner, quiet_torch
from glassformer.checking.source import Code
from glassformer.checking.targets import Target, target
from glassformer.checking.telling import told
from glassformer.checking.understanding import left_out, never_given, understood
from glassformer.checking.verdict import Verdict, Word
from glassformer.checking.wording import findings, located
from glassformer.checking.zygote import Zygote
from glassformer.errors import UsageError

SECONDS_A_CALL, SECONDS_IN_ALL = 10.0, 40.0
GUESSING_SECONDS = 6.0
"""After which no further contract is tried."""
UNEXPLAINED = 2
ONE_HEAD = 0.3
"""Patience with it: most of what can be wrong was seen with several."""
OTHERS = 2
"""Contracts that are tried where the one that was asked for does not fit at all."""


def check_file(
    said: str | Path | Target,
    contract: str | None = None,
    *,
    seed: int = 0,
    zygote: Zygote | None = None,
    timeout: float = SECONDS_A_CALL,
    budget: float = SECONDS_IN_ALL,
    patience: float = 1.0,
    compiles: bool = False,
) -> Verdict:
    """Checks PATH, PATH:NAME or package.module:NAME. The code runs in a process of its own, confined.

    contract: a slug or title of `CONTRACTS`; guessed where it is None. timeout: seconds of one call,
    budget: of all calls. patience: times the seconds that a judge searches for the name of a mistake.
    compiles: see what torch.compile makes of it, too.
    UsageError where there is nothing to check; a verdict "error" where the code could not be run.
    """
    started = time.monotonic()
    aim = said if isinstance(said, Target) else target(str(said))
    slug = None if contract is None else contract_named(contract)
    with IsolatedRunner(timeout=timeout, budget=budget, paths=aim.paths, zygote=zygote) as session:
        verdict = check_in(session, aim, slug, seed=seed, patience=patience, compiles=compiles)
    return replace(verdict, seconds=time.monotonic() - started)


def check_in(
    session: IsolatedRunner,
    aim: Target,
    slug: str | None = None,
    *,
    seed: int = 0,
    sizes: Mapping[str, int] | None = None,
    patience: float = 1.0,
    compiles: bool = False,
) -> Verdict:
    """`check_file` in a process that the caller has started, and may ask about afterwards.

    sizes: what the constructor is given for a size, by its role, such as {"heads": 1}.
    """
    started = time.monotonic()

    def load() -> list[Offer]:
        return session.load_module(aim.module) if aim.module else session.load(aim.text, aim.filename)

    try:
        offers = load()
    except CodeError as error:
        return _could_not_run(aim, slug, error, time.monotonic() - started, session.printed)

    def again() -> None:
        session.restart()
        load()

    case = _Case(session, aim, _chosen(aim, offers, slug), again, seed, sizes or {}, patience, compiles)
    return case.verdict(slug, started)


def check(found: Any, contract: str | None = None, *, seed: int = 0) -> Verdict:
    """Checks a class, a function or an instance of this process, unisolated: what it does, it does to you.

    A module is copied first; the random generators of Python, NumPy and torch and torch's defaults are put
    back. Of an instance that cannot be called, such as a network in NumPy, the class is checked.

    >>> check(torch.nn.MultiheadAttention, "multi-head attention").word
    'correct'
    """
    started = time.monotonic()
    slug = None if contract is None else contract_named(contract)
    if not callable(found):
        if type(found).__module__ == "builtins":
            raise UsageError(f"{found!r:.60} cannot be checked; give a class, a function or an instance")
        found = type(found)
    session = Runner()
    (offer,) = session.load_object(found)
    said = found if callable(found) and hasattr(found, "__qualname__") else type(found)
    try:
        filename = inspect.getsourcefile(said) or ""
        text = Path(filename).read_text(encoding="utf-8")
    except (OSError, TypeError, UnicodeDecodeError):
        filename, text = "", ""
    aim = Target(said.__qualname__, text, filename, said.__name__)
    with _own_state():
        return _Case(session, aim, offer, seed=seed).verdict(slug, started)


def assert_correct(found: Any, contract: str | None = None, *, seed: int = 0) -> None:
    """For a test: passes where `check` finds nothing wrong, and fails with the diagnosis as its message."""
    __tracebackhide__ = True
    verdict = check(found, contract, seed=seed)
    if not verdict.correct:
        raise AssertionError(f"\n{told(verdict)}")


@contextmanager
def _own_state() -> Iterator[None]:
    """Random generators as they were, however often the code under check draws from them.

    What torch warns of because of the checker's own sizes and inputs is not shown.
    """
    of_python = random.getstate()
    of_numpy = np.random.get_state()  # noqa: NPY002 - it is this one that the code may draw from
    with torch.random.fork_rng(), warnings.catch_warnings():
        quiet_torch()
        try:
            yield
        finally:
            random.setstate(of_python)
            np.random.set_state(of_numpy)  # noqa: NPY002


def _chosen(aim: Target, offers: list[Offer], slug: str | None) -> Offer:
    """The one that is meant, among what the code offers."""
    if aim.module:  # an import shows what that module imported itself
        offers = [each for each in offers if each.name in aim.defined or each.name == aim.name]
    names = [each.name for each in offers]
    if aim.name:
        if aim.name not in names:
            have = f"it has {', '.join(names)}" if names else "it defines no class and no function"
            raise UsageError(
                f"there is no class or function {aim.name!r} in {aim.said.rpartition(':')[0]}; {have}"
            )
        return offers[names.index(aim.name)]
    place = aim.said
    if not offers:
        raise UsageError(f"{place} defines no class and no function; give a file with something to check")
    public = [each for each in offers if not each.name.startswith("_")] or offers
    # a function that builds one of the classes is an adapter for it; build_vocab is none
    adapters = {"build", *(f"build_{each.name}".lower() for each in public if each.kind == "class")}
    factories = [each for each in public if each.kind == "function" and each.name.lower() in adapters]
    fitting = [each for each in public if slug in [found for found, _ in guesses(each)]] if slug else []
    fitting = fitting or _by_name([each for each in public if guesses(each)]) or public
    if slug and len(factories) == 1:
        return factories[0]
    if len(fitting) == 1:
        return fitting[0]
    if len(public) == 1:
        return public[0]
    listed = "; ".join(f"{place}:{each.name}{_guessed(each)}" for each in fitting)
    raise UsageError(f"{len(fitting)} things in {place} can be checked; name one: {listed}")


def _by_name(offers: list[Offer]) -> list[Offer]:
    """Without functions that only their one argument makes look like attention, such as sigmoid(z)."""
    helpers = [each for each in offers if each.kind == "function" and guesses(each)[0][1] == "its signature"]
    return [each for each in offers if each not in helpers] or offers


def _guessed(offer: Offer) -> str:
    found = guesses(offer)
    return f" ({CONTRACTS[found[0][0]].title})" if found else ""


@dataclass(frozen=True)
class _Case:
    """One piece of code in its session. again: starts a session anew whose process has ended."""

    session: Session
    aim: Target
    offer: Offer
    again: Callable[[], None] = lambda: None
    seed: int = 0
    sizes: Mapping[str, Any] = field(default_factory=dict)
    patience: float = 1.0
    compiles: bool = False

    @property
    def name(self) -> str:
        said, name = self.aim.said, self.offer.name
        return said if said == name else f"{said.removesuffix(f':{name}')}:{name}"

    @cached_property
    def code(self) -> Code:
        return Code.of(self.aim.text, self.offer.name, self.offer.line)

    def verdict(self, slug: str | None, started: float) -> Verdict:
        """Judges by the contract asked for, or by those that it may be meant for, until one fits."""
        tried = [(slug, "")] if slug else guesses(self.offer)
        if not tried:
            raise UsageError(
                f"{self.name} says neither by its name nor by its signature what it is meant to be; "
                f"add --as and one of: {', '.join(CONTRACTS)}"
            )
        best: Verdict | None = None
        for chosen, why in tried:
            if best and time.monotonic() - started > GUESSING_SECONDS:
                break
            verdict = self._judged(chosen, why)
            if best is None or _tells_more(verdict, best):
                best = verdict
            if best.correct:
                break
        assert best
        if slug and _rank(best) >= UNEXPLAINED:
            meant = [each for each in guesses(self.offer) if slug not in dict(guesses(self.offer))]
            others = (self._judged(*each) for each in meant[:OTHERS])
            best = _not_meant(best, next((each for each in others if _rank(each) < _rank(best)), None))
        printed = self.session.printed if isinstance(self.session, IsolatedRunner) else ""
        return replace(best, seconds=time.monotonic() - started, printed=printed)

    def _judged(self, chosen: str, why: str) -> Verdict:
        judge, outcome = self._outcome(chosen, self.sizes, self.patience)
        if judge.takes_heads and not (outcome.error or outcome.mistakes or self.sizes):
            if isinstance(self.session, IsolatedRunner) and self.session.seconds > self.session.budget / 3:
                outcome.check("one head (information)", True, "not looked at: its calls take too long")
            else:
                _with_one_head(outcome, self._outcome(chosen, {"heads": 1}, ONE_HEAD)[1])
        if doubtful(outcome, self.offer, chosen):
            outcome = Outcome(error=CodeError("Returned", "its arguments were not understood"), built=True)
        if why_not := beyond(outcome, self.code):
            outcome = Outcome(error=CodeError(BEYOND, why_not), built=True)
        error = outcome.error
        if error and error.kind in STOPPED:
            self.again()
        return Verdict(
            self.name,
            chosen,
            _word(outcome, self.offer, chosen),
            findings(outcome.mistakes, self.code, self.aim, outcome.lines),
            findings(outcome.remarks, self.code, self.aim, outcome.lines, remarks=True),
            tuple(outcome.checks),
            outcome.found,
            error=explained(error, self.aim) if error else "",
            question=question(error, self.offer, outcome.built, chosen, self._command(chosen))
            if error
            else "",
            asks=CONTRACTS[chosen].asks if error else "",
            located=located(outcome.located, self.aim),
            left_out=left_out(self.offer, outcome, chosen),
            never_given=never_given(self.offer, outcome, chosen),
            understood=(*_built(judge), *understood(outcome.found)),
            guessed=why,
            seed=self.seed,
        )

    def _outcome(self, chosen: str, fixed: Mapping[str, Any], patience: float) -> tuple[Judge, Outcome]:
        judge = CONTRACTS[chosen].judge(self.session, self.offer, self.code, self.seed)
        judge.fixed |= fixed
        judge.patience, judge.compiles = patience, self.compiles
        return judge, judge.judge()

    def _command(self, chosen: str) -> str:
        """What to check an adapter with; NAME stands for it."""
        if not isinstance(self.session, IsolatedRunner):
            return f'check(NAME, "{chosen}")'
        return f"glassformer check {self.name.removesuffix(f':{self.offer.name}')}:NAME --as {chosen}"


def _built(judge: Judge) -> list[str]:
    """What the constructor was given, in a line of the answer."""
    given = [
        f"{name}={value}" for name, value in judge.construction.items() if isinstance(value, int | float)
    ]
    return [f"built with: {', '.join(given)}"] if given else []


def _with_one_head(outcome: Outcome, other: Outcome) -> None:
    """Adds to what was found with several heads what is wrong with one."""
    if other.error and (not other.built or other.error.kind in STOPPED):
        # its constructor refuses one head, which is its own affair, or there was no time for it
        outcome.check("one head (information)", True, f"not looked at: {other.error}")
        return
    failed = [each.name for each in other.checks if not each.passed]
    what = str(other.error) if other.error else ", ".join(failed)
    outcome.check("one head", not (what or other.mistakes), what)
    for slug, family in other.mistakes:
        outcome.mistake(slug, family)


def _word(outcome: Outcome, offer: Offer, slug: str) -> Word:
    if outcome.error:
        return "inconclusive" if asks(outcome.error, offer, outcome.built, slug) else "error"
    if outcome.mistakes or not all(each.passed for each in outcome.checks):
        return "incorrect"
    return "correct" if outcome.checks else "inconclusive"


def _tells_more(verdict: Verdict, before: Verdict) -> bool:
    """Of two contracts that it may be meant for: the one it fulfils, or by which more can be said."""
    return _rank(verdict) < _rank(before) and not (_rank(before) == UNEXPLAINED and _rank(verdict) == 1)


def _rank(verdict: Verdict) -> int:
    """0 for right, 1 where a mistake has a name; from `UNEXPLAINED` on another contract may be meant."""
    if verdict.word == "incorrect":
        return 1 if verdict.mistakes and not verdict.unexplained else UNEXPLAINED
    return {"correct": 0, "inconclusive": 3}.get(verdict.word, 4)


def _not_meant(verdict: Verdict, other: Verdict | None) -> Verdict:
    """The verdict under the contract that was asked for, where the code fits another one: it says no more."""
    if other is None:
        return verdict
    asked, fits = CONTRACTS[verdict.contract], CONTRACTS[other.contract]
    found = "; ".join(each.title for each in other.mistakes)
    what = "it is right" if other.correct else f"it can be judged ({found})"
    error = f"it does not look like {asked.title}; as {fits.title} {what}"
    question = (
        f"{verdict.target} does not look like {asked.title}:\n    {asked.asks}\n"
        f"As {fits.title} {what}; check it with --as {fits.slug}:\n    {fits.asks}"
    )
    return replace(
        verdict, word="inconclusive", asks="", mistakes=(), remarks=(), checks=(), found={}, located=None,
        left_out=(), never_given=(), understood=(), error=error, question=question, fits=fits.slug,
    )  # fmt: skip


def _could_not_run(aim: Target, slug: str | None, error: CodeError, seconds: float, printed: str) -> Verdict:
    return Verdict(
        aim.said, slug or "", "error", error=explained(error, aim), seconds=seconds, printed=printed
    )
