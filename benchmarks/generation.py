"""How fast are sequences written? 10,000 reversals in one batch, with the key/value cache and without.

    python benchmarks/generation.py [--quick] [--json FILE]

The model of `glassformer train reverse` with fresh weights, which write as slowly as trained ones: every row
is decoded for as many tokens as an answer has, end included. Rounds alternate the two.
"""

import argparse
import datetime
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from glassformer.data.tokenizer import END, START
from glassformer.decoding import Step, greedy
from glassformer.models.encoder_decoder import CachedSteps, EncoderDecoder
from glassformer.tasks import find_task
from glassformer.tasks.config import MachineConfig
from glassformer.training.machine import prepare_machine
from side_by_side import machine


def main() -> None:
    """Times both, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true", help="one round of 100 rows, to see that it works")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    if options.quick:
        options.rows, options.rounds = 100, 1

    prepare_machine(MachineConfig(device="cpu", precision="fp32"))
    config = find_task("reverse").preset(None, None)
    tokens, alphabet = config.data.length, config.data.alphabet
    torch.manual_seed(0)
    facts = {"vocab": alphabet + 4, "max_tokens": tokens, "max_targets": tokens + 1}
    model = EncoderDecoder(replace(config.model, **facts)).eval()
    source = torch.randint(4, alphabet + 4, (options.rows, tokens))
    start = torch.full((options.rows, 1), START)

    def uncached(prefixes: Tensor, state: Any) -> tuple[Tensor, Any]:
        return model(source, prefixes)[:, -1], None

    seconds: dict[str, list[float]] = {"cached": [], "uncached": []}
    written: dict[str, Tensor] = {}
    with torch.inference_mode():
        for _ in range(options.rounds):
            for name, each in seconds.items():
                began = time.perf_counter()
                step = CachedSteps(model, source) if name == "cached" else uncached
                written[name] = greedy(never_ending(step), start, end=END, max_tokens=tokens + 1)
                each.append(time.perf_counter() - began)
    same = float((written["cached"] == written["uncached"]).double().mean())
    report = {
        "schema_version": 1,
        "rows": options.rows,
        "seconds": {name: {"median": statistics.median(each), "all": each} for name, each in seconds.items()},
        "equal_tokens": same,
        "machine": machine(),
        "date": datetime.date.today().isoformat(),
    }
    for name, each in seconds.items():
        print(f"{name}: {options.rows:,} answers of {tokens + 1} tokens in {statistics.median(each):.2f} s")
    print(f"share of tokens that are the same: {same:.6f}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def never_ending(step: Step) -> Step:
    """The same, but every row is decoded to its full length, whatever fresh weights say."""

    def stepped(prefixes: Tensor, state: Any) -> tuple[Tensor, Any]:
        logits, state = step(prefixes, state)
        logits[:, END] = -torch.inf
        return logits, state

    return stepped


if __name__ == "__main__":
    main()
