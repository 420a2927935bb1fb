"""What the judges of blocks and of whole models share: layers that hide or are copied, and naming a plan."""

import re
from collections.abc import Mapping, Sequence

import numpy as np
from torch import Tensor

from glassformer.checking.exchange import Built, CodeError, Offer
from glassformer.checking.judging import LARGEST_EPS, Judge, Outcome, Run, Session, distance
from glassformer.checking.searching import Option, Plan, mistakes
from glassformer.checking.source import Code


class LayeredJudge(Judge):
    """A judge of what is made of layers. The class below builds, and calls with inputs of its own."""

    built: Built
    copies = ""
    """Pattern of the names of torch's own modules, which copy a layer on purpose."""

    def __init__(self, session: Session, offer: Offer, code: Code, seed: int = 0) -> None:
        super().__init__(session, offer, code, seed)
        self.words = Code(code.whole or code.text).words
        self.questions: dict[str, list[Option]] = {}

    def hidden(self, run: Run) -> bool:
        """Names layers in a Python list: they stay behind when the module goes to another precision."""
        before = len(self.errors)
        run(dtype="float32")
        found = any("dtype" in each.message for each in self.errors[before:])
        if found:
            self.outcome.mistake("layers-in-list")
            self.outcome.check("every layer is registered", False, "some do not follow the module")
        return found

    def steady_at_last(self, run: Run) -> bool:
        """Whether two calls agree, if need be after it was built again without dropout."""
        if self.steady(run):
            return True
        if not self.dropouts:
            return False
        self.construction = {**self.construction, **dict.fromkeys(self.dropouts, 0.0)}
        return self.rebuild() and self.agrees(run)

    def rebuild(self) -> bool:
        """Builds what `construction` says now; whether that could be done."""
        raise NotImplementedError

    def copied(self) -> None:
        """Names matrices of one shape that start with the same numbers."""
        fresh = self.build(self.construction)
        pairs = _equal_at_first(self.session, fresh) if fresh else []
        if pairs and not any(re.fullmatch(self.copies, each) for each in self.built.modules.values()):
            self.outcome.mistake("layers-copied")
            self.outcome.check("layers start differently", False, " = ".join(pairs[0]))

    def norm_eps(self) -> list[float]:
        """What the norms keep as their eps, each once; none that would leave nothing of what is normed."""
        settings = [self.built.settings[name] for name, kind in self.built.modules.items() if "Norm" in kind]
        kept = [each["eps"] for each in settings if isinstance(each.get("eps"), float)]
        return list(dict.fromkeys(each for each in kept if 0 <= each <= LARGEST_EPS))


def _equal_at_first(session: Session, built: Built) -> list[tuple[str, str]]:
    """Pairs of matrices that were equal before anything was set, and are not constant."""
    try:
        first = session.parameters(built.handle)
    except CodeError:
        return []
    seen: dict[bytes, str] = {}
    found = []
    for name, each in first.items():
        if each.ndim < 2 or each.size < 8 or np.ptp(each) == 0:
            continue
        key = np.asarray(each, np.float32).tobytes()
        if key in seen:
            found.append((seen[key], name))
        seen.setdefault(key, name)
    return found


def name_plans(outcome: Outcome, plans: Sequence[Plan]) -> None:
    """Mistakes and remarks of the plans with the fewest mistakes; what cannot be told apart is a family."""
    fewest = min(len(mistakes(each)) for each in plans)
    sets = list(dict.fromkeys(mistakes(each) for each in plans if len(mistakes(each)) == fewest))
    if fewest == 1:
        family = [slug for each in sets for slug in each]
        outcome.mistake(family[0], family)
    elif fewest > 1:
        for slug in sorted(sets[0]):
            outcome.mistake(
                slug, [s for each in sets[1:] for s in each if len(sets[0] ^ each) == 2 and s not in sets[0]]
            )
    remarks = [{each.remark for each in plan.values() if each.remark} for plan in plans]
    for slug in min(remarks, key=len):
        outcome.remark(slug)


def compare_gradients(
    outcome: Outcome, got: Mapping[str, np.ndarray], leaves: Mapping[str, Tensor], bar: float
) -> None:
    worst, where, idle = 0.0, "", []
    for name, leaf in leaves.items():
        wanted = np.zeros(tuple(leaf.shape)) if leaf.grad is None else leaf.grad.numpy()
        given = got.get(name)
        if np.abs(wanted).max(initial=0) < 1e-9:
            if leaf.grad is None and (given is None or not np.any(given)):
                idle.append(name)
            elif given is not None and np.abs(given).max() > 1e-6:
                worst, where = 1.0, name
            continue
        off = distance(given, wanted)
        if off > worst:
            worst, where = off, name
    passed = worst < max(1e-7, 1e3 * bar)
    outcome.check("gradients of the parameters", passed, "" if passed else f"of {where}: off by {worst:.2g}")
    if not passed:
        outcome.mistake("gradient-stopped")
    if idle and not outcome.mistakes:
        outcome.check("every parameter is used", True, "without effect: " + ", ".join(idle))
        outcome.remark("unused-parameter")
