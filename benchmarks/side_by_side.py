"""How three benchmarks measure rivals: every form of every side looked at, then rounds of the fastest forms.

A form is an entry of the script's VARIANTS: its name, and settings of which `side` says whose it is. Each
measurement is a process of its own, `python SCRIPT --worker NAME ...`, which prints {"per_second": figure}.
"""

from __future__ import annotations

import contextlib
import datetime
import importlib.metadata
import json
import os
import platform
import statistics
import subprocess
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

THREADS = 2
NEAR = 0.85
"""Forms that reach this share of their side's fastest get a second look: one look is noisy."""
SINGLE = ("shipped", "newcomer")
"""Sides of one form each: none is looked for among several."""

Variants = dict[str, dict[str, Any]]


def in_process(script: str, variant: str, options: Sequence[str]) -> float:
    """Examples a second of one form. SystemExit where it fails."""
    environment = os.environ | {"OMP_NUM_THREADS": str(THREADS)}
    command = [sys.executable, script, "--worker", variant, *options]
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{variant} failed:\n{done.stderr[-3000:]}")
    return json.loads(done.stdout.splitlines()[-1])["per_second"]


def compare(
    variants: Variants,
    names: Sequence[str],
    rounds: int,
    run: Callable[[str], float],
    documented: str = "newcomer",
    same_as: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """Looks at all of `names`, alternates the fastest form of each side for some rounds, prints, reports.

    Of ours and of each rival the fastest form is taken; shipped and newcomer have one form each, and what
    they are needed for is left out of the report where they are not among `names`.
    documented: the rival that the side `newcomer` is, as its documentation shows it. same_as: rival -> the
    side of ours that it is compared with, where that is not `ours`.
    """
    same_as = same_as or {}
    sides = dict.fromkeys(variants[name]["side"] for name in names)
    tried = [side for side in sides if side not in SINGLE]
    for rival in tried:
        if (mine := same_as.get(rival, "ours")) not in sides:
            raise SystemExit(f"{rival} is compared with {mine}, of which no form is there; add one")
    looks = {name: [_look(name, run)] for name in names}
    fastest: dict[str, str] = {}
    for side in tried:
        of_side = [name for name in names if variants[name]["side"] == side]
        best = max(looks[name][0] for name in of_side)
        near = [name for name in of_side if looks[name][0] >= NEAR * best]
        for name in near if len(near) > 1 else []:
            looks[name] += [_look(name, run), _look(name, run)]
        fastest[side] = max(of_side, key=lambda name: statistics.median(looks[name]))
    single = {side: name for name in names if (side := variants[name]["side"]) in SINGLE}
    contenders = [*fastest.values(), *single.values()]
    measured: dict[str, list[float]] = {name: [] for name in contenders}
    for number in range(rounds):
        for name in contenders[:: 1 if number % 2 else -1]:
            measured[name].append(run(name))
        figures = ", ".join(f"{name} {measured[name][-1]:.1f}" for name in contenders)
        print(f"round {number + 1}: {figures}", flush=True)

    # the looks chose the contenders, so they do not count among the rounds
    def ratio(ours: str, theirs: str) -> dict[str, float]:
        quotients = [a / b for a, b in zip(measured[ours], measured[theirs], strict=True)]
        return {
            "min": min(quotients), "median": statistics.median(quotients), "max": max(quotients),
        }  # fmt: skip

    rivals = [side for side in fastest if side not in {"ours", *same_as.values()}]
    ratios, defaults = {}, {}
    if newcomer := single.get("newcomer"):
        if ours := fastest.get("ours"):
            ratios[documented] = ratio(ours, newcomer)
        if shipped := single.get("shipped"):
            defaults[documented] = ratio(shipped, newcomer)
    ratios |= {side: ratio(fastest[same_as.get(side, "ours")], fastest[side]) for side in rivals}
    report = {
        "schema_version": 1,
        "ratios": ratios,
        "defaults": defaults,
        "same_as": {rival: same_as[rival] for rival in rivals if rival in same_as},
        "rounds": rounds,
        "contenders": fastest,
        "variants": {name: {"looks": looks[name], "rounds": measured.get(name, [])} for name in names},
        "machine": machine(),
        "versions": {name: importlib.metadata.version(name) for name in ("torch", "transformers")},
        "date": datetime.date.today().isoformat(),
    }
    for kind in ("ratios", "defaults"):
        for rival, figure in report[kind].items():
            spread = f"({figure['min']:.2f} to {figure['max']:.2f})"
            print(f"{kind:9} {rival:20} {figure['median']:6.2f}  {spread}")
    return report


def _look(name: str, run: Callable[[str], float]) -> float:
    figure = run(name)
    print(f"{name:54}{figure:8.1f} a second", flush=True)
    return figure


def machine() -> dict[str, Any]:
    """What it was measured on, for the report."""
    model = platform.processor()
    with contextlib.suppress(OSError):
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), model)
    return {"cpu": model, "cores": os.cpu_count(), "threads": THREADS, "system": platform.platform()}
