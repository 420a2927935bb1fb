"""Does a comparison that is killed at random moments end with the table of one that was left in peace?

    python benchmarks/killed_study.py [--quick] [--json FILE]

A small study on parity is made once undisturbed. Then the same study is begun in another folder, killed with
SIGKILL at five random moments and started again each time, and at last left to end. The two tables have to be
equal, seconds aside, and no run that had finished before a kill may have been trained again.
"""

import argparse
import datetime
import json
import random
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from side_by_side import machine

OPTIONS = (
    "--data.bits 8 --fit.epochs 60 --model.d-model 16 --model.d-ff 16 --model.heads 2 --precision fp32 "
    "--threads 1 --vary model.layers=1,2 --vary model.pool=mean,max --seeds 4"
)
KILLS = 5


def main() -> None:
    """Kills, goes on, compares, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="one kill instead of five")
    parser.add_argument("--json", type=Path, help="file to write the result to")
    parser.add_argument("--seed", type=int, default=0, help="of the moments")
    options = parser.parse_args()
    generator = random.Random(options.seed)
    with tempfile.TemporaryDirectory() as folder:
        whole, killed = Path(folder) / "whole", Path(folder) / "killed"
        started = time.monotonic()
        if _study(whole).wait() != 0:
            sys.exit("the undisturbed study failed")
        seconds = time.monotonic() - started
        moments, finished_before, repeated = [], [], 0
        seen: dict[str, int] = {}
        for _ in range(1 if options.quick else KILLS):
            process = _study(killed)
            moments.append(generator.uniform(0.1, 0.5) * seconds)
            time.sleep(moments[-1])
            if process.poll() is not None:
                sys.exit("the study had ended before it was killed; give it more to do")
            process.send_signal(signal.SIGKILL)
            process.wait()
            time.sleep(2)  # its runs notice, and end
            now = _finished(killed)
            repeated += sum(now[name] != stamp for name, stamp in seen.items())
            seen = now
            finished_before.append(len(seen))
        if _study(killed).wait() != 0:
            sys.exit("the killed study did not end")
        last = _finished(killed)
        repeated += sum(last[name] != stamp for name, stamp in seen.items())
        equal = _table(whole) == _table(killed)
    result = {
        "schema_version": 1, "date": datetime.date.today().isoformat(), "machine": machine(),
        "command": f"glassformer compare parity {OPTIONS}", "undisturbed_seconds": round(seconds, 1),
        "killed_after_seconds": [round(each, 1) for each in moments], "runs": len(last),
        "finished_at_each_kill": finished_before, "finished_runs_repeated": repeated, "tables_equal": equal,
    }  # fmt: skip
    print(json.dumps(result, indent=1))
    if options.json:
        options.json.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    if repeated or not equal:
        sys.exit(1)


def _study(folder: Path) -> "subprocess.Popen[bytes]":
    words = [sys.executable, "-m", "glassformer.cli", "compare", "parity", *OPTIONS.split()]
    return subprocess.Popen(
        [*words, "--study", str(folder)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )


def _finished(folder: Path) -> dict[str, int]:
    """Run -> when its weights were written, of those that have figures."""
    return {
        path.parent.name: (path.parent / "model.safetensors").stat().st_mtime_ns
        for path in (folder / "runs").glob("*/metrics.json")
    }


def _table(folder: Path) -> dict[str, Any]:
    content = json.loads((folder / "comparison.json").read_text(encoding="utf-8"))
    for row in content["rows"]:
        del row["train_seconds"]
    return {name: content[name] for name in ("rows", "pairs", "failures", "seeds")}


if __name__ == "__main__":
    main()
