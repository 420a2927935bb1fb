"""Seconds that a plain vision transformer needs, from scratch, to 70%, 80%, 90% on CIFAR-10's test images.

    python benchmarks/vit_speedrun.py --data-dir DATA [--lines 0.7 0.8] [--seeds 0 1] [--quick] [--json FILE]
    python benchmarks/vit_speedrun.py --data-dir DATA --choose --epochs 4 5    # judged on validation

The rules: no convolution, no other data, no pretrained weights; images may be smaller in the first epochs,
and are judged as they are. The recipe of each line (RECIPES) is fixed beforehand, on 5,000 images held out of
train (`--choose` trains without them and judges on them); then all of train is trained on, and test is read
once, after the last step. The clock runs from the first step to the last, with the pixels on the device as
bytes and augmentation there; what makes the kernels ready (on CUDA: compilation, the first steps, and the
graph that a step's kernels are recorded in, to be launched as one) is counted apart. A line counts as reached
when the mean over the seeds is at least the line.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.metadata
import json
import statistics
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from glassformer.data.augment import Augmentation, shrunk
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.tasks import find_task
from glassformer.tasks.cifar10 import JPEG_COPY, Cifar10Task
from glassformer.tasks.config import MachineConfig
from glassformer.tasks.image_classification import augmentation_of
from glassformer.training.machine import Machine, prepare_machine
from glassformer.training.module import rate_factor
from glassformer.training.optimizers import make_optimizer
from side_by_side import machine


@dataclass(frozen=True)
class Recipe:
    """A preset of `cifar10`, and what of it is changed: the epochs, and on a GPU larger batches.

    early_epochs: how many of them, the first, see smaller images, where the preset has such; never the last.
    without: augmentations of the preset that are left out.
    """

    preset: str
    epochs: int
    batch_size: int
    muon_learning_rate: float
    early_epochs: int = 0
    without: tuple[str, ...] = ()


RECIPES = {
    "cpu": {0.7: Recipe("cpu", 5, 128, 0.006, early_epochs=4)},
    "cuda": {
        0.7: Recipe("cpu", 6, 512, 0.02),
        0.8: Recipe("cpu", 15, 512, 0.02),
        0.9: Recipe("gpu", 90, 512, 0.02),
    },
}
"""For each kind of device its lines. Chosen on validation; of 0.9 the model and the augmentation, and the
number of epochs by guess, above the 60 that ended at 0.894 there."""

JUDGED_AT_ONCE = 500
WARM_UP_STEPS = 3


def main() -> None:
    """Trains each line with each seed, prints the seconds, writes the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data-dir")
    parser.add_argument(
        "--lines", type=float, nargs="+", help="default: all that the device has a recipe for"
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--device", choices=["auto", "cpu", "cuda"], default="auto")
    parser.add_argument("--threads", type=int, default=0, help="CPU threads, 0: all")
    parser.add_argument("--choose", action="store_true", help="hold validation out of train and judge on it")
    parser.add_argument("--epochs", type=int, nargs="+", help="with --choose: the first that is enough")
    parser.add_argument("--early-epochs", type=int, help="how many on smaller images, with --choose")
    parser.add_argument("--preset", choices=["cpu", "gpu", "best"], help="another recipe, with --choose")
    parser.add_argument("--batch-size", type=int, help="another batch size, with --choose")
    parser.add_argument("--muon-learning-rate", type=float, help="another rate, with --choose")
    parser.add_argument(
        "--without",
        nargs="+",
        choices=[field.name for field in fields(Augmentation)],
        help="leave out these augmentations of the preset's, with --choose",
    )
    parser.add_argument("--quick", action="store_true", help="one epoch of one seed, judged on validation")
    parser.add_argument("--json", type=Path, help="write the figures here")
    options = parser.parse_args()
    if options.quick:
        options.lines, options.seeds, options.choose, options.epochs = [0.7], [0], True, [1]
    changes = {
        name: value
        for name in ("preset", "batch_size", "muon_learning_rate", "early_epochs", "without")
        if (value := getattr(options, name)) is not None
    }
    if (options.epochs or changes) and not options.choose:
        parser.error("another recipe is for choosing on validation; give --choose too")

    chosen = prepare_machine(MachineConfig(device=options.device, threads=options.threads))
    if (options.early_epochs or 0) < 0:
        parser.error(f"--early-epochs {options.early_epochs} is below 0; choose 0 (none) or more")
    recipes = RECIPES["cuda" if chosen.device.type == "cuda" else "cpu"]
    lines = options.lines or list(recipes)
    if unknown := [line for line in lines if line not in recipes]:
        known = ", ".join(str(line) for line in recipes)
        parser.error(f"there is no recipe for {unknown[0]} on {chosen.device.type}; there is for {known}")
    pixels, notes = on_device(options.data_dir, chosen.device, choose=options.choose)
    report: dict[str, Any] = {
        "schema_version": 2,
        "judged_on": "validation" if options.choose else "test",
        "data": "CIFAR-10 (JPEG copy)" if JPEG_COPY in notes else "CIFAR-10",
        "lines": [],
        "machine": machine()
        | {"device": device_name(chosen), "precision": chosen.precision, "threads": chosen.threads},
        "versions": {"torch": importlib.metadata.version("torch")},
        "date": datetime.date.today().isoformat(),
    }
    for line in lines:
        recipe = replace(recipes[line], **changes)
        student = Student(recipe, pixels, chosen)
        for epochs in options.epochs or [recipe.epochs]:
            student.early_epochs = min(recipe.early_epochs, epochs - 1)
            runs: list[dict[str, float]] = []
            result = {
                "line": line,
                "recipe": asdict(replace(recipe, epochs=epochs, early_epochs=student.early_epochs)),
                "parameters": student.parameters,
                "seeds": options.seeds,
                "runs": runs,
            }
            report["lines"].append(result)
            for seed in options.seeds:
                runs.append(student.run(epochs, seed))
                print(f"line {line:.0%}, {epochs} epochs, seed {seed}: {runs[-1]}", flush=True)
                write(report, options.json)  # after each, so that what is stopped has left what it had
            mean = statistics.mean(run["accuracy"] for run in runs)
            seconds = statistics.mean(run["seconds"] for run in runs)
            result |= {"mean_accuracy": mean, "mean_seconds": seconds, "reached": mean >= line}
            write(report, options.json)
            verdict = "reached" if mean >= line else "NOT reached"
            print(
                f"line {line:.0%} {verdict} on {report['judged_on']}: {mean:.4f} after {seconds:.1f} s, "
                f"{epochs} epochs, mean of {len(runs)} seeds",
                flush=True,
            )
            if mean >= line:
                break  # of several numbers of epochs the first that is enough


def write(report: dict[str, Any], path: Path | None) -> None:
    """To a file, where one was asked for."""
    if path:
        path.write_text(json.dumps(report, indent=2) + "\n")


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


class Student:
    """A model that is compiled once, and trained anew from each seed's weights."""

    def __init__(self, recipe: Recipe, pixels: dict[str, tuple[Tensor, Tensor]], chosen: Machine) -> None:
        task = Cifar10Task()
        config = task.preset(recipe.preset, None)
        self.optim = replace(config.optim, muon_learning_rate=recipe.muon_learning_rate)
        without: dict[str, Any] = dict.fromkeys(recipe.without, 0)
        self.augmentation = replace(augmentation_of(config.data), **without)
        self.pixels, self.chosen, self.size = pixels, chosen, recipe.batch_size
        on_gpu = chosen.device.type == "cuda"
        attention = "fused" if on_gpu else config.model.attention
        facts = {"channels": 3, "height": 32, "width": 32, "classes": 10, "attention": attention}
        self.config = replace(config.model, **facts)
        self.model = VisionTransformer(self.config).to(chosen.device)
        self.early_size, self.early_epochs = task.early_size(config), recipe.early_epochs
        if self.early_epochs and not self.early_size:
            raise SystemExit(f"the preset {recipe.preset} has no smaller images; leave out --early-epochs")
        learner = task.in_training(self.model, config) if self.early_epochs else self.model
        self.forward = torch.compile(learner) if on_gpu else learner
        self.gradients = Replayed(self._gradients) if on_gpu else self._gradients
        self.parameters = sum(parameter.numel() for parameter in self.model.parameters())
        self.precision = torch.autocast(
            chosen.device.type, torch.bfloat16, enabled=chosen.precision == "bf16"
        )

    def run(self, epochs: int, seed: int) -> dict[str, float]:
        """One training from scratch, and one look at the judged images."""
        warm_up_seconds = 0.0
        if self.chosen.device.type == "cuda":
            warm_up_seconds = self._train(2, min(1, self.early_epochs), seed, most=WARM_UP_STEPS)
        seconds = self._train(epochs, self.early_epochs, seed)

        judged, truth = self.pixels["judged"]
        self.model.eval()
        with torch.inference_mode(), self.precision:
            said = torch.cat([self.model(scaled(part)).argmax(1) for part in judged.split(JUDGED_AT_ONCE)])
        return {
            "seed": seed,
            "accuracy": float((said == truth).float().mean()),
            "seconds": round(seconds, 2),
            "warm_up_seconds": round(warm_up_seconds, 1),
        }

    def _train(self, epochs: int, early_epochs: int, seed: int, most: int | None = None) -> float:
        """From fresh weights; gives the seconds from the first step to the last. most: of each epoch."""
        device = self.chosen.device
        torch.manual_seed(seed)
        self.model.load_state_dict(VisionTransformer(self.config).state_dict())
        self.model.train()
        images, labels = self.pixels["learned"]
        batches = len(images) // self.size
        dtype = torch.bfloat16 if self.chosen.precision == "bf16" else torch.float32
        optimizer = make_optimizer(self.model, self.optim, dtype)
        schedule = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda step: rate_factor(step, epochs * batches, self.optim)
        )
        generator = torch.Generator().manual_seed(seed)
        if device.type == "cuda":
            torch.cuda.synchronize()
        start = time.perf_counter()
        for epoch in range(epochs):
            order = torch.randperm(len(images), generator=generator).to(device)
            for number in range(min(batches, most or batches)):
                rows = order[number * self.size : (number + 1) * self.size]
                truth = labels[rows]
                batch, mixed = self.augmentation(images[rows].float() / 255, truth, 10, generator)
                if self.early_size and epoch < early_epochs:
                    batch = shrunk(batch, self.early_size)
                gradients = self.gradients(batch * 2 - 1, truth if mixed is None else mixed)
                for parameter, gradient in zip(self.model.parameters(), gradients, strict=True):
                    parameter.grad = gradient
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), self.optim.clip)
                optimizer.step()
                schedule.step()
        if device.type == "cuda":
            torch.cuda.synchronize()
        return time.perf_counter() - start

    def _gradients(self, batch: Tensor, truth: Tensor) -> tuple[Tensor, ...]:
        """Of the mean loss, for each parameter."""
        with self.precision:
            logits = self.forward(batch)
        smoothing = self.optim.label_smoothing
        loss = functional.cross_entropy(logits.float(), truth, label_smoothing=smoothing)
        return torch.autograd.grad(loss, list(self.model.parameters()))


Recorded = tuple[torch.cuda.CUDAGraph, list[Tensor], tuple[Tensor, ...]]


class Replayed:
    """What a function of tensors does on CUDA, recorded once for each shape, and then launched as one graph.

    The results of a call lie where those of the last call with that shape lay.

    Source: the CUDA programming guide, 'CUDA Graphs'.
    """

    def __init__(self, compute: Callable[..., tuple[Tensor, ...]]) -> None:
        self.compute = compute
        self.recorded: dict[tuple[torch.Size, ...], Recorded] = {}

    def __call__(self, *tensors: Tensor) -> tuple[Tensor, ...]:
        shapes = tuple(each.shape for each in tensors)
        if shapes not in self.recorded:
            self.recorded[shapes] = self._record([each.clone() for each in tensors])
        graph, inputs, results = self.recorded[shapes]
        for own, given in zip(inputs, tensors, strict=True):
            own.copy_(given)
        graph.replay()
        return results

    def _record(self, inputs: list[Tensor]) -> Recorded:
        stream = torch.cuda.Stream()
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            for _ in range(WARM_UP_STEPS):  # compilers and libraries make themselves ready
                self.compute(*inputs)
        torch.cuda.current_stream().wait_stream(stream)
        graph = torch.cuda.CUDAGraph()
        with torch.cuda.graph(graph, stream=stream):
            results = self.compute(*inputs)
        return graph, inputs, results


def scaled(pixels: Tensor) -> Tensor:
    """Bytes to [-1, 1]."""
    return pixels.float() / 127.5 - 1


if __name__ == "__main__":
    main()
