from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from glassformer.nn.attention import explicit_attention, fused_attention, tiled_attention
from glassformer.nn.blocks import EncoderBlock, PostNormBlock, PreNormBlock
from glassformer.nn.cache import KeyValueCache
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.masks import Mask, padding_mask
from glassformer.nn.multihead import MultiHeadAttention, MultiHeadSelfAttention
from glassformer.nn.positions import AlibiBias, RotaryPositions
from glassformer.nn.stochastic_depth import StochasticDepth
from tests.nn.comparisons import (
    BATCH,
    D_FF,
    KEYS,
    MASKS,
    TOKENS,
    assert_block_equals_native,
    assert_causal,
    assert_first_queries_as_among_all,
    assert_masked_equals_truncated,
    assert_permutation_equivariant,
    assert_same,
    assert_same_function,
    copy_native_layer,
    mask_of_kind,
    native_masks,
    random,
    randomised,
)

BLOCKS = {"pre": PreNormBlock, "post": PostNormBlock}
every_norm = pytest.mark.parametrize("norm", BLOCKS)


def build_block(norm, attention=explicit_attention):
    def build(d_model, heads, d_ff, activation):
        return BLOCKS[norm](
            MultiHeadAttention(d_model, heads, attention=attention),
            FeedForward(d_model, d_ff, activation),
            d_model,
        )

    return build


@pytest.mark.parametrize("attention", [explicit_attention, tiled_attention, fused_attention])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("activation", [functional.gelu, functional.relu])
@every_norm
def test_equals_native_layer(norm, activation, kind, attention):
    assert_block_equals_native(
        build_block(norm, attention), norm_first=norm == "pre", activation=activation, kind=kind
    )


@every_norm
@pytest.mark.parametrize(("batch", "tokens", "heads"), [(1, 5, 3), (2, 1, 3), (1, 1, 1), (2, 7, 1)])
def test_equals_native_layer_at_small_sizes(norm, batch, tokens, heads):
    sizes = {"batch": batch, "tokens": tokens, "heads": heads}
    assert_block_equals_native(build_block(norm), norm_first=norm == "pre", kind="both", **sizes)


@every_norm
@pytest.mark.parametrize("kind", MASKS)
def test_stack_equals_native_encoder(norm, kind):
    d_model, layers = 39, 3
    layer = nn.TransformerEncoderLayer(
        d_model,
        3,
        D_FF,
        0.0,
        functional.gelu,
        batch_first=True,
        norm_first=norm == "pre",
        dtype=torch.float64,
    )
    final = nn.LayerNorm(d_model).double()
    native = randomised(nn.TransformerEncoder(layer, layers, final, enable_nested_tensor=False))
    blocks = nn.ModuleList(
        build_block(norm)(d_model, 3, D_FF, functional.gelu).double() for _ in range(layers)
    )
    pairs = [
        pair
        for native_layer, block in zip(native.layers, blocks, strict=True)
        for pair in copy_native_layer(native_layer, block)
    ]
    mask = mask_of_kind(kind, BATCH, TOKENS)
    src_mask, src_key_padding_mask = native_masks(mask, TOKENS, TOKENS)

    def ours(x):
        for block in blocks:
            x = block(x, mask)
        return functional.layer_norm(x, (d_model,), final.weight, final.bias)

    assert_same_function(
        ours,
        lambda x: native(x, src_mask, src_key_padding_mask),
        [random(BATCH, TOKENS, d_model)],
        pairs,
    )


def small_block(norm, dropout=0.0, attention=None):
    return randomised(
        BLOCKS[norm](
            attention or MultiHeadAttention(39, 3),
            FeedForward(39, D_FF, dropout=dropout),
            39,
            dropout=dropout,
        ).double()
    )


@every_norm
def test_properties(norm):
    block = small_block(norm)
    assert_permutation_equivariant(block, 39)
    assert_causal(block, 39)
    assert_masked_equals_truncated(block, 39)


@every_norm
@pytest.mark.parametrize("attention", [explicit_attention, tiled_attention, fused_attention])
@pytest.mark.parametrize("kind", [*MASKS, "dense", "dense bias", "alibi", "rotary"])
def test_the_first_queries_alone_get_what_they_get_among_all(norm, attention, kind):
    rotary = RotaryPositions(14) if kind == "rotary" else None
    mask = mask_of_kind(kind if kind in MASKS else "both", BATCH, TOKENS)
    bias = AlibiBias(3) if kind == "alibi" else random(3, TOKENS, TOKENS) if kind == "dense bias" else None
    if kind.startswith("dense"):
        mask = mask.dense(TOKENS, TOKENS)

    def build():
        attend = MultiHeadAttention(39, 3, d_head=14, attention=attention, rotary=rotary)
        return BLOCKS[norm](attend, FeedForward(39, D_FF), 39)

    assert_first_queries_as_among_all(build, mask, bias)


@pytest.mark.parametrize("rank", [1, 2, 3, 4])
def test_masks_and_biases_of_every_rank_go_with_fewer_queries(rank):
    attend = randomised(MultiHeadAttention(6, 2).double())
    x, shape = random(3, TOKENS, 6), (3, 1, TOKENS, TOKENS)[4 - rank :]
    mask = torch.rand(shape) < 0.7
    mask[..., 0] = True
    bias = random(*shape)
    assert_same(attend(x, None, mask, bias, only_first=2), attend(x, None, mask, bias)[:, :2], "output")


def test_with_a_context_or_a_cache_fewer_queries_get_what_they_get_among_all():
    attend = randomised(MultiHeadAttention(6, 2).double())
    x, context = random(3, TOKENS, 6), random(3, KEYS, 6)
    assert_same(attend(x, context, only_first=2), attend(x, context)[:, :2], "context")
    results = []
    for queries in (2, None):
        cache = KeyValueCache()
        attend(x, mask=Mask(causal=True), bias=AlibiBias(2), cache=cache)
        results.append(attend(x, mask=Mask(causal=True), bias=AlibiBias(2), cache=cache, only_first=queries))
    assert_same(results[0], results[1][:, :2], "cache")


@every_norm
def test_of_the_first_queries_alone_nothing_else_is_computed(norm):
    block, rows = small_block(norm), []
    for part in (block.attention.output, block.feed_forward, block.feed_forward_norm):
        part.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[1]))
    assert block(random(BATCH, TOKENS, 39), only_first=2).shape == (BATCH, 2, 39)
    assert rows == [2, 2, 2]


@every_norm
def test_an_empty_row_has_finite_outputs_and_gradients(norm):
    block = small_block(norm)
    x = random(3, TOKENS, 39).requires_grad_()
    y = block(x, Mask(padding_mask(torch.tensor([4, 0, TOKENS]), TOKENS)))
    (gradient,) = torch.autograd.grad(y.sin().sum(), x)
    assert y.isfinite().all()
    assert gradient.isfinite().all()


@every_norm
def test_separate_and_fused_heads_wire_alike(norm):
    separate = MultiHeadSelfAttention(39, 3)
    block = small_block(norm, attention=separate)
    x, mask, bias = random(BATCH, TOKENS, 39), mask_of_kind("both", BATCH, TOKENS), AlibiBias(3)
    y, weights = block(x, mask, bias, return_weights=True)
    block.attention = MultiHeadAttention.from_heads(separate)
    other, other_weights = block(x, mask, bias, return_weights=True)
    assert_same(y, other, "output")
    assert_same(weights, other_weights, "weights")
    assert_same(block(x, mask, bias), y, "output without weights")


@every_norm
def test_dropout_acts_in_training_alone(norm):
    block, x = small_block(norm, dropout=0.5), random(BATCH, TOKENS, 39)
    assert not torch.equal(block(x), block(x))
    block.eval()
    assert torch.equal(block(x), block(x))
    undropped = small_block(norm)
    undropped.load_state_dict(block.state_dict())
    assert torch.equal(undropped(x), block(x))


@every_norm
def test_no_dropout_leaves_no_module_behind(norm):
    assert not any(isinstance(module, nn.Dropout) for module in small_block(norm).modules())


@every_norm
@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (2, 3), (5, 7)])
def test_shapes(norm, batch, tokens):
    y, weights = small_block(norm)(random(batch, tokens, 39), return_weights=True)
    assert y.shape == (batch, tokens, 39)
    assert weights.shape == (batch, 3, tokens, tokens)


@every_norm
def test_eps_reaches_both_norms(norm):
    block = BLOCKS[norm](MultiHeadAttention(6, 2), FeedForward(6, 7), 6, eps=1e-12)
    assert block.attention_norm.eps == block.feed_forward_norm.eps == 1e-12


def assert_stochastic_depth(build: Callable[[float], nn.Module]) -> None:
    """build(rate): whole examples are dropped at that rate, the mean stays, evaluation changes nothing."""
    rate, batch = 0.3, 4001
    module, x = build(rate), random(batch, 3, 2).abs().add(0.1).requires_grad_()
    y = module(x)
    dropped = (y == 0).flatten(1)
    assert bool((dropped.all(1) == dropped.any(1)).all()), "an example is dropped in part"
    expected = torch.where(dropped, 0.0, x.detach().flatten(1) / (1 - rate)).view_as(x)
    assert_same(y, expected, "what is kept")
    spread = (rate * (1 - rate) / batch) ** 0.5
    assert abs(dropped[:, 0].double().mean() - rate) < 5 * spread, "share of dropped examples"
    ones = module(torch.ones_like(x))
    assert abs(ones.mean() - 1) < 5 * spread / (1 - rate), "mean"
    assert not torch.equal(ones == 0, y == 0), "the same examples twice"
    (gradient,) = torch.autograd.grad(y.sum(), x)
    assert_same(gradient, ((~dropped).double() / (1 - rate)).view_as(x), "gradient")
    module.eval()
    assert torch.equal(module(x), x), "evaluation"


def assert_block_skips_branches(build: Callable[..., EncoderBlock], norm: str) -> None:
    """Each example has both branches, one of them or none, and what it has is twice as strong."""
    batch = 61
    block = randomised(
        build(MultiHeadAttention(39, 3), FeedForward(39, D_FF), 39, stochastic_depth=0.5).double()
    )
    x = random(batch, TOKENS, 39)
    attention, feed_forward = block.attention, block.feed_forward
    norms = [
        lambda x, n=n: functional.layer_norm(x, (39,), n.weight, n.bias)
        for n in (block.attention_norm, block.feed_forward_norm)
    ]

    def by_hand(first: float, second: float) -> Tensor:
        if norm == "pre":
            h = x + first * attention(norms[0](x))
            return h + second * feed_forward(norms[1](h))
        h = norms[0](x + first * attention(x))
        return norms[1](h + second * feed_forward(h))

    y = block(x)
    taken = 0
    for first, second in ((2, 2), (2, 0), (0, 2), (0, 0)):
        same = torch.isclose(y, by_hand(first, second), rtol=1e-9, atol=1e-9).flatten(1).all(1)
        assert same.any(), f"no example has its branches times {first} and {second}"
        taken += int(same.sum())
    assert taken == batch, "an example has neither of the four"
    block.eval()
    assert_same(block(x), by_hand(1, 1), "evaluation")


def test_stochastic_depth():
    assert_stochastic_depth(StochasticDepth)


@every_norm
def test_stochastic_depth_skips_each_branch_by_itself(norm):
    assert_block_skips_branches(BLOCKS[norm], norm)


def test_stochastic_depth_takes_any_shape_and_half_precision():
    y = StochasticDepth(0.5)(torch.ones(64, 2, 3, 5, dtype=torch.bfloat16))
    assert y.dtype == torch.bfloat16
    assert set(y.unique().tolist()) == {0.0, 2.0}


@every_norm
def test_no_stochastic_depth_leaves_no_module_behind(norm):
    assert not any(isinstance(module, StochasticDepth) for module in small_block(norm).modules())
    x = random(1, 2)
    assert StochasticDepth(0.0)(x) is x


@pytest.mark.parametrize("rate", [-0.1, 1.0, 1.5])
def test_stochastic_depth_wants_a_probability(rate):
    with pytest.raises(ValueError, match=f"rate={rate} is not a probability below 1"):
        StochasticDepth(rate)
