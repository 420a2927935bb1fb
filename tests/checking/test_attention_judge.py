"""What the judge says of right attention, written by many hands, and of attention with a mistake in it."""

import itertools
import re
from pathlib import Path

import pytest

from glassformer.checking.attention_judge import KINDS
from glassformer.checking.attention_mistakes import THREE
from tests.checking.seeded import attention as seeded
from tests.checking.seeded.judged import compared, judged

CORRECT = [
    path
    for path in sorted((Path(__file__).parent / "correct").glob("*.py"))
    if re.search(r"# contract: (\S+)", path.read_text(encoding="utf-8"))[1] in KINDS  # type: ignore[index]
]


def one_base_each() -> list[tuple[str, str]]:
    """Of every mistake one style, another one for each next mistake."""
    slugs: dict[str, list[str]] = {}
    for slug, base in seeded.cases():
        slugs.setdefault(slug, []).append(base)
    return [(slug, bases[number % len(bases)]) for number, (slug, bases) in enumerate(sorted(slugs.items()))]


@pytest.mark.parametrize(("slug", "base"), one_base_each())
def test_a_seeded_mistake_is_never_called_another(slug: str, base: str) -> None:
    outcome = judged(seeded.source(base, slug), f"{base}.py")
    assert compared(outcome, [slug]).word in ("right", "unknown")


@pytest.mark.parametrize("path", CORRECT, ids=lambda path: path.stem)
def test_right_attention_is_found_right(path: Path) -> None:
    outcome = judged(path.read_text(encoding="utf-8"), path.name)
    assert outcome.error is None
    assert [slug for slug, _ in outcome.mistakes] == []
    assert any(check.name.startswith("output") and check.passed for check in outcome.checks)
    assert all(check.passed for check in outcome.checks)


@pytest.mark.parametrize(
    ("old", "new", "slug"),
    [
        (" / np.sqrt(k.shape[-1])", "", "no-scale"),
        (
            "return softmax(scores)",
            "return softmax(scores.swapaxes(-1, -2)).swapaxes(-1, -2)",
            "softmax-over-queries",
        ),
    ],
)
def test_attention_in_numpy_is_given_arrays(old: str, new: str, slug: str) -> None:
    text = (CORRECT[0].parent / "attention_numpy.py").read_text(encoding="utf-8")
    assert old in text
    outcome = judged(text.replace(old, new), "mine.py")
    assert [found for found, _ in outcome.mistakes] == [slug]
    assert outcome.found["given"] == "NumPy's arrays"
    assert not any("gradient" in check.name for check in outcome.checks)


@pytest.mark.parametrize("pair", list(itertools.combinations(THREE, 2)), ids="+".join)
def test_where_masks_are_only_two_mistakes_explain_them(pair: tuple[str, str]) -> None:
    """Without masks the two would be the third."""
    outcome = judged(seeded.source("self_attention_linear", *pair), "self_attention_linear.py")
    assert {slug for slug, _ in outcome.mistakes} == set(pair)


FREE = """# contract: parameter-free-self-attention
import torch


def self_attention(x):
    weights = torch.softmax(x @ x.mT, dim=-1)
    return weights @ x
"""


@pytest.mark.parametrize(
    ("old", "new", "families"),
    [
        ("dim=-1", "dim=-2", [{"softmax-over-queries", "attention-weights-transposed"}]),
        ("weights @ x", "weights.mT @ x", [{"softmax-over-queries", "attention-weights-transposed"}]),
        ("return weights @ x", "return x", [{"values-not-mixed"}]),
        ("", "", []),
    ],
)
def test_attention_without_parameters(old: str, new: str, families: list[set[str]]) -> None:
    """x xᵀ is symmetric; and no token's share of itself may be all of it."""
    outcome = judged(FREE.replace(old, new), "free.py")
    assert [set(family) for _, family in outcome.mistakes] == families
    assert not outcome.remarks


@pytest.mark.parametrize("more", ["", "no-scale", "dropout"])
def test_heads_in_a_plain_list_are_named_and_judged_all_the_same(more: str) -> None:
    text = seeded.source("multihead_heads_list", *([more] if more == "no-scale" else []))
    if more == "dropout":
        text = text.replace("head_size, causal):", "head_size, causal, dropout=0.2):")
        text = text.replace("self.causal = causal", "self.causal, self.dropout = causal, nn.Dropout(dropout)")
        text = text.replace("bmm(weights, v)", "bmm(self.dropout(weights), v)")
    plain = re.sub(r"nn\.ModuleList\((.*)\)\n", r"[\1]\n", text)
    assert plain != text
    outcome = judged(plain, "plain_list.py")
    assert {slug for slug, _ in outcome.mistakes} == {"layers-in-list", more} - {"", "dropout"}
    assert outcome.error is None
    assert judged(text, "module_list.py").found == outcome.found


def test_a_list_of_what_is_registered_too_is_none() -> None:
    text = seeded.source("multihead_separate")
    end = "        self.out_proj = nn.Linear(d_model, d_model, bias=bias)\n"
    outcome = judged(
        text.replace(end, end + "        self.all = [self.q_proj, [self.k_proj]]\n"), "listed.py"
    )
    assert outcome.mistakes == []


@pytest.mark.parametrize(
    ("mask", "fill", "weights", "slug"),
    [
        ("tril()", "0.0", "", "mask-multiplied"),
        ("tril()", "-1e-9", "", "mask-multiplied"),
        ("triu(1)", 'float("-inf")', "", "causal-transposed"),
        ("triu(1)", "-1e9", "", "causal-transposed"),
        ("triu(1)", 'float("-inf")', ".nan_to_num(0.0)", "causal-transposed"),
        ("tril(-1)", "-1e9", "", "causal-excludes-self"),
        ("tril()", 'float("-inf")', "", ""),
    ],
)
def test_a_causal_mask_that_is_built_in(mask: str, fill: str, weights: str, slug: str) -> None:
    """It hides with what does not hide, or leaves a query nothing: NaN, zeros, or the mean of all."""
    text = seeded.source("multihead_fused")
    for old, new in (
        (", attention_mask=None, is_causal=False", ""),
        (
            "        if is_causal:\n            visible = visible.tril()\n",
            f"        visible = visible.{mask}\n",
        ),
        ("        if attention_mask is not None:\n", ""),
        ("            visible = visible & attention_mask.view(B, 1, 1, T)\n", ""),
        ('float("-inf")', fill),
        ("F.softmax(att, dim=-1)", f"F.softmax(att, dim=-1){weights}"),
    ):
        assert text.count(old) == 1
        text = text.replace(old, new)
    assert [each for each, _ in judged(text, "built_in.py").mistakes] == [slug] * bool(slug)


def test_the_masks_of_a_mistake_in_single_precision_are_compared_as_coarsely() -> None:
    text = seeded.source("attention_plain").replace(
        "scores / d_k**0.5", "scores / torch.sqrt(torch.tensor(k.shape[-2], dtype=torch.float32))"
    )
    outcome = judged(text, "rounded.py")
    assert [slug for slug, _ in outcome.mistakes] == ["scale-by-length"]
    assert all(each.passed for each in outcome.checks if each.name.startswith("mask"))


OF_ONE_LENGTH = """# contract: multi-head-attention
import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, query, key, value, key_padding_mask=None):
        a, b, d = query.shape
        q, k, v = (
            f(x).view(a, b, self.heads, d // self.heads).TURN
            for f, x in ((self.q, query), (self.k, key), (self.v, value))
        )
        s = q @ k.mT / q.shape[-1] ** 0.5
        if key_padding_mask is not None:
            s = s.masked_fill(key_padding_mask[:, None, None], -torch.inf)
        return self.o((s.softmax(-1) @ v).BACK.reshape(a, b, d))
"""


@pytest.mark.parametrize(
    ("turn", "back", "axes", "slugs"),
    [
        ("transpose(1, 2)", "transpose(1, 2)", "a, b", ["equal-lengths-only"]),
        # the length comes first, and nothing in the code says so: named as that alone
        ("permute(1, 2, 0, 3)", "permute(2, 0, 1, 3)", "a, b", ["batch-length-swapped"]),
        ("permute(1, 2, 0, 3)", "permute(2, 0, 1, 3)", "T, B", ["equal-lengths-only"]),
    ],
)
def test_one_length_for_all_three(turn: str, back: str, axes: str, slugs: list[str]) -> None:
    text = OF_ONE_LENGTH.replace("TURN", turn).replace("BACK", back)
    for name, said in zip(("a", "b"), axes.split(", "), strict=True):
        text = re.sub(rf"(?<![\w.'\"]){name}(?=[,)\s])", said, text)
    outcome = judged(text, "mine.py")
    assert [slug for slug, _ in outcome.mistakes] == slugs
    if slugs == ["equal-lengths-only"]:
        view = next(n for n, line in enumerate(text.splitlines(), 1) if ".view(" in line)
        assert outcome.lines["equal-lengths-only"] == view
        failed = [check for check in outcome.checks if not check.passed]
        assert len(failed) == 1
        assert "RuntimeError" in failed[0].detail


def test_with_queries_and_keys_exchanged_it_is_an_exchange() -> None:
    swapped = seeded.source("attention_loop", "q-k-swapped")
    assert [slug for slug, _ in judged(swapped, "mine.py").mistakes] == ["q-k-swapped"]


def test_numpy_beside_torch_is_given_tensors() -> None:
    text = (CORRECT[0].parent / "attention_any_mask.py").read_text(encoding="utf-8") + "import numpy as np\n"
    outcome = judged(text, "mine.py")
    assert outcome.mistakes == []
    assert "given" not in outcome.found
    assert any("gradient" in check.name for check in outcome.checks)
