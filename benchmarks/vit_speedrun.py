"""Seconds that a plain vision transformer needs, from scratch, to 70%, 80%, 90% on CIFAR-10's test images.

    python benchmarks/vit_speedrun.py --data-dir DATA [--lines 0.7 0.8] [--seeds 0 1] [--quick] [--json FILE]
    python benchmarks/vit_speedrun.py --data-dir DATA --choose --epochs 5      # judged on validation

The rules: no convolution, no other data, no pretrained weights. The epochs of each line (SCHEDULES) are
fixed beforehand, on 5,000 images held out of train (`--choose` trains without them and judges on them); then
all of train is trained on, and test is read once, after the last step. The clock runs from the first step to
the last, with the pixels on the device as bytes and augmentation there; a compilation (on CUDA) is counted
apart. A line counts as reached when the mean over the seeds is at least the line.
"""

from __future__ import annotations

import argparse
import contextlib
import datetime
import importlib.metadata
import json
import statistics
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from glassformer.data.augment import Augmentation
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.tasks import find_task
from glassformer.tasks.cifar10 import JPEG_COPY
from glassformer.tasks.config import MachineConfig
from glassformer.training.machine import Machine, prepare_machine
from glassformer.training.module import rate_factor
from glassformer.training.optimizers import make_optimizer
from side_by_side import machine

SCHEDULES = {0.7: 4, 0.8: 12, 0.9: 120}
"""Epochs for each line. Chosen on validation for 0.7 alone; the others are guesses until a GPU chose them."""

JUDGED_AT_ONCE = 500


def main() -> None:
    """Trains each line with each seed, prints the seconds, writes the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir")
    parser.add_argument("--lines", type=float, nargs="+", choices=list(SCHEDULES), default=[0.7])
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--choose", action="store_true", help="hold validation out of train and judge on it")
    parser.add_argument("--epochs", type=int, help="another number of epochs, with --choose")
    parser.add_argument("--quick", action="store_true", help="one epoch of one seed, judged on validation")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if options.quick:
        options.lines, options.seeds, options.choose, options.epochs = [0.7], [0], True, 1
    if options.epochs and not options.choose:
        parser.error("--epochs is for choosing on validation; give --choose too")

    chosen = prepare_machine(MachineConfig(device=options.device))
    pixels, notes = on_device(options.data_dir, chosen.device, choose=options.choose)
    lines: dict[str, Any] = {}
    for line in options.lines:
        epochs = options.epochs or SCHEDULES[line]
        runs = []
        for seed in options.seeds:
            runs.append(speedrun(pixels, epochs, seed, chosen))
            print(f"line {line:.0%}, seed {seed}: {runs[-1]}", flush=True)
        mean = statistics.mean(run["accuracy"] for run in runs)
        seconds = statistics.mean(run["seconds"] for run in runs)
        lines[str(line)] = {
            "epochs": epochs, "mean_accuracy": mean, "mean_seconds": seconds, "reached": mean >= line,
            "runs": runs,
        }  # fmt: skip
        verdict = "reached" if mean >= line else "NOT reached"
        print(f"line {line:.0%} {verdict}: {mean:.4f} after {seconds:.1f} s, mean of {len(runs)} seeds")
    report = {
        "schema_version": 1,
        "judged_on": "validation" if options.choose else "test",
        "data": "CIFAR-10 (JPEG copy)" if JPEG_COPY in notes else "CIFAR-10",
        "lines": lines,
        "machine": machine()
        | {"device": device_name(chosen), "precision": chosen.precision, "threads": chosen.threads},
        "versions": {"torch": importlib.metadata.version("torch")},
        "date": datetime.date.today().isoformat(),
    }
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def device_name(chosen: Machine) -> str:
    """The GPU's name, or the kind of device."""
    return torch.cuda.get_device_name() if chosen.device.type == "cuda" else chosen.device.type


def on_device(
    data_dir: str | None, device: torch.device, *, choose: bool
) -> tuple[dict[str, tuple[Tensor, Tensor]], list[str]]:
    """`learned` and `judged`: (bytes of the pixels, labels), each on the device; and notes on the images."""
    task = find_task("cifar10")
    config = replace(task.preset("cpu", None), data_dir=data_dir)
    prepared = task.prepare(config, print)
    parts = {split: prepared.inputs[split].read() for split in ("train", "validation", "test")}
    learned = [parts["train"]] if choose else [parts["train"], parts["validation"]]
    judged = parts["validation" if choose else "test"]
    together = [np.concatenate([np.asarray(part[i]) for part in learned]) for i in (0, 1)]

    def there(pair: Any) -> tuple[Tensor, Tensor]:
        pixels, labels = (torch.from_numpy(np.ascontiguousarray(each)).to(device) for each in pair)
        return pixels, labels

    return {"learned": there(together), "judged": there(judged)}, prepared.notes


def speedrun(
    pixels: dict[str, tuple[Tensor, Tensor]], epochs: int, seed: int, chosen: Machine
) -> dict[str, float]:
    """One training from scratch, and one look at the judged images."""
    task = find_task("cifar10")
    config = task.preset("cpu", None)
    torch.manual_seed(seed)
    facts = {"channels": 3, "height": 32, "width": 32, "classes": 10}
    model = VisionTransformer(replace(config.model, **facts)).to(chosen.device)
    images, labels = pixels["learned"]
    size = config.fit.batch_size
    batches = len(images) // size
    total = epochs * batches
    dtype = torch.bfloat16 if chosen.precision == "bf16" else torch.float32
    optimizer = make_optimizer(model, config.optim, dtype)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_factor(step, total, config.optim)
    )
    augmentation = Augmentation(crop=config.data.crop, flip=config.data.flip)
    generator = torch.Generator(chosen.device).manual_seed(seed)
    precision = torch.autocast(chosen.device.type, torch.bfloat16, enabled=chosen.precision == "bf16")
    forward, compile_seconds = model, 0.0
    if chosen.device.type == "cuda":
        forward = torch.compile(model)
        start = time.perf_counter()
        with precision:
            forward(scaled(images[:size])).float().sum().backward()
        optimizer.zero_grad()
        torch.cuda.synchronize()
        compile_seconds = time.perf_counter() - start

    start = time.perf_counter()
    for _ in range(epochs):
        order = torch.randperm(len(images), generator=generator, device=chosen.device)
        for number in range(batches):
            rows = order[number * size : (number + 1) * size]
            batch, _ = augmentation(images[rows].float() / 255, labels[rows], 10, generator)
            with precision:
                logits = forward(batch * 2 - 1)
            loss = functional.cross_entropy(logits.float(), labels[rows])
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), config.optim.clip)
            optimizer.step()
            schedule.step()
    if chosen.device.type == "cuda":
        torch.cuda.synchronize()
    seconds = time.perf_counter() - start

    judged, truth = pixels["judged"]
    model.eval()
    with torch.inference_mode(), precision if chosen.precision == "bf16" else contextlib.nullcontext():
        said = torch.cat([model(scaled(part)).argmax(1) for part in judged.split(JUDGED_AT_ONCE)])
    return {
        "seed": seed,
        "accuracy": float((said == truth).float().mean()),
        "seconds": round(seconds, 1),
        "compile_seconds": round(compile_seconds, 1),
    }


def scaled(pixels: Tensor) -> Tensor:
    """Bytes to [-1, 1]."""
    return pixels.float() / 127.5 - 1


if __name__ == "__main__":
    main()
