"""Reviews trained per second: Glassformer beside what its user would otherwise have.

    python benchmarks/text_training.py [--quick] [--json FILE] [--data-dir DIR]

Every side trains the same sizes (4 layers, d_model 128, 4 heads, d_ff 512, vocabulary 30000, 2 classes, at
most 512 tokens, 64 reviews a batch) on IMDB's lengths; what the tokens say does not matter to the clock.
Ours and native are one architecture: learned positions, pre-norm, GELU, mean over the tokens. BERT is what
it is, post-norm, token types, a pooler of the first token, and is compared with `ours_bert`, the encoder that
its published weights run in here: the same parameters, the same function, the same gradients. Where both
read a first token in place of the mean, ours is compared with native once more. A step is forward, loss,
backward, clipping at norm 1, AdamW.

Rivals:
- `native_tuned`: torch.nn.TransformerEncoder, every form in VARIANTS tried, the fastest counts. `bf16
  stream`: the embedded tokens cast to bfloat16, as ours does, one line that any user could add.
- `native_first_token`: its form that was the fastest so far, where ours and it read a first token.
- `ours_bert_whole`: `ours_bert` without what it saves where nothing but the first token of its
  last block is read: what the saving is worth.
- `transformers_tuned`: BertForSequenceClassification, every form that its own switches, autocast and
  torch.compile give.
- `transformers_hooked`: the same with a hook of ours inside, which casts the embedded tokens to bfloat16:
  what BERT would do if it had our residual stream. None of its switches does that.
- `newcomer`: torch.nn.TransformerEncoder as its documentation shows it: float32, dropout 0.1, shuffled
  batches padded to the longest with a padding mask, plain AdamW, the allocator as it comes.

`ratios` compares algorithms: all sides get the same batches of like length, bf16 autocast, no dropout, the
fused AdamW and the same allocator settings. `defaults` compares ours as shipped with the newcomer: our own
allocator setting, bf16, batches of like length and tiled attention, but not the shipped `token_dropout`,
which halves the tokens: here both sides see all of them.

Sides alternate in rounds, each in a process of its own with two threads. A process trains on all its batches
once before the clock starts: the first touch of memory and oneDNN's kernels, one for each shape, are paid
once a run, and a run has thousands of steps. Then it passes PASSES times over them, and of each batch the
fastest step counts, on every side: what else a shared machine does only ever adds. Compiled forms get one
look each unless one of them wins.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from side_by_side import THREADS, compare, in_process

VOCAB, CLASSES, LAYERS, D_MODEL, HEADS, D_FF, MAX_TOKENS, BATCH = 30_000, 2, 4, 128, 4, 512, 512, 64
REVIEWS = 25_000
PASSES = 3
SORTED_TOGETHER = 50  # batches, as glassformer.data.batches does

# word tokens of a review in IMDB's train split at these shares of the reviews, before the cut to 512
LENGTH_QUANTILES = {
    0.0: 10, 0.10: 107, 0.25: 149, 0.50: 206, 0.75: 335, 0.90: 541, 0.95: 706, 1.0: 2500,
}  # fmt: skip

VARIANTS: dict[str, dict[str, Any]] = {
    "ours explicit": {"side": "ours", "attention": "explicit"},
    "ours tiled": {"side": "ours", "attention": "tiled"},
    "ours fused": {"side": "ours", "attention": "fused"},
    "ours in BERT's form, explicit": {"side": "ours_bert", "attention": "explicit"},
    "ours in BERT's form, tiled": {"side": "ours_bert", "attention": "tiled"},
    "ours in BERT's form, fused": {"side": "ours_bert", "attention": "fused"},
    "ours in BERT's form, tiled, whole": {"side": "ours_bert_whole", "attention": "tiled"},
    "ours with a first token": {"side": "ours_first_token", "attention": "tiled"},
    "native with a first token": {
        "side": "native_first_token", "kernel": "math", "reduction": True, "stream": True,
    },
    "native fused": {"side": "native_tuned", "kernel": "fused"},
    "native math": {"side": "native_tuned", "kernel": "math"},
    "native math, bf16 reduction": {"side": "native_tuned", "kernel": "math", "reduction": True},
    "native fused, bf16 stream": {"side": "native_tuned", "kernel": "fused", "stream": True},
    "native math, bf16 reduction, bf16 stream": {
        "side": "native_tuned", "kernel": "math", "reduction": True, "stream": True,
    },
    "native fused, compiled": {"side": "native_tuned", "kernel": "fused", "mode": "compiled"},
    "native math, compiled": {"side": "native_tuned", "kernel": "math", "mode": "compiled"},
    "native math, bf16 reduction, compiled": {
        "side": "native_tuned", "kernel": "math", "reduction": True, "mode": "compiled",
    },
    "native math, bf16 reduction, bf16 stream, compiled": {
        "side": "native_tuned", "kernel": "math", "reduction": True, "stream": True, "mode": "compiled",
    },
    "transformers eager": {"side": "transformers_tuned", "implementation": "eager"},
    "transformers sdpa": {"side": "transformers_tuned", "implementation": "sdpa"},
    "transformers sdpa math, bf16 reduction": {
        "side": "transformers_tuned", "implementation": "sdpa", "kernel": "math", "reduction": True,
    },
    "transformers eager, bf16 stream": {
        "side": "transformers_hooked", "implementation": "eager", "stream": True,
    },
    "transformers sdpa math, bf16 reduction, bf16 stream": {
        "side": "transformers_hooked", "implementation": "sdpa", "kernel": "math", "reduction": True,
        "stream": True,
    },
    "transformers eager, compiled": {
        "side": "transformers_tuned", "implementation": "eager", "mode": "compiled",
    },
    "transformers eager, bf16 stream, compiled": {
        "side": "transformers_hooked", "implementation": "eager", "stream": True, "mode": "compiled",
    },
    "transformers sdpa, compiled": {
        "side": "transformers_tuned", "implementation": "sdpa", "mode": "compiled",
    },
    "newcomer": {"side": "newcomer"},
    "ours as shipped": {"side": "shipped", "attention": "tiled"},
}  # fmt: skip


SAME_AS = {
    "transformers_tuned": "ours_bert",
    "transformers_hooked": "ours_bert",
    "native_first_token": "ours_first_token",
    "ours_bert_whole": "ours_bert",
}
"""The rivals of another architecture than `ours`, and the side of ours that has theirs."""

SLOW = {"compiled", "fused", "sdpa"}
"""What a form has in VARIANTS that is left out of a quick look."""


def main() -> None:
    """Runs the rounds, prints a table and writes the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer batches, rounds and forms of the rivals")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument(
        "--data-dir",
        type=Path,
        default=os.environ.get("GLASSFORMER_DATA"),
        help="read IMDB's own lengths here",
    )
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--batches", type=int, help="batches in a measured pass, spread over all lengths")
    parser.add_argument(
        "--variants",
        help="forms, separated by semicolons: look at these once; with --rounds, compare them alone",
    )
    parser.add_argument(
        "--turns", type=int, help="with --variants: in one process, step by step in turn, so many times"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 7)
    batches = options.batches or (6 if options.quick else 16)
    if options.worker:
        print(json.dumps(measure(VARIANTS[options.worker], options.data_dir, batches)))
        return

    chosen = options.variants.split(";") if options.variants else []
    if options.turns:
        if not chosen or any(VARIANTS[name]["side"] == "newcomer" for name in chosen):
            parser.error("--turns takes --variants of one kind of batches: name them, without newcomer")
        for name, figure in in_turn(chosen, options.data_dir, batches, options.turns).items():
            print(f"{name:54}{figure:8.1f} reviews/s")
        return

    def run(variant: str) -> float:
        folder = ["--data-dir", str(options.data_dir)] if options.data_dir else []
        return in_process(__file__, variant, ["--batches", str(batches), *folder])

    if chosen and not options.rounds:
        for name in chosen:
            print(f"{name:54}{run(name):8.1f} reviews/s", flush=True)
        return
    names = list(VARIANTS)
    if options.quick:  # the others take minutes, and none has been the fastest yet
        names = [name for name in names if not SLOW & set(VARIANTS[name].values())]
    report = compare(VARIANTS, chosen or names, rounds, run, same_as=SAME_AS)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def review_lengths(data_dir: Path | None) -> Any:
    """Tokens a review, cut to MAX_TOKENS: IMDB's own where the data is, else drawn from its quantiles."""
    import re

    import numpy as np

    files = sorted(Path(data_dir).rglob("*imdb*train*.parquet")) if data_dir else []
    files = files or (sorted(Path(data_dir).rglob("imdb/**/train*.parquet")) if data_dir else [])
    if files:
        import pyarrow.parquet

        texts = [t for file in files for t in pyarrow.parquet.read_table(file)["text"].to_pylist()]
        lengths = np.array([len(re.findall(r"\w+|[^\w\s]", text)) for text in texts])
    else:
        shares, tokens = list(LENGTH_QUANTILES), list(LENGTH_QUANTILES.values())
        lengths = np.interp(np.random.default_rng(0).random(REVIEWS), shares, tokens).astype(int)
    return np.clip(lengths, 1, MAX_TOKENS)


def like_length_batches(lengths: Any, batches: int) -> list[Any]:
    """The lengths in `batches` batches that stand for an epoch of those sorted in pools, short to long."""
    import numpy as np

    order = np.random.default_rng(1).permutation(lengths)
    pool = BATCH * SORTED_TOGETHER
    epoch = []
    for start in range(0, len(order), pool):
        together = np.sort(order[start : start + pool])
        epoch += [together[i : i + BATCH] for i in range(0, len(together) - BATCH + 1, BATCH)]
    epoch.sort(key=lambda batch: batch.sum())
    chosen = [epoch[int((i + 0.5) * len(epoch) / batches)] for i in range(batches)]
    return [chosen[i] for i in np.random.default_rng(2).permutation(batches)]


def shuffled_batches(lengths: Any, batches: int) -> list[Any]:
    """Batches as they come; nearly all hold a review of 512 tokens, so few tell all."""
    import numpy as np

    return list(np.random.default_rng(1).permutation(lengths)[: batches * BATCH].reshape(batches, BATCH))


def measure(variant: dict[str, Any], data_dir: Path | None, batches: int) -> dict[str, float]:
    """Reviews a second of one side, in this process."""
    step, data = prepared(variant, data_dir, batches)
    timed(step, data)  # does not count: see the top of this file
    seconds = sum(map(min, zip(*(timed(step, data) for _ in range(PASSES)), strict=True)))
    return {"per_second": len(data) * BATCH / seconds}


def in_turn(names: list[str], data_dir: Path | None, batches: int, turns: int) -> dict[str, float]:
    """Reviews a second of several forms in this process; on each batch all take a step before the next."""
    forms = {name: prepared(VARIANTS[name], data_dir, batches) for name in names}
    fastest = {name: [float("inf")] * batches for name in names}
    for turn in range(turns + 1):
        for number in range(batches):
            for name, (step, data) in forms.items():
                (seconds,) = timed(step, data[number : number + 1])
                if turn:
                    fastest[name][number] = min(seconds, fastest[name][number])
    return {name: batches * BATCH / sum(seconds) for name, seconds in fastest.items()}


def prepared(variant: dict[str, Any], data_dir: Path | None, batches: int) -> tuple[Callable[..., None], Any]:
    """A training step of one side, and its batches."""
    import torch

    from glassformer.training.machine import keep_freed_memory

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    lengths = review_lengths(data_dir)
    newcomer = variant["side"] == "newcomer"
    if not newcomer:
        keep_freed_memory()
    chosen = (
        shuffled_batches(lengths, max(2, batches // 4)) if newcomer else like_length_batches(lengths, batches)
    )
    data = []
    for of_batch in chosen:
        real = torch.arange(int(of_batch.max())) < torch.tensor(of_batch)[:, None]
        ids = torch.randint(2, VOCAB, real.shape).mul_(real)
        mask = None if real.all() and not newcomer else real
        data.append((ids, mask, torch.randint(0, CLASSES, (len(ids),))))

    model = build(variant)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=None if newcomer else True)
    precision = contextlib.nullcontext() if newcomer else torch.autocast("cpu", torch.bfloat16)
    forward = torch.compile(model) if variant.get("mode") == "compiled" else model

    def step(ids: Any, mask: Any, labels: Any) -> None:
        optimizer.zero_grad()
        with kernel(variant):
            with precision:
                logits = forward(ids, mask)
                loss = torch.nn.functional.cross_entropy(logits.float(), labels)
            loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step, data


def timed(step: Callable[..., None], data: list[Any]) -> list[float]:
    """Seconds of a step on each batch."""
    seconds = []
    for batch in data:
        start = time.perf_counter()
        step(*batch)
        seconds.append(time.perf_counter() - start)
    return seconds


@contextlib.contextmanager
def kernel(variant: dict[str, Any]) -> Iterator[None]:
    """The rival's choice among PyTorch's attention kernels."""
    import torch
    from torch.nn.attention import SDPBackend, sdpa_kernel

    torch.backends.cuda.allow_fp16_bf16_reduction_math_sdp(bool(variant.get("reduction")))
    chosen = {"math": SDPBackend.MATH, "fused": SDPBackend.FLASH_ATTENTION}.get(variant.get("kernel", ""))
    with sdpa_kernel(chosen) if chosen else contextlib.nullcontext():
        yield


def build(variant: dict[str, Any]) -> Any:
    """The model of a side, called as model(ids, mask) with mask True at real tokens, or None."""
    import torch
    from torch import nn

    if variant["side"] in ("ours", "ours_first_token", "shipped"):
        from glassformer.models.configs import TextClassifierConfig
        from glassformer.models.text_classifier import TextClassifier

        return TextClassifier(
            TextClassifierConfig(
                vocab=VOCAB, classes=CLASSES, d_model=D_MODEL, heads=HEADS, layers=LAYERS, d_ff=D_FF,
                max_tokens=MAX_TOKENS, positions="learned", attention=variant["attention"],
                pool="cls" if variant["side"] == "ours_first_token" else "mean",
            )
        )  # fmt: skip

    if variant["side"] in ("ours_bert", "ours_bert_whole"):
        from glassformer.models.encoder import EncoderClassifier
        from glassformer.models.encoder_config import PretrainedClassifierConfig

        model = EncoderClassifier(
            PretrainedClassifierConfig(
                vocab=VOCAB, classes=CLASSES, d_model=D_MODEL, heads=HEADS, layers=LAYERS, d_ff=D_FF,
                max_tokens=MAX_TOKENS, token_types=2, pool="cls", head="tanh", dropout=0.0,
                attention=variant["attention"],
            )
        )  # fmt: skip
        if variant["side"] == "ours_bert_whole":
            model.read = None  # the last block is computed for every token
        return model

    if variant["side"] in ("transformers_tuned", "transformers_hooked"):
        from transformers import BertConfig, BertForSequenceClassification

        settings: dict[str, Any] = {
            "vocab_size": VOCAB, "hidden_size": D_MODEL, "num_hidden_layers": LAYERS, "num_labels": CLASSES,
            "num_attention_heads": HEADS, "intermediate_size": D_FF, "max_position_embeddings": MAX_TOKENS,
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
            "attn_implementation": variant["implementation"],
        }  # fmt: skip

        def to_bfloat16(module: nn.Module, inputs: Any, output: Any) -> Any:
            return output.to(torch.bfloat16)

        class Bert(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.bert = BertForSequenceClassification(BertConfig(**settings))
                if variant.get("stream"):
                    self.bert.bert.embeddings.register_forward_hook(to_bfloat16)

            def forward(self, ids: Any, mask: Any) -> Any:
                return self.bert(ids, attention_mask=None if mask is None else mask.long()).logits

        return Bert()

    dropout = 0.1 if variant["side"] == "newcomer" else 0.0

    class Native(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Embedding(VOCAB, D_MODEL)
            first = int(variant["side"] == "native_first_token")
            self.cls = nn.Parameter(torch.zeros(D_MODEL)) if first else None
            self.positions = nn.Parameter(torch.randn(first + MAX_TOKENS, D_MODEL) * 0.02)
            layer = nn.TransformerEncoderLayer(
                D_MODEL, HEADS, D_FF, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(
                layer, LAYERS, norm=nn.LayerNorm(D_MODEL), enable_nested_tensor=False
            )
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(D_MODEL, CLASSES)

        def forward(self, ids: Any, mask: Any) -> Any:
            x = self.embed(ids)
            if self.cls is not None:
                x = torch.cat([self.cls.expand(len(x), 1, -1), x], dim=1)
                mask = None if mask is None else nn.functional.pad(mask, (1, 0), value=True)
            x = self.dropout(x + self.positions[: x.shape[1]])
            if variant.get("stream"):
                x = x.to(torch.bfloat16)
            x = self.encoder(x, src_key_padding_mask=None if mask is None else ~mask)
            if self.cls is not None:
                return self.head(x[:, 0])
            if mask is None:
                return self.head(x.mean(dim=1))
            weights = mask / mask.sum(dim=1, keepdim=True)
            return self.head((weights.to(x.dtype)[:, None] @ x)[:, 0])

    return Native()


if __name__ == "__main__":
    main()
