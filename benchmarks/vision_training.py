"""Images trained per second: Glassformer beside what its user would otherwise have.

    python benchmarks/vision_training.py [--quick] [--json FILE] [--precision bf16|fp32]

Every side trains the same sizes (32x32 colour images, patches of 4, 6 layers, d_model 192, 3 heads, d_ff 768,
10 classes, 256 images a batch) on noise; what the images show does not matter to the clock. Ours and native
are one architecture: learned positions, pre-norm, GELU, mean over the patches. transformers' ViT is what it
is, a CLS token more, read by the classifier, and is compared with `ours_vit`, our model with that token: the
same parameters, the same function, the same gradients. A step is forward, loss, backward, clipping at norm 1,
AdamW.

Rivals:
- `native_tuned`: torch.nn.TransformerEncoder, every form in VARIANTS tried, the fastest counts. `bf16
  stream`: the embedded patches cast to bfloat16, as ours does, one line that any user could add.
- `transformers_tuned`: ViTForImageClassification, every form that its own switches, autocast and
  torch.compile give.
- `transformers_hooked`: the same with a hook of ours inside, which casts the embedded patches to bfloat16:
  what it would do if it had our residual stream. None of its switches does that.
- `newcomer`: torch.nn.TransformerEncoder as its documentation shows it: float32, dropout 0.1, plain AdamW,
  the allocator as it comes.

`ratios` compares algorithms: all sides get bf16 autocast, no dropout, the fused AdamW and the same allocator
settings. `defaults` compares ours as shipped with the newcomer: our own allocator setting, bf16, and batches
from our own loader with crop and flip, whose time is part of the step; the newcomer is handed its batches.
Both are trained with AdamW; the preset's Muon costs some more and is no part of this comparison.
`loading_share` is the loader's part of a step as shipped.

Sides alternate in rounds, each in a process of its own with two threads, after warm-up steps that are not
timed. The median step counts. Compiled forms are left out of a quick look.

Where bf16's products are not faster than fp32's, as on a processor without instructions for it, all sides
train in fp32 (`--precision` says so or otherwise), and the forms that differ by bf16 alone are left out.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import statistics
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal

from side_by_side import THREADS, compare, in_process

CLASSES, LAYERS, D_MODEL, HEADS, D_FF, PATCH, SIZE, BATCH = 10, 6, 192, 3, 768, 4, 32, 256
WARM_UP = 2

VARIANTS: dict[str, dict[str, Any]] = {
    "ours explicit": {"side": "ours", "attention": "explicit"},
    "ours tiled": {"side": "ours", "attention": "tiled"},
    "ours fused": {"side": "ours", "attention": "fused"},
    "ours with a CLS token, explicit": {"side": "ours_vit", "attention": "explicit"},
    "ours with a CLS token, tiled": {"side": "ours_vit", "attention": "tiled"},
    "ours with a CLS token, fused": {"side": "ours_vit", "attention": "fused"},
    "native fused": {"side": "native_tuned", "kernel": "fused"},
    "native math": {"side": "native_tuned", "kernel": "math"},
    "native math, bf16 reduction": {"side": "native_tuned", "kernel": "math", "reduction": True},
    "native fused, bf16 stream": {"side": "native_tuned", "kernel": "fused", "stream": True},
    "native math, bf16 reduction, bf16 stream": {
        "side": "native_tuned", "kernel": "math", "reduction": True, "stream": True,
    },
    "native math, bf16 reduction, bf16 stream, compiled": {
        "side": "native_tuned", "kernel": "math", "reduction": True, "stream": True, "compiled": True,
    },
    "native fused, compiled": {"side": "native_tuned", "kernel": "fused", "compiled": True},
    "transformers eager": {"side": "transformers_tuned", "implementation": "eager"},
    "transformers sdpa": {"side": "transformers_tuned", "implementation": "sdpa"},
    "transformers eager, bf16 stream": {
        "side": "transformers_hooked", "implementation": "eager", "stream": True,
    },
    "transformers sdpa math, bf16 reduction, bf16 stream": {
        "side": "transformers_hooked", "implementation": "sdpa", "kernel": "math", "reduction": True,
        "stream": True,
    },
    "transformers eager, compiled": {
        "side": "transformers_tuned", "implementation": "eager", "compiled": True,
    },
    "transformers eager, bf16 stream, compiled": {
        "side": "transformers_hooked", "implementation": "eager", "stream": True, "compiled": True,
    },
    "newcomer": {"side": "newcomer"},
    "ours as shipped": {"side": "shipped", "attention": "tiled"},
}  # fmt: skip


SAME_AS = {"transformers_tuned": "ours_vit", "transformers_hooked": "ours_vit"}
"""The rivals of another architecture than `ours`, and the side of ours that has theirs."""


BF16_ALONE = {"reduction", "stream"}
"""What a form has in VARIANTS that changes nothing in fp32."""


def main() -> None:
    """Runs the rounds, prints a table and writes the JSON."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--quick", action="store_true", help="fewer steps, rounds and forms of the rivals")
    parser.add_argument("--json", type=Path, help="write the figures here")
    parser.add_argument("--rounds", type=int)
    parser.add_argument("--steps", type=int, help="steps in a measured pass")
    parser.add_argument(
        "--variants",
        help="forms, separated by semicolons: look at these once; with --rounds, compare them alone",
    )
    parser.add_argument(
        "--precision", choices=["auto", "bf16", "fp32"], default="auto", help="default: bf16 where it is fast"
    )
    parser.add_argument("--worker", help=argparse.SUPPRESS)
    options = parser.parse_args()
    rounds = options.rounds or (3 if options.quick else 7)
    steps = options.steps or (5 if options.quick else 12)
    if options.worker:
        print(json.dumps(measure(VARIANTS[options.worker], steps, options.precision)))
        return

    precision = chosen_precision(options.precision)

    def run(variant: str) -> float:
        return in_process(__file__, variant, ["--steps", str(steps), "--precision", precision])

    chosen = options.variants.split(";") if options.variants else []
    if chosen and not options.rounds:
        for name in chosen:
            print(f"{name:54}{run(name):8.1f} images/s", flush=True)
        return
    left_out = ({"compiled"} if options.quick else set()) | (BF16_ALONE if precision == "fp32" else set())
    names = [name for name in VARIANTS if not left_out & set(VARIANTS[name])]
    report = compare(VARIANTS, chosen or names, rounds, run, same_as=SAME_AS) | {"precision": precision}
    if shipped := report["variants"].get("ours as shipped"):
        report["loading_share"] = loading_share(shipped["rounds"])
        print(f"loading and augmentation: {report['loading_share']:.1%} of a step as shipped")
    if options.json:
        options.json.write_text(json.dumps(report, indent=2) + "\n")


def loading_share(images_per_second: list[float]) -> float:
    """What the loader takes of a step of the median round."""
    import torch

    torch.set_num_threads(THREADS)
    batches = iter(shipped_batches(11))
    next(batches)
    start = time.perf_counter()
    for _ in range(10):
        next(batches)
    seconds = (time.perf_counter() - start) / 10
    return seconds * statistics.median(images_per_second) / BATCH


def shipped_batches(batches: int) -> Any:
    """cifar10's loader on noise, with the crop and the flip of its preset."""
    import numpy as np

    from glassformer.data.augment import Augmentation
    from glassformer.data.image_batches import ImageBatches
    from glassformer.data.images import ImageExamples, Images

    count = BATCH * batches
    pixels = np.random.default_rng(0).integers(0, 256, (count, 3, SIZE, SIZE), dtype=np.uint8)
    rows = np.arange(count)
    examples = ImageExamples(Images(pixels, np.zeros(count, dtype=np.uint64)), rows, rows % CLASSES)
    return ImageBatches(
        examples, BATCH, shuffle=True, augmentation=Augmentation(crop=4, flip=True), classes=CLASSES
    )


def chosen_precision(asked: Literal["auto", "fp32", "bf16"]) -> str:
    """'bf16' or 'fp32': as asked, or as a training here would choose."""
    from glassformer.tasks.config import MachineConfig
    from glassformer.training.machine import prepare_machine

    return prepare_machine(MachineConfig(device="cpu", precision=asked, threads=THREADS)).precision


def measure(variant: dict[str, Any], steps: int, precision: str) -> dict[str, float]:
    """Images a second of one side, in this process."""
    import torch

    from glassformer.training.machine import keep_freed_memory

    torch.set_num_threads(THREADS)
    torch.manual_seed(0)
    newcomer = variant["side"] == "newcomer"
    if not newcomer:
        keep_freed_memory()
    batches: Any
    if variant["side"] == "shipped":
        batches = iter(shipped_batches(steps + WARM_UP))
    else:
        images = torch.rand(BATCH, 3, SIZE, SIZE) * 2 - 1
        fixed = {"images": images, "labels": torch.randint(0, CLASSES, (BATCH,))}
        batches = iter([fixed] * (steps + WARM_UP))
    model = build(variant)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, fused=None if newcomer else True)
    autocast = torch.autocast("cpu", torch.bfloat16, enabled=precision == "bf16" and not newcomer)
    forward = torch.compile(model) if variant.get("compiled") else model

    def step() -> None:
        batch = next(batches)
        optimizer.zero_grad()
        with autocast:
            logits = forward(batch["images"])
            loss = torch.nn.functional.cross_entropy(logits.float(), batch["labels"])
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    with kernel(variant):
        for _ in range(WARM_UP):
            step()
        seconds = []
        for _ in range(steps):
            start = time.perf_counter()
            step()
            seconds.append(time.perf_counter() - start)
    return {"per_second": BATCH / statistics.median(seconds)}


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
    """The model of a side, called as model(images)."""
    import torch
    from torch import nn

    if variant["side"] in ("ours", "ours_vit", "shipped"):
        from glassformer.models.configs import VisionTransformerConfig
        from glassformer.models.vision_transformer import VisionTransformer

        return VisionTransformer(
            VisionTransformerConfig(
                layers=LAYERS, heads=HEADS, d_model=D_MODEL, d_ff=D_FF, patch=PATCH, positions="learned",
                pool="cls" if variant["side"] == "ours_vit" else "mean", attention=variant["attention"],
                channels=3, height=SIZE, width=SIZE, classes=CLASSES,
                eps=1e-12 if variant["side"] == "ours_vit" else 1e-5,
            )
        )  # fmt: skip

    if variant["side"] in ("transformers_tuned", "transformers_hooked"):
        from transformers import ViTConfig, ViTForImageClassification

        settings: dict[str, Any] = {
            "image_size": SIZE, "patch_size": PATCH, "num_channels": 3, "hidden_size": D_MODEL,
            "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": D_FF,
            "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0, "num_labels": CLASSES,
            "attn_implementation": variant["implementation"],
        }  # fmt: skip

        def to_bfloat16(module: nn.Module, inputs: Any, output: Any) -> Any:
            return output.to(torch.bfloat16)

        class Vit(nn.Module):
            def __init__(self) -> None:
                super().__init__()
                self.vit = ViTForImageClassification(ViTConfig(**settings))
                if variant.get("stream"):
                    self.vit.vit.embeddings.register_forward_hook(to_bfloat16)

            def forward(self, images: Any) -> Any:
                return self.vit(pixel_values=images).logits

        return Vit()

    dropout = 0.1 if variant["side"] == "newcomer" else 0.0

    class Native(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.embed = nn.Conv2d(3, D_MODEL, PATCH, stride=PATCH)
            self.positions = nn.Parameter(torch.randn((SIZE // PATCH) ** 2, D_MODEL) * 0.02)
            layer = nn.TransformerEncoderLayer(
                D_MODEL, HEADS, D_FF, dropout, activation="gelu", batch_first=True, norm_first=True
            )
            self.encoder = nn.TransformerEncoder(
                layer, LAYERS, norm=nn.LayerNorm(D_MODEL), enable_nested_tensor=False
            )
            self.dropout = nn.Dropout(dropout)
            self.head = nn.Linear(D_MODEL, CLASSES)

        def forward(self, images: Any) -> Any:
            x = self.embed(images).flatten(2).transpose(1, 2)
            x = self.dropout(x + self.positions)
            if variant.get("stream"):
                x = x.to(torch.bfloat16)
            return self.head(self.encoder(x).mean(dim=1))

    return Native()


if __name__ == "__main__":
    main()
