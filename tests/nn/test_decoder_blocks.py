import pytest
import torch
from torch import nn
from torch.nn import functional

from glassformer.nn.cache import KeyValueCache
from glassformer.nn.decoder_blocks import PostNormDecoderBlock, PreNormDecoderBlock
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.masks import Mask
from glassformer.nn.multihead import MultiHeadAttention
from glassformer.nn.positions import AlibiBias, RotaryPositions
from tests.nn.comparisons import (
    BATCH,
    D_FF,
    KEYS,
    MASKS,
    TOKENS,
    assert_same,
    assert_same_function,
    copy_native_attention,
    mask_of_kind,
    native_masks,
    random,
    randomised,
)

BLOCKS = {"pre": PreNormDecoderBlock, "post": PostNormDecoderBlock}
D_MODEL, HEADS = 39, 3
every_norm = pytest.mark.parametrize("norm", BLOCKS)


def build(norm, dropout=0.0, rotary=None):
    return BLOCKS[norm](
        MultiHeadAttention(D_MODEL, HEADS, rotary=rotary),
        MultiHeadAttention(D_MODEL, HEADS),
        FeedForward(D_MODEL, D_FF, functional.relu),
        D_MODEL,
        dropout=dropout,
    ).double()


@every_norm
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("context_kind", ["none", "padding"])
@pytest.mark.parametrize(("batch", "targets", "sources"), [(BATCH, TOKENS, KEYS), (1, 1, 1), (2, 7, 3)])
def test_equals_native_layer(norm, kind, context_kind, batch, targets, sources):
    native = randomised(
        nn.TransformerDecoderLayer(
            D_MODEL, HEADS, D_FF, 0.0, batch_first=True, norm_first=norm == "pre", dtype=torch.float64
        )
    )
    ours = build(norm)
    pairs = copy_native_attention(native.self_attn, ours.self_attention)
    pairs += copy_native_attention(native.multihead_attn, ours.cross_attention)
    for our, their in (
        (ours.feed_forward.expand, native.linear1),
        (ours.feed_forward.contract, native.linear2),
        (ours.self_attention_norm, native.norm1),
        (ours.cross_attention_norm, native.norm2),
        (ours.feed_forward_norm, native.norm3),
    ):
        our.load_state_dict(their.state_dict())
        pairs += [(our.weight, their.weight), (our.bias, their.bias)]
    mask, context_mask = mask_of_kind(kind, batch, targets), mask_of_kind(context_kind, batch, sources)
    tgt_mask, tgt_padding = native_masks(mask, targets, targets)
    _, memory_padding = native_masks(context_mask, targets, sources)
    assert_same_function(
        lambda x, context: ours(x, context, mask, context_mask),
        lambda x, context: native(
            x,
            context,
            tgt_mask=tgt_mask,
            tgt_key_padding_mask=tgt_padding,
            memory_key_padding_mask=memory_padding,
        ),
        [random(batch, targets, D_MODEL), random(batch, sources, D_MODEL)],
        pairs,
    )


@every_norm
def test_weights_are_those_of_the_two_attentions(norm):
    block = randomised(build(norm))
    x, context = random(BATCH, TOKENS, D_MODEL), random(BATCH, KEYS, D_MODEL)
    mask, context_mask = mask_of_kind("both", BATCH, TOKENS), mask_of_kind("padding", BATCH, KEYS)
    y, weights, context_weights = block(x, context, mask, context_mask, return_weights=True)
    assert_same(y, block(x, context, mask, context_mask), "output")
    normed = block.self_attention_norm(x) if norm == "pre" else x
    assert_same(weights, block.self_attention(normed, mask=mask, return_weights=True)[1], "weights")
    assert context_weights.shape == (BATCH, HEADS, TOKENS, KEYS)
    assert_same(context_weights.sum(-1), torch.ones(BATCH, HEADS, TOKENS).double(), "sums")
    forbidden = ~context_mask.keys[:, None, None].expand_as(context_weights)
    assert (context_weights[forbidden] == 0).all()


@every_norm
def test_dropout_acts_in_training_alone(norm):
    block = randomised(build(norm, dropout=0.5))
    x, context = random(BATCH, TOKENS, D_MODEL), random(BATCH, KEYS, D_MODEL)
    assert not torch.equal(block(x, context), block(x, context))
    block.eval()
    assert torch.equal(block(x, context), block(x, context))


@pytest.mark.parametrize("rotary", [None, RotaryPositions(26)])
@pytest.mark.parametrize("bias", [None, AlibiBias(3)])
@pytest.mark.parametrize("kind", MASKS)
def test_a_cache_equals_all_at_once(rotary, bias, kind):
    attention = randomised(MultiHeadAttention(78, 3, rotary=rotary).double())
    x = random(BATCH, TOKENS, 78)
    mask = mask_of_kind("causal" if kind in ("none", "padding") else kind, BATCH, TOKENS)
    whole = attention(x, mask=mask, bias=bias)
    cache, pieces = KeyValueCache(), []
    for part in x.split([3, 1, 2, 1], dim=1):
        tokens = cache.tokens + part.shape[1]
        seen = None if mask.keys is None else mask.keys[:, :tokens]
        pieces.append(attention(part, mask=type(mask)(seen, causal=True), bias=bias, cache=cache))
    assert_same(torch.cat(pieces, 1), whole, "output")
    assert cache.tokens == TOKENS


def test_a_cache_keeps_the_rows_it_is_told_to():
    attention = randomised(MultiHeadAttention(D_MODEL, HEADS).double())
    x, rows = random(BATCH, TOKENS, D_MODEL), torch.tensor([4, 1, 1])
    cache, fresh = KeyValueCache(), KeyValueCache()
    attention(x[:, :4], cache=cache)
    attention(x[rows, :4], cache=fresh)
    cache.take(rows)
    last = random(3, 1, D_MODEL)
    assert_same(attention(last, cache=cache), attention(last, cache=fresh), "output")


def test_a_mask_that_forgets_the_cache_is_refused():
    attention = randomised(MultiHeadAttention(D_MODEL, HEADS).double())
    cache = KeyValueCache()
    attention(random(BATCH, 4, D_MODEL), cache=cache)
    mask = Mask(torch.ones(BATCH, 1, dtype=torch.bool), causal=True)
    with pytest.raises(ValueError, match="covers 1 keys but the cache and x have 5"):
        attention(random(BATCH, 1, D_MODEL), mask=mask, cache=cache)


def test_the_context_is_projected_once():
    attention = randomised(MultiHeadAttention(D_MODEL, HEADS).double())
    x, context, cache = random(BATCH, 2, D_MODEL), random(BATCH, KEYS, D_MODEL), KeyValueCache()
    first = attention(x, context, cache=cache)
    assert_same(first, attention(x, context), "output")
    wrong = torch.full_like(context, torch.nan)
    assert_same(attention(x, wrong, cache=cache), first, "output from the cache")
