"""How good is a preset? Several seeds of `glassformer train`, each in a process of its own.

    python benchmarks/accuracy.py imdb --data-dir DATA [--seeds 0 1 2] [--json FILE]
    python benchmarks/accuracy.py imdb --data-dir DATA --model recurrent
    python benchmarks/accuracy.py parity --seeds 0 1 2 3 4

Prints and writes the figures of every run's metrics.json and their mean; the run folders stay where
--run-dir says (default: runs/accuracy). Nothing is chosen by what comes out: presets are tuned on validation
splits alone.
"""

import argparse
import datetime
import json
import statistics
import subprocess
import sys
from pathlib import Path
from typing import Any

OF_THE_TASK = ("calibration_error", "token_accuracy", "accuracy_all", "count_all")
"""Figures that some tasks have and others have not."""

PASSED = (0.25, 0.5, 0.7)
"""Validation accuracies of which it is told when they were passed, in seconds of training."""


def main() -> None:
    """Runs the seeds one after the other."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("task")
    parser.add_argument("--model", help="default: the task's own")
    parser.add_argument("--data-dir")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--run-dir", type=Path, default=Path("runs/accuracy"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="one epoch of one seed, to see that it works")
    options = parser.parse_args()

    seeds = options.seeds[:1] if options.quick else options.seeds
    runs: list[dict[str, Any]] = []
    for seed in seeds:
        folder = options.run_dir / f"{options.task}-{options.model or 'default'}-{seed}"
        words = ["train", options.task, "--seed", str(seed)]
        words += ["--model.name", options.model] if options.model else []
        words += ["--data-dir", options.data_dir] if options.data_dir else []
        words += ["--fit.epochs", "1"] if options.quick else []
        command = [sys.executable, "-m", "glassformer", *words, "--run-dir", str(folder)]
        if subprocess.run(command, stdout=subprocess.DEVNULL).returncode:
            sys.exit(f"seed {seed} failed; its own line above says why")
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        runs.append({"command": f"glassformer {' '.join(words)}", **figures(metrics)})
        print(f"seed {seed}: {runs[-1]}", flush=True)

    report = {
        "schema_version": 1,
        "mean_test_accuracy": statistics.mean(run["test_accuracy"] for run in runs),
        "runs": runs,
        "machine": provenance["machine"] | provenance["choices"],
        "versions": provenance["versions"],
        "git_revision": provenance["git_revision"],
        "date": datetime.date.today().isoformat(),
    }
    print(f"mean test accuracy of {len(runs)}: {report['mean_test_accuracy']:.4f}")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def figures(metrics: dict[str, Any]) -> dict[str, Any]:
    """What a reader compares."""
    return {
        "seed": metrics["seed"],
        "parameters": metrics["parameters"],
        "test_accuracy": metrics["test"]["accuracy"],
        "test_accuracy_ci95": metrics["test"]["accuracy_ci95"],
        "validation_accuracy": metrics["validation"]["accuracy"],
        **{key: metrics["test"][key] for key in OF_THE_TASK if key in metrics["test"]},
        "milestones": {
            str(each["accuracy"]): round(each["seconds"], 1)
            for each in metrics["milestones"]
            if each["accuracy"] in PASSED
        },
        "train_seconds": round(metrics["train_seconds"], 1),
        "epoch_seconds": [round(seconds, 1) for seconds in metrics["epoch_seconds"]],
        "examples_per_second": round(metrics["examples_per_second"], 1),
        "peak_host_gib": round((metrics["peak_memory_bytes"]["host"] or 0) / 2**30, 2),
        "baselines": {slug: each["accuracy"] for slug, each in metrics["baselines"].items()},
    }


if __name__ == "__main__":
    main()
