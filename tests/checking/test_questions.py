"""Right code that does something unusual: one question, and an adapter that can be pasted as it is shown."""

import re
from pathlib import Path

import pytest

from glassformer.checking import check_file
from glassformer.checking.zygote import Zygote

MULTI_HEAD = """
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, heads{built}):
        super().__init__()
        {checks}
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, {called}):
        x = {x}
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        weights = (q @ k.mT / q.shape[-1] ** 0.5 * {by}).softmax(-1)
        return self.o((weights @ v).transpose(1, 2).flatten(2))
"""
USUAL = {"built": "", "checks": "", "called": "x", "x": "x", "by": "1"}
BUILT = MULTI_HEAD.format(**USUAL | {"built": ", backend", "checks": "assert backend in ('math', 'flash')"})
TEMPERATURE = MULTI_HEAD.format(**USUAL | {"called": "x, temperature", "by": "temperature['now']"})
DICTIONARY = MULTI_HEAD.format(**USUAL | {"called": "batch", "x": "batch['x']"})
LOSS = """
import torch.nn.functional as F


def lm_loss(model, batch, pad_id=0):
    logits = model(batch[:, :-1])
    return F.cross_entropy(logits.flatten(0, 1), batch[:, 1:].flatten(), ignore_index=pad_id)
"""
NORM = """
def layer_norm(x, gain, bias, axis, epsilon):
    mean, var = x.mean(axis, keepdim=True), x.var(axis, keepdim=True, unbiased=False)
    return gain * (x - mean) / (var + epsilon) ** 0.5 + bias
"""
PATCHES = """
def patchify(x, num_patches_h, num_patches_w):
    b, c, h, w = x.shape
    x = x.reshape(b, c, num_patches_h, h // num_patches_h, num_patches_w, w // num_patches_w)
    return x.permute(0, 2, 4, 1, 3, 5).reshape(b, num_patches_h * num_patches_w, -1)
"""
ATTENTION = """
def attention(q, k, v, dropout_fn):
    return dropout_fn((q @ k.mT / q.shape[-1] ** 0.5).softmax(-1)) @ v
"""


@pytest.mark.parametrize(
    ("text", "unknown", "filled"),
    [
        (BUILT, "backend", ["'math'"]),
        (TEMPERATURE, "temperature", ["{'now': 1.0}"]),
        (DICTIONARY, "batch", ["{'x': x}"]),
        (LOSS, "model and batch", ["lambda ids: logits[:, :-1]", "tokens"]),
        (NORM, "axis", ["-1"]),
        (PATCHES, "num_patches_h and num_patches_w", ["x.shape[2] // 2", "x.shape[3] // 2"]),
        (ATTENTION, "dropout_fn", ["lambda shares: shares"]),
    ],
)
def test_the_adapter_is_ready_to_paste(
    text: str, unknown: str, filled: list[str], tmp_path: Path, zygote: Zygote | None
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    verdict = check_file(path, zygote=zygote)
    assert (verdict.word, verdict.mistakes) == ("inconclusive", ())
    assert verdict.question.count("?") == 1
    assert f"does not know what {unknown} should be" in verdict.question
    adapter = [line[4:] for line in verdict.question.splitlines() if line.startswith("    ")]
    assert len(adapter) <= 3
    pasted = "\n".join(adapter)
    assert pasted.count("...") == len(filled)
    for each in filled:
        pasted = pasted.replace("...", each, 1)
    path.write_text(f"{text}\n\n{pasted}\n", encoding="utf-8")
    said = re.search(r"check that: glassformer check (\S+) --as (\S+)", verdict.question)
    assert said
    assert check_file(said[1], said[2], zygote=zygote).correct
