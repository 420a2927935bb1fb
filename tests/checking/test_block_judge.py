"""What the judge says of right blocks, written by many hands, and of blocks with a mistake in them."""

from pathlib import Path

import pytest

from tests.checking.judged import named, one_base_each, right_files
from tests.checking.seeded import rest
from tests.checking.seeded.judged import ALIKE, judged

CONTRACTS = {"transformer-block", "decoder-block"}
BLOCK = '''# contract: transformer-block
from torch import nn


class TransformerBlock(nn.Module):
    """mask: (tokens, tokens), True where attention is allowed"""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.ln1, self.ln2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.attn = nn.MultiheadAttention(d_model, n_heads, batch_first=True)
        self.mlp = nn.Sequential(nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model))

    def forward(self, x, mask=None):
        y = self.ln1(x)
        x = x + self.attn(y, y, y, attn_mask=None if mask is None else ~mask.bool())[0]
        return x + self.mlp(self.ln2(x))
'''


@pytest.mark.parametrize("path", right_files(CONTRACTS), ids=lambda path: path.stem)
def test_a_right_block_is_found_right(path: Path) -> None:
    outcome = judged(path.read_text(encoding="utf-8"), path.name)
    assert outcome.error is None
    assert outcome.mistakes == []
    assert any(check.name.startswith("output") for check in outcome.checks)
    assert all(check.passed for check in outcome.checks)


@pytest.mark.parametrize(("slug", "base"), one_base_each(CONTRACTS))
def test_a_seeded_mistake_is_called_by_its_name(slug: str, base: str) -> None:
    said = named(judged(rest.source(base, slug), f"{base}.py"))
    assert ALIKE.get(slug, slug) in said


def test_two_mistakes_are_both_named() -> None:
    said = named(judged(rest.source("block_view_heads", "no-scale", "norm-shared"), "pair.py"))
    assert {"no-scale", "norm-shared"} <= said


def test_what_fits_nothing_is_unknown() -> None:
    text = rest.source("block_wrapped").replace("return self.fc2(", "return 1.5 * self.fc2(")
    assert named(judged(text, "other.py")) == {"unknown"}


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("", ""), set()),
        (("~mask.bool()", "mask.bool()"), {"causal-transposed"}),
        (("None if mask is None else ~mask.bool()", "None"), {"padding-ignored", "causal-forgotten"}),
    ],
)
def test_a_square_mask_of_an_encoder_block_is_looked_at(change: tuple[str, str], said: set[str]) -> None:
    found = named(judged(BLOCK.replace(*change), "mask.py"))
    assert bool(found & said) == bool(said)
    assert found <= said


def test_an_eps_that_leaves_nothing_of_the_input_is_not_taken_over() -> None:
    text = BLOCK.replace("nn.LayerNorm(d_model)\n", "nn.LayerNorm(d_model, eps=1e300)\n")
    start = text.index("        y = self.ln1")
    outcome = judged(text[:start] + "        return self.ln2.bias.expand_as(x)\n", "eps.py")
    assert outcome.mistakes


OTHERS = "a row that may attend to nothing leaves the others alone"
TWO_MASKS = '''# contract: transformer-block
import torch
from torch import nn


class TransformerBlock(nn.Module):
    """attn_mask, (tokens, tokens), and padding_mask, (batch, tokens): True where attention is allowed"""

    def __init__(self, d_model, n_heads, d_ff):
        super().__init__()
        self.n_heads = n_heads
        self.ln1, self.ln2 = nn.LayerNorm(d_model), nn.LayerNorm(d_model)
        self.q, self.k = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.v, self.o = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.mlp = nn.Sequential(nn.Linear(d_model, d_ff), nn.GELU(), nn.Linear(d_ff, d_model))

    def forward(self, x, attn_mask=None, padding_mask=None):
        h = self.ln1(x)
        q, k, v = (
            p(h).unflatten(-1, (self.n_heads, -1)).transpose(1, 2) for p in (self.q, self.k, self.v)
        )
        scores = q @ k.mT / q.shape[-1] ** 0.5
        if padding_mask is not None:
            scores = scores.masked_fill(~padding_mask[:, None, None, :], float("-inf"))
        if attn_mask is not None:
            scores = scores.masked_fill(~attn_mask, float("-inf"))
        y = (scores.softmax(-1) @ v).transpose(1, 2).flatten(2)
        x = x + self.o(y)
        return x + self.mlp(self.ln2(x))
'''


@pytest.mark.parametrize(
    ("old", "new", "failed", "remarks"),
    [
        ("", "", set(), {"masked-row-nan"}),
        ("if attn_mask is not", "elif attn_mask is not", {"mask, padding and causal at once"}, set()),
        (
            "padding_mask is not None:",
            "padding_mask is not None and padding_mask.any(1).all():",
            {OTHERS},
            set(),
        ),
    ],
)
def test_masks_are_looked_at_together_and_where_nothing_is_left(
    old: str, new: str, failed: set[str], remarks: set[str]
) -> None:
    outcome = judged(TWO_MASKS.replace(old, new), "two.py")
    assert {each.name for each in outcome.checks if not each.passed} == failed
    assert [slug for slug, _ in outcome.mistakes] == (["unknown-mask"] if failed else [])
    assert {slug for slug, _ in outcome.remarks} & {"masked-row-nan"} >= remarks


def test_heads_that_see_slices_only_are_named_in_a_block_too() -> None:
    text = (rest.BASES / "block_view_heads.py").read_text(encoding="utf-8")
    for letter in "qkv":
        text = text.replace(
            f"self.{letter}_proj = nn.Linear(d_model, d_model)",
            f"self.{letter}_proj = nn.Linear(self.d_head, self.d_head)",
        ).replace(f"self.{letter}_proj(x)", f"self.{letter}_proj(x.unflatten(-1, (-1, self.d_head)))")
    assert {slug for slug, _ in judged(text, "block.py").mistakes} == {"heads-on-slices"}


def test_a_causal_mask_that_is_inverted_for_torchs_kernel_is_named() -> None:
    """The kernel gives zeros, not NaN, to the query that is left nothing."""
    text = rest.source("decoder_torch_attention", "causal-inverted")
    quick = text.replace("attn_mask=mask)", "attn_mask=mask, need_weights=False)")
    assert quick != text
    assert named(judged(quick, "inverted.py")) == {"causal-transposed"}
