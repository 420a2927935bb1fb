"""What are published weights worth on IMDB, and is fine-tuning them here what it is in transformers?

    python benchmarks/finetuning.py MODEL --data-dir DATA [--sides ours random transformers] [--json FILE]

MODEL: a folder of a BERT in the Hugging Face layout. A fifth of the training reviews, 256 tokens, one epoch;
three sides, trained by the same loop on the same batches in the same order, judged on the whole test split:

- ours: the published weights in Glassformer's encoder;
- random: the same encoder from random weights;
- transformers: the published weights in transformers' own BertModel, pooled and classified in the same way.
"""

import argparse
import datetime
import json
import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from accuracy import figures
from glassformer.tasks.imdb import ImdbTask

SETTINGS = [
    "--data.fraction",
    "0.2",
    "--data.max-tokens",
    "256",
    "--fit.epochs",
    "1",
    "--optim.layer-decay",
    "1",
]
SIDES = {
    "ours": ("imdb", []),
    "random": ("imdb", ["--model.start", "random"]),
    "transformers": ("finetuning:TransformersImdb", []),
}


class TransformersImdb(ImdbTask):
    """The task with transformers' encoder in place of ours; all else is the same."""

    def build_model(self, model: Any) -> nn.Module:
        """Its BertModel, and our pooling and classifier."""
        return TheirClassifier(model)

    def load_published(self, model: Any, config: Any, report: Any) -> None:
        """By its own reading of the folder."""
        model.encoder.load_state_dict(_their_model(config.model.pretrained).state_dict())


class TheirClassifier(nn.Module):
    """logits = W dropout(mean over the real tokens of BertModel(ids)) + b."""

    def __init__(self, config: Any) -> None:
        super().__init__()
        from glassformer.models.encoder import EncoderClassifier

        ours = EncoderClassifier(replace(config, start="random"))  # draws what a fresh head draws
        self.config, self.pool, self.head = config, ours.pool, ours.head
        self.encoder = _their_model(config.pretrained)

    def forward(self, ids: Tensor, mask: Tensor | None = None) -> Tensor:
        attend = torch.ones_like(ids) if mask is None else mask.long()
        return self.head(self.pool(self.encoder(ids, attention_mask=attend).last_hidden_state, mask))


def _their_model(folder: str) -> Any:
    from transformers import BertModel

    # ours drops no attention weights, so that both are regularised alike
    return BertModel.from_pretrained(folder, add_pooling_layer=False, attention_probs_dropout_prob=0.0)


def main() -> None:
    """Trains the sides one after the other, each in a process of its own."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", help="folder of a BERT")
    parser.add_argument("--data-dir", required=True)
    parser.add_argument("--sides", nargs="+", choices=SIDES, default=list(SIDES))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--run-dir", type=Path, default=Path("runs/finetuning"))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--quick", action="store_true", help="a hundredth of the reviews, 32 tokens")
    options = parser.parse_args()

    settings = [*SETTINGS, "--seed", str(options.seed), "--no-baselines", "--data-dir", options.data_dir]
    if options.quick:
        settings += ["--data.fraction", "0.01", "--data.max-tokens", "32"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *sys.path])}
    runs, provenance = {}, {}
    for side in options.sides:
        task, more = SIDES[side]
        folder = options.run_dir / f"{side}-{options.seed}"
        words = ["train", task, "--model.pretrained", options.model, *settings, *more]
        command = [sys.executable, "-m", "glassformer", *words, "--run-dir", str(folder)]
        if subprocess.run(command, stdout=subprocess.DEVNULL, env=environment).returncode:
            sys.exit(f"{side} failed; its own line above says why")
        metrics = json.loads((folder / "metrics.json").read_text(encoding="utf-8"))
        provenance = json.loads((folder / "provenance.json").read_text(encoding="utf-8"))
        runs[side] = figures(metrics)
        print(f"{side}: {runs[side]}", flush=True)
    report = {
        "schema_version": 1,
        "runs": runs,
        "settings": SETTINGS,
        "machine": provenance["machine"] | provenance["choices"],
        "versions": provenance["versions"],
        "git_revision": provenance["git_revision"],
        "date": datetime.date.today().isoformat(),
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
