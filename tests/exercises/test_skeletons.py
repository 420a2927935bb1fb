"""What a learner gets is cut from the project's own source, stands alone, computes what the house does."""

import ast
import inspect
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from glassformer.baselines import network
from glassformer.exercises.folders import reference, skeleton
from glassformer.exercises.reference import attention, parts, sheet_b, sheet_c, sheet_d, sheet_e
from glassformer.exercises.sheets import SHAPES, SHEETS, Sheet
from glassformer.exercises.skeletons import assembled, left_open
from glassformer.nn import (
    FeedForward,
    MultiHeadAttention,
    MultiHeadSelfAttention,
    PostNormBlock,
    PreNormBlock,
    PreNormDecoderBlock,
    SelfAttention,
    SelfAttention2d,
    SinusoidalPositions,
    causal_mask,
    padding_mask,
)
from glassformer.nn.masks import Mask

sheets = pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)


@sheets
def test_a_skeleton_leaves_open_what_is_asked_for_and_nothing_else(sheet: Sheet) -> None:
    found: dict[str, bool] = {}
    for text in skeleton(sheet).values():
        for node in ast.parse(text).body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found[node.name] = left_open(node)
                assert ast.get_docstring(node)
    assert set(sheet.targets) <= set(found)
    assert all(found[name] for name in sheet.targets)
    filled = "".join(reference(sheet).values())
    assert not any(left_open(node) for node in ast.parse(filled).body if isinstance(node, ast.ClassDef))
    assert "NotImplementedError" not in filled


@sheets
@pytest.mark.parametrize("make", [skeleton, reference])
def test_files_stand_alone_and_their_sentences_hold(sheet: Sheet, make: Any) -> None:
    names: dict[str, Any] = {}
    for text in make(sheet).values():
        assert "glassformer" not in text
        assert "jaxtyping" not in text
        assert not [line for line in text.splitlines() if len(line) > 120]
        exec(text, names)
    for target in sheet.targets:
        sentence = compile(SHAPES[target], target, "eval")
        here = {**names, "torch": torch, "np": np}
        if make is reference:
            assert eval(sentence, here)
        else:
            with pytest.raises(NotImplementedError, match=f"TODO: {target}"):
                eval(sentence, here)


def test_docstrings_and_signatures_are_those_of_the_source() -> None:
    text = assembled(["glassformer.nn.feedforward:FeedForward"], ["FeedForward"])
    (node,) = (each for each in ast.parse(text).body if isinstance(each, ast.ClassDef))
    assert ast.get_docstring(node) == inspect.getdoc(FeedForward)
    assert "def forward(self, x: Tensor) -> Tensor:" in text
    assert "x: (batch, tokens, d_model) -> (batch, tokens, d_model)" in text
    assert "expand" not in text


def test_half_a_class_is_no_longer_open() -> None:
    text = skeleton(SHEETS["C"])["vit.py"].replace(
        'raise NotImplementedError("TODO: SelfAttention2d.__init__")',
        "self.query = nn.Linear(channels, channels)",
    )
    (node,) = (each for each in ast.parse(text).body if getattr(each, "name", "") == "SelfAttention2d")
    assert isinstance(node, ast.ClassDef)
    assert not left_open(node)


def copied(source: nn.Module, into: nn.Module) -> None:
    """Random values, the same in both, in the order in which parameters were made."""
    torch.manual_seed(4)
    pairs = list(zip(source.parameters(), into.parameters(), strict=True))
    with torch.no_grad():
        for one, two in pairs:
            one.copy_(torch.randn(one.shape) / 3)
            two.copy_(one.reshape(two.shape))


def same(one: torch.Tensor, two: torch.Tensor) -> bool:
    return torch.allclose(one, two, atol=1e-5)


def in_one(module: Any) -> dict[str, torch.Tensor]:
    """Maps of Q, K and V apart, as `MultiHeadAttention` stacks them."""
    maps = (module.query, module.key, module.value)
    return {
        "qkv.weight": torch.cat([each.weight for each in maps]),
        "qkv.bias": torch.cat([each.bias for each in maps]),
        "output.weight": module.output.weight,
        "output.bias": module.output.bias,
    }


X, CONTEXT = torch.randn(2, 5, 24), torch.randn(2, 7, 24)


def test_attention_is_that_of_the_house() -> None:
    one, two = attention.SelfAttention(24, 8), SelfAttention(24, 8)
    copied(one, two)
    assert same(one(X), two(X))
    several, listed = attention.MultiHeadSelfAttention(24, 3), MultiHeadSelfAttention(24, 3)
    copied(several, listed)
    assert same(several(X), listed(X))
    ours, theirs = attention.MultiHeadAttention(24, 3), MultiHeadAttention(24, 3)
    theirs.load_state_dict(in_one(ours))
    padding = torch.tensor([[True] * 4 + [False] * 3, [False] * 7])
    assert same(ours(X), theirs(X))
    assert same(ours(X, CONTEXT, padding[:, None, None]), theirs(X, CONTEXT, Mask(keys=padding)))
    wide, named = attention.WideMultiHeadAttention(24, 3), MultiHeadAttention(24, 3, d_head=24)
    named.load_state_dict(in_one(wide))
    assert same(wide(X), named(X))
    grid, known = sheet_c.SelfAttention2d(24, 3), SelfAttention2d(24, 3)
    known.attention.load_state_dict(in_one(grid))
    image = torch.randn(2, 24, 3, 5)
    assert same(grid(image), known(image))


def block(kind: Any, ours: Any, relu: bool, d_head: int | None = None) -> nn.Module:
    """The house's block with the weights of ours."""
    activation = nn.functional.relu if relu else nn.functional.gelu
    made = kind(MultiHeadAttention(24, 3, d_head=d_head), FeedForward(24, 40, activation), 24)
    attends = ours.attention
    if isinstance(attends, attention.MultiHeadSelfAttention):
        listed = MultiHeadSelfAttention(24, 3)
        listed.load_state_dict(attends.state_dict())
        made.attention = MultiHeadAttention.from_heads(listed)
    else:
        made.attention.load_state_dict(in_one(attends))
    inner = [each for each in ours.feed_forward.modules() if isinstance(each, nn.Linear)]
    made.feed_forward.expand, made.feed_forward.contract = inner
    made.attention_norm, made.feed_forward_norm = ours.attention_norm, ours.feed_forward_norm
    return made


def test_blocks_are_those_of_the_house() -> None:
    for ours, kind, relu, d_head in (
        (sheet_b.TransformerBlock(24, 3, 40), PreNormBlock, True, None),
        (sheet_c.SelfAttentionTransformerBlock(24, 3, 40), PreNormBlock, False, None),
        (sheet_d.TransformerBlock(24, 3, 40), PostNormBlock, True, 24),
        (sheet_e.EncoderBlock(24, 3, 40), PreNormBlock, False, None),
    ):
        for each in ours.parameters():
            nn.init.normal_(each, std=0.3)
        assert same(ours(X), block(kind, ours, relu, d_head)(X))


def test_the_decoder_block_is_that_of_the_house() -> None:
    ours = sheet_e.DecoderBlock(24, 3, 40)
    theirs = PreNormDecoderBlock(MultiHeadAttention(24, 3), MultiHeadAttention(24, 3), ours.feed_forward, 24)
    theirs.self_attention.load_state_dict(in_one(ours.self_attention))
    theirs.cross_attention.load_state_dict(in_one(ours.cross_attention))
    padding = torch.tensor([[True] * 7, [True] * 3 + [False] * 4])
    expected = theirs(X, CONTEXT, Mask(causal=True), Mask(keys=padding))
    assert same(ours(X, CONTEXT, padding), expected)


def test_small_parts_are_those_of_the_house() -> None:
    for d_model in (24, 7):
        x = torch.randn(2, 70, d_model, dtype=torch.float64)
        assert torch.allclose(
            parts.SinusoidalPositions(d_model)(x), SinusoidalPositions(d_model)(x), atol=1e-12
        )
    assert torch.equal(parts.causal_mask(6), causal_mask(6))
    lengths = torch.tensor([0, 3, 9])
    assert torch.equal(parts.padding_mask(lengths, 5), padding_mask(lengths, 5))
    assert same(parts.LayerNorm(24)(X), nn.LayerNorm(24)(X))
    logits, ids = torch.randn(3, 5, 11), torch.randint(0, 11, (3, 5))
    expected = nn.functional.cross_entropy(logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten(), ignore_index=0)
    assert same(parts.next_token_loss(logits, ids), expected)


def test_the_backward_pass_is_that_of_the_house() -> None:
    drawn = np.random.default_rng(1)
    X, y = drawn.standard_normal((9, 3)), drawn.integers(0, 2, 9)
    weights = network.initial_weights(3, 4, drawn)
    expected = network.backward(weights, network.forward(weights, X), y)
    assert all(
        np.allclose(one, two) for one, two in zip(sheet_e.backward(X, y, *weights), expected, strict=True)
    )
