"""Does cross-attention point at what is copied? One layer and one head on either side, trained to reverse.

    python benchmarks/cross_attention.py [--quick] [--json FILE]

To write token t of n, the model has to read token n - 1 - t of the source. How often does the cross-attention
of a written token have its maximum there? Of each position encoding a model is trained; the one that is best
on validation is looked into, over sequences never trained on. And: the deletion curves of cross-attention and
of the gradients beside a random order, over validation sequences.
"""

import argparse
import datetime
import json
import tempfile
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from glassformer.cli import main as glassformer
from glassformer.data.pairs import Pairs
from glassformer.evaluation import wilson_interval
from glassformer.explain.faithfulness import in_pieces, measure_faithfulness
from glassformer.explain.questions import SequenceQuestion, ask
from glassformer.explain.rollout import cross_attention
from glassformer.tasks.config import MachineConfig
from glassformer.training.loaded import LoadedRun, load
from side_by_side import machine

MODEL = "--model.encoder-layers 1 --model.decoder-layers 1 --model.heads 1"
CANDIDATES = ("sinusoidal", "learned")


def main() -> None:
    """Trains, looks, prints and writes."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sequences", type=int, default=5000, help="unseen ones to look at")
    parser.add_argument("--examples", type=int, default=300, help="validation ones to delete from")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--quick", action="store_true", help="three integers of six, to see that it works")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    few = "--data.length 3 --data.alphabet 6 --fit.batch-size 8 --fit.epochs 5" if options.quick else ""
    if options.quick:
        options.sequences, options.examples = 50, 20

    with tempfile.TemporaryDirectory() as folder:
        trained: dict[str, dict[str, Any]] = {}
        for positions in CANDIDATES:
            words = f"train reverse {MODEL} --model.positions {positions} {few} --seed {options.seed}"
            run = Path(folder) / positions
            if glassformer([*words.split(), "--no-baselines", "--run-dir", str(run)]):
                raise SystemExit(f"training failed: glassformer {words}")
            metrics = json.loads((run / "metrics.json").read_text(encoding="utf-8"))
            trained[positions] = {
                "command": f"glassformer {' '.join(words.split())}",
                "validation": metrics["validation"]["accuracy"],
                "test": metrics["test"]["accuracy"],
            }
        # of equals the first, which is the preset's
        best = max(CANDIDATES, key=lambda name: trained[name]["validation"])
        loaded = load(Path(folder) / best, MachineConfig(device="cpu", precision="fp32", threads=1))
        found = looked_into(loaded, options.sequences, options.examples, options.seed)
    report = {
        "schema_version": 1,
        "candidates": trained,
        "chosen": best,
        **found,
        "machine": machine() | {"threads": 1},
        "versions": {"torch": torch.__version__},
        "date": datetime.date.today().isoformat(),
    }
    mirrored = found["mirrored"]
    print(
        f"{best} positions, {trained[best]['test']:.4f} of unseen sequences right: cross-attention has its "
        f"maximum at the mirrored token for {mirrored['tokens']:.4f} of {mirrored['written']:,} written "
        f"tokens, for every token of {mirrored['sequences']:.4f} of {mirrored['count']:,} sequences"
    )
    for each in found["faithfulness"]:
        print(each["sentence"])
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def looked_into(run: LoadedRun, sequences: int, examples: int, seed: int) -> dict[str, Any]:
    """How often the maximum is mirrored, over unseen sequences; deletion curves, over held-out ones."""
    prepared = run.task.prepare(run.config, lambda line: None)
    hits: list[np.ndarray] = []
    places: list[np.ndarray] = []
    lengths: list[np.ndarray] = []
    for question in asked(run, prepared.examples["test"], sequences, seed):
        for piece in in_pieces(question):
            assert isinstance(piece, SequenceQuestion)
            mirrored = piece.real.sum(1) - 1 - piece.place
            hits.append((cross_attention(piece).argmax(1) == mirrored).numpy())
            places.append(piece.place.numpy())
            lengths.append(piece.real.sum(1).numpy())
    hit, place = np.concatenate(hits), np.concatenate(places)
    (length,) = set(np.concatenate(lengths).tolist())
    whole: np.ndarray = np.asarray(hit.reshape(-1, length).all(1))
    measured = measure_faithfulness(asked(run, prepared.examples["validation"], examples, seed), seed=seed)
    return {
        "mirrored": {
            "tokens": float(hit.mean()),
            "written": len(hit),
            "by_place": [float(hit[place == each].mean()) for each in range(length)],
            "sequences": float(whole.mean()),
            # tokens of one sequence are no independent draws, sequences are
            "sequences_ci95": list(wilson_interval(int(whole.sum()), len(whole))),
            "count": len(whole),
            "chance": 1 / length,
        },
        "faithfulness": [asdict(each) | {"sentence": each.sentence} for each in measured],
    }


@torch.no_grad()
def asked(run: LoadedRun, examples: Any, count: int, seed: int) -> list[SequenceQuestion]:
    """Why the model writes each token, for some of these sequences."""
    assert isinstance(examples, Pairs)
    rows = np.sort(np.random.default_rng(seed).permutation(len(examples))[:count])
    found = []
    for batch in run.task.batches(examples.take(rows), run.config, train=False):
        question = ask(run.task, run.model, batch)
        assert isinstance(question, SequenceQuestion)
        found.append(question)
    return found


if __name__ == "__main__":
    main()
