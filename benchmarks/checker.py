"""Does the checker find mistakes and name them, and does it leave right code alone? How long does it take?

    python benchmarks/checker.py [--only seeded correct pairs] [--contract SLUG ...] [--seeds N] [--pairs N]
                                 [--first-seed K] [--jobs N] [--quick] [--json FILE]

Of every contract that has a judge: (seeded) every mistake of the tests, in every style that can express it;
(correct) the right implementations of the tests and the bases of the seeded ones, with N seeds each; (pairs)
two mistakes at once in one base, sampled. The judges run in forks of this process, which have imported torch
already: to the seconds of a check, those of starting a process come on top.
"""

import argparse
import datetime
import itertools
import json
import multiprocessing
import random
import statistics
import sys
import time
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import torch

from side_by_side import machine

sys.path.insert(0, str(Path(__file__).parents[1]))

from tests.checking.seeded import attention, backward, rest
from tests.checking.seeded.judged import CONTRACTS, compared, contract_of, judged

TESTS = Path(__file__).parents[1] / "tests" / "checking"
WORDS = ("right", "one", "unknown", "wrong", "missed", "error", "crash")


class Case(NamedTuple):
    """A file to judge. slugs: what was seeded in it."""

    group: str
    name: str
    slugs: tuple[str, ...]
    text: str
    seed: int

    @property
    def contract(self) -> str:
        return contract_of(self.text)


def seeded_cases(contracts: set[str], seeds: range) -> Iterator[Case]:
    for module in (attention, rest, backward):
        for slug, base in sorted(module.cases()):
            for seed in seeds:
                case = Case("seeded", base, (slug,), module.source(base, slug), seed)
                if case.contract in contracts:
                    yield case


def correct_cases(contracts: set[str], seeds: range) -> Iterator[Case]:
    paths = [*sorted((TESTS / "correct").glob("*.py")), *sorted((TESTS / "seeded" / "bases").glob("*.py"))]
    for seed in seeds:
        for path in paths:
            case = Case("correct", path.stem, (), path.read_text(encoding="utf-8"), seed)
            if case.contract in contracts:
                yield case


def pair_cases(contracts: set[str], count: int, seed: int) -> Iterator[Case]:
    """Sampled among all pairs whose edits do not overlap, as often from every base."""
    sampled = random.Random(seed)
    bases: dict[str, list[tuple[Any, tuple[str, str]]]] = {}
    for module in (attention, rest, backward):
        styles: dict[str, list[str]] = {}
        for slug, base in sorted(module.cases()):
            styles.setdefault(base, []).append(slug)
        for base, slugs in styles.items():
            if contract_of(module.source(base)) in contracts:
                pairs = [(module, pair) for pair in itertools.combinations(slugs, 2)]
                sampled.shuffle(pairs)
                bases[base] = pairs
    names = sorted(bases)
    sampled.shuffle(names)
    while count and names:
        for base in list(names):
            while bases[base]:
                module, pair = bases[base].pop()
                try:
                    text = module.source(base, *pair)
                    compile(text, base, "exec")
                except (ValueError, SyntaxError):
                    continue
                yield Case("pairs", base, pair, text, 0)
                count -= 1
                break
            else:
                names.remove(base)
            if not count:
                return


def judge(case: Case) -> dict[str, Any]:
    """What became of one case."""
    warnings.simplefilter("ignore")
    start = time.perf_counter()
    found: dict[str, Any] = {
        "group": case.group,
        "contract": case.contract,
        "base": case.name,
        "seeded": list(case.slugs),
        "seed": case.seed,
    }
    try:
        outcome = judged(case.text, f"{case.name}.py", case.seed)
    except Exception as error:  # a judge never raises: this is a fault of the checker, and counted
        return found | {"word": "crash", "detail": repr(error)[:200], "seconds": time.perf_counter() - start}
    seconds = time.perf_counter() - start
    result = compared(outcome, case.slugs)
    failed = [f"{each.name}: {each.detail}".rstrip(": ") for each in outcome.checks if not each.passed]
    if case.group == "correct":
        looked = any(each.name.startswith("output") for each in outcome.checks) or outcome.checks
        fine = not outcome.mistakes and not outcome.error and not failed and looked
        word = "right" if fine else "error" if outcome.error else "wrong"
    else:
        word = "one" if len(result.named) < len(case.slugs) and result.named else result.word
    return found | {
        "word": word,
        "named": list(result.named),
        "others": list(result.others),
        "mistakes": [slug for slug, _ in outcome.mistakes],
        "remarks": [slug for slug, _ in outcome.remarks],
        "detail": str(outcome.error)[:200] if outcome.error else "; ".join(failed)[:200],
        "seconds": seconds,
    }


def summary(results: list[dict[str, Any]]) -> dict[str, Any]:
    """The counts of one group."""
    seconds = sorted(each["seconds"] for each in results)
    words = Counter(each["word"] for each in results)
    return {
        "cases": len(results),
        **{word: words[word] for word in WORDS},
        "both_named": sum(len(each.get("named", ())) == 2 for each in results),
        "with_another_name_too": sum(
            bool(each.get("named")) and bool(each.get("others")) for each in results
        ),
        "seconds": {
            "median": round(statistics.median(seconds), 2),
            "p95": round(seconds[int(0.95 * (len(seconds) - 1))], 2),
            "most": round(seconds[-1], 2),
        },
    }


def told(group: str, found: dict[str, Any]) -> str:
    cases, seconds = found["cases"], found["seconds"]
    took = f"{seconds['median']} s a check ({seconds['p95']} for 95%, {seconds['most']} at most)"
    if group == "correct":
        return f"correct: {cases:,} checks, {cases - found['right']} false alarms; {took}"
    detected = cases - found["missed"] - found["crash"]
    count = found["both_named"] if group == "pairs" else found["right"]
    counts = ", ".join(
        f"{found[word]} {said}"
        for word, said in (
            ("unknown", "unknown"), ("wrong", "under a wrong name"), ("missed", "missed"),
            ("with_another_name_too", "with a wrong name beside"), ("error", "could not be run"),
            ("crash", "crashed the checker"),
        )
    )  # fmt: skip
    return (
        f"{group}: {cases:,} checks, {detected} detected ({detected / cases:.1%}), {count} with "
        f"{'both names' if group == 'pairs' else 'the right name'} ({count / cases:.1%}), {counts}; {took}"
    )


def notable(found: dict[str, Any]) -> bool:
    """Whether a result is worth a line of its own."""
    if found["group"] == "pairs":
        return len(found.get("named", ())) < 2 or bool(found["others"])
    return found["word"] != "right" or bool(found["group"] == "seeded" and found["others"])


def line(found: dict[str, Any]) -> str:
    what = f"{' + '.join(found['seeded'])} in {found['base']}, seed {found['seed']}"
    names = ", ".join((*found.get("mistakes", ()), *found.get("remarks", ()))) or "nothing"
    return f"{found['group']} {found['word']}: {what}: {names} ({found['detail']}), {found['seconds']:.1f} s"


def start_worker() -> None:
    torch.set_num_threads(1)


def main() -> None:
    """Judges, counts, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    groups = ("seeded", "correct", "pairs")
    parser.add_argument("--only", nargs="+", choices=groups, default=groups)
    parser.add_argument("--contract", nargs="+", choices=sorted(CONTRACTS), default=sorted(CONTRACTS))
    parser.add_argument("--seeds", type=int, default=100, help="of every correct file")
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--seeded-seeds", type=int, default=1, help="of every seeded mistake")
    parser.add_argument("--pairs", type=int, default=200)
    parser.add_argument("--base", nargs="+", help="only these files")
    parser.add_argument("--mistake", nargs="+", help="only these mistakes")
    parser.add_argument("--jobs", type=int, default=2)
    parser.add_argument("--quick", action="store_true", help="one seed, twenty pairs, every fifth mistake")
    parser.add_argument("--json", "--out", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.seeds, options.pairs = 1, 20
    contracts = set(options.contract)
    seeds = range(options.first_seed, options.first_seed + options.seeds)
    made = {
        "seeded": lambda: list(
            seeded_cases(contracts, range(options.first_seed, options.first_seed + options.seeded_seeds))
        )[:: 5 if options.quick else 1],
        "correct": lambda: list(correct_cases(contracts, seeds)),
        "pairs": lambda: list(pair_cases(contracts, options.pairs, options.first_seed)),
    }
    cases = [each for group in options.only for each in made[group]()]
    cases = [each for each in cases if not options.base or each.name in options.base]
    cases = [
        each
        for each in cases
        if not (options.mistake and each.slugs) or set(each.slugs) & set(options.mistake)
    ]
    torch.set_num_threads(1)
    results = []
    start = time.perf_counter()
    with multiprocessing.get_context("fork").Pool(options.jobs, start_worker, maxtasksperchild=200) as pool:
        for found in pool.imap_unordered(judge, cases):
            results.append(found)
            if notable(found):
                print(line(found), flush=True)
    elapsed = time.perf_counter() - start
    report: dict[str, Any] = {
        "schema_version": 1,
        "command": " ".join(["python", "benchmarks/checker.py", *sys.argv[1:]]),
        "contracts": sorted(contracts),
    }
    for group in options.only:
        those = [each for each in results if each["group"] == group]
        if not those:
            continue
        report[group] = summary(those) | {
            "by_contract": {
                contract: summary([each for each in those if each["contract"] == contract])
                for contract in sorted({each["contract"] for each in those})
            },
            "notable": [each for each in those if notable(each)],
        }
        if group == "correct":
            report[group] |= {
                "files": len({each["base"] for each in those}),
                "seeds": [seeds.start, seeds.stop],
            }
        print(told(group, report[group]))
    report |= {
        "seconds": round(elapsed, 1),
        "jobs": options.jobs,
        "machine": machine() | {"threads": 1},
        "versions": {"torch": torch.__version__},
        "date": datetime.date.today().isoformat(),
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
