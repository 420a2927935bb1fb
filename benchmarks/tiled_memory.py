"""Peak memory of attention, forward and backward: a tile at a time beside the whole matrix of scores.

    python benchmarks/tiled_memory.py [--quick] [--json FILE]

One example, 2 heads of 32, float32. Each measurement is a process of its own: its highest resident memory,
less what it held before the inputs were made. `explicit_attention` is left out, and the report says so,
where its matrices would take more than half of the memory that is free.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import itertools
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

HEADS, D_HEAD = 2, 32
TOKENS = (1024, 4096, 16384)
# scores, weights and the gradient of each are alive at the height of the explicit backward pass
MATRICES = 4


def main() -> None:
    """Measures every pair of function and length, prints a table and writes the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="leave out the longest")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--worker", nargs=2, metavar=("FUNCTION", "TOKENS"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.worker:
        print(peak_bytes(options.worker[0], int(options.worker[1])))
        return
    lengths = TOKENS[:-1] if options.quick else TOKENS
    peaks: dict[str, dict[str, int | None]] = {"explicit": {}, "tiled": {}}
    skipped = {}
    for tokens in lengths:
        for function, figures in peaks.items():
            needed = MATRICES * HEADS * tokens**2 * 4
            if function == "explicit" and needed > _free_bytes() / 2:
                figures[str(tokens)] = None
                skipped[str(tokens)] = f"explicit would need about {needed / 2**30:.1f} GiB"
                print(f"{function:9}{tokens:7} tokens  left out: {skipped[str(tokens)]}")
                continue
            command = [sys.executable, __file__, "--worker", function, str(tokens)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            figures[str(tokens)] = int(done.stdout)
            print(f"{function:9}{tokens:7} tokens  {int(done.stdout) / 2**20:10.1f} MiB", flush=True)
    growth = {name: _growth(figures) for name, figures in peaks.items()}
    for name, factors in growth.items():
        print(
            f"{name}: four times the tokens take "
            + ", ".join(f"{f:.1f}" for f in factors)
            + " times the memory"
        )
    report = {
        "schema_version": 1,
        "peak_bytes": peaks,
        "growth_at_four_times_the_tokens": growth,
        "skipped": skipped,
        "shape": {"batch": 1, "heads": HEADS, "d_head": D_HEAD, "dtype": "float32"},
        "machine": {"cores": os.cpu_count(), "system": platform.platform()},
        "versions": {"torch": importlib.metadata.version("torch")},
        "date": datetime.date.today().isoformat(),
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def peak_bytes(function: str, tokens: int) -> int:
    """What forward and backward add to this process's memory at their height."""
    import torch

    from glassformer.nn.attention import explicit_attention, tiled_attention

    attention = {"explicit": explicit_attention, "tiled": tiled_attention}[function]
    torch.set_num_threads(2)
    torch.manual_seed(0)

    def run(tokens: int) -> None:
        q, k, v = (torch.randn(1, HEADS, tokens, D_HEAD, requires_grad=True) for _ in range(3))
        output = attention(q, k, v)
        assert not isinstance(output, tuple)  # no weights were asked for
        output.sum().backward()

    run(16)  # what libraries keep for themselves is no part of the question
    before = _highest_resident_bytes()
    run(tokens)
    return _highest_resident_bytes() - before


def _highest_resident_bytes() -> int:
    import resource  # not on Windows, where the other modes of this script still answer --help

    highest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return highest if sys.platform == "darwin" else highest * 1024


def _free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines() if Path("/proc/meminfo").exists() else []:
        if line.startswith("MemAvailable"):
            return int(line.split()[1]) * 1024
    return 8 * 2**30


def _growth(figures: dict[str, Any]) -> list[float]:
    known = [peak for peak in figures.values() if peak]
    return [later / earlier for earlier, later in itertools.pairwise(known)]


if __name__ == "__main__":
    main()
