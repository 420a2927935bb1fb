"""How long does it take to grade a class of a hundred submissions?

    python benchmarks/grading.py [--quick] [--sheet C] [--json FILE]

Every submission is the project's own solution of the sheet with mistakes put into it at random, none to two
of those beneath, and a helper of its own, so that no two texts are equal; the last two never end. The whole
command is timed, start included.
"""

import argparse
import datetime
import json
import os
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from glassformer.exercises.folders import reference
from glassformer.exercises.sheets import sheet
from side_by_side import machine

SUBMISSIONS, HOSTILE = 100, 2
MISTAKES = (
    (" / math.sqrt(k.shape[-1])", ""),
    (".softmax(dim=-1)", ".softmax(dim=-2)"),
    ("math.sqrt(k.shape[-1])", "k.shape[-1]"),
    (".transpose(1, 2).flatten(2)", ".reshape(len(q), -1, q.shape[1] * q.shape[-1])"),
    ("self.query(", "self.key("),
    ("gelu(", "relu("),
    ("h = x + ", "h = "),
    ("mean(dim=1)", "sum(dim=1)"),
    ("permute(0, 2, 4, 1, 3, 5)", "permute(0, 4, 2, 1, 3, 5)"),
)
"""What stands in a solution -> what a learner may write there."""
ENDLESS = "\nwhile True:\n    pass\n"


def main() -> None:
    """Writes a class, grades it, prints and writes how long it took."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="ten submissions")
    parser.add_argument("--sheet", default="C", help="which sheet")
    parser.add_argument("--workers", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--json", type=Path, help="file to write the result to")
    options = parser.parse_args()
    count = SUBMISSIONS // 10 if options.quick else SUBMISSIONS
    with tempfile.TemporaryDirectory() as made:
        folder, out = Path(made, "class"), Path(made, "grades.csv")
        write_class(folder, options.sheet, count)
        words = ["grade", options.sheet, str(folder), "--out", str(out), "--workers", str(options.workers)]
        before = cpu_seconds()
        seconds, answer = timed(words)
        used = cpu_seconds() - before
        again, _ = timed(words)
    result: dict[str, Any] = {
        "date": datetime.date.today().isoformat(),
        "command": f"python benchmarks/grading.py --sheet {options.sheet}"
        + (" --quick" if options.quick else ""),
        "machine": machine(),
        "submissions": count,
        "workers": options.workers,
        "seconds": round(seconds, 1),
        "cpu_seconds": round(used, 1),
        "load": [round(each, 1) for each in os.getloadavg()],
        "seconds_again": round(again, 1),
        "mistakes": [line.strip() for line in answer.splitlines() if " x  " in line],
    }
    print(json.dumps(result, indent=2))
    if options.json:
        options.json.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def write_class(folder: Path, name: str, count: int) -> None:
    """Mistakes drawn with a fixed seed."""
    drawn = random.Random(0)
    for number in range(count):
        place = folder / f"submission-{number:03}"
        place.mkdir(parents=True)
        chosen = drawn.sample(MISTAKES, drawn.choice((0, 1, 1, 2)))
        for file, text in reference(sheet(name)).items():
            for right, wrong in chosen:
                text = text.replace(right, wrong)
            text += f"\n\ndef _number():\n    return {number}\n"
            hostile = number >= count - HOSTILE
            (place / file).write_text(text + (ENDLESS if hostile else ""), encoding="utf-8")


def cpu_seconds() -> float:
    """Of the processes that have ended: what comparing takes, whatever else the machine does."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(words: list[str]) -> tuple[float, str]:
    """Seconds of the whole command, and what it printed."""
    before = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "glassformer", *words], check=True, capture_output=True, text=True
    )
    return time.monotonic() - before, done.stdout


if __name__ == "__main__":
    main()
