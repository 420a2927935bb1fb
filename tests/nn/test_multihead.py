import pytest
import torch
from torch import nn

from glassformer.nn.attention import explicit_attention, fused_attention, tiled_attention
from glassformer.nn.masks import Mask, padding_mask
from glassformer.nn.multihead import (
    MultiHeadAttention,
    MultiHeadSelfAttention,
    SelfAttention,
    SelfAttention2d,
)
from glassformer.nn.positions import AlibiBias, RotaryPositions
from tests.nn.comparisons import (
    BATCH,
    D_HEAD,
    KEYS,
    MASKS,
    TOKENS,
    assert_2d_equals_native_attention,
    assert_causal,
    assert_equals_native_attention,
    assert_equals_scaled_dot_product,
    assert_fully_masked_rows_give_zeros,
    assert_heads_equal_native_attention,
    assert_masked_equals_truncated,
    assert_permutation_equivariant,
    assert_same,
    assert_same_function,
    mask_of_kind,
    random,
    randomised,
    rotated_by_transformers,
)

ATTENTIONS = (explicit_attention, tiled_attention, fused_attention)
every_attention = pytest.mark.parametrize("attention", ATTENTIONS, ids=lambda f: f.__name__)


@every_attention
@pytest.mark.parametrize("cross", [False, True], ids=["self", "cross"])
@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("heads", [1, 3])
def test_equals_native_attention(attention, heads, kind, cross):
    assert_equals_native_attention(
        lambda d_model, heads: MultiHeadAttention(d_model, heads, attention=attention),
        heads,
        kind,
        cross=cross,
    )


@every_attention
@pytest.mark.parametrize(
    ("batch", "queries", "keys"), [(1, 5, 3), (2, 1, 1), (1, 1, 11), (2, 7, 1)], ids=lambda n: str(n)
)
def test_equals_native_attention_at_small_sizes(attention, batch, queries, keys):
    sizes = {"batch": batch, "queries": queries, "keys": keys}
    for kind in ("none", "both"):
        assert_equals_native_attention(
            lambda d, h: MultiHeadAttention(d, h, attention=attention),
            3,
            kind,
            cross=queries != keys,
            **sizes,
        )


@every_attention
@pytest.mark.parametrize(("d_model", "heads", "d_head"), [(13, 3, 13), (13, 2, 7), (21, 3, 7)])
def test_wide_and_narrow_heads_equal_scaled_dot_product(attention, d_model, heads, d_head):
    assert_equals_scaled_dot_product(
        lambda d, h, k: MultiHeadAttention(d, h, d_head=k, attention=attention), d_model, heads, d_head
    )


@every_attention
@pytest.mark.parametrize("kind", ["none", "both"])
@pytest.mark.parametrize("bias", [AlibiBias(3), torch.linspace(-2, 2, 3 * TOKENS**2).double()])
def test_bias_equals_scaled_dot_product(attention, bias, kind):
    if isinstance(bias, torch.Tensor):
        bias = bias.view(1, 3, TOKENS, TOKENS)
    assert_equals_scaled_dot_product(
        lambda d, h, k: MultiHeadAttention(d, h, attention=attention), 21, 3, 7, bias, kind
    )


def test_rotary_equals_scaled_dot_product():
    assert_equals_scaled_dot_product(
        lambda d, h, k: MultiHeadAttention(d, h, rotary=RotaryPositions(k)),
        30,
        3,
        10,
        rotate=rotated_by_transformers,
    )


@pytest.mark.parametrize("kind", MASKS)
@pytest.mark.parametrize("heads", [1, 3])
def test_separate_heads_equal_native_attention(heads, kind):
    assert_heads_equal_native_attention(MultiHeadSelfAttention, heads, kind)


@pytest.mark.parametrize("d_head", [None, 7, 39])
@pytest.mark.parametrize("has_bias", [True, False])
@pytest.mark.parametrize("bias", [None, AlibiBias(3)], ids=["no_bias", "alibi"])
def test_separate_heads_equal_their_fused_form(d_head, has_bias, bias):
    separate = randomised(MultiHeadSelfAttention(39, 3, d_head=d_head, bias=has_bias).double())
    fused = MultiHeadAttention.from_heads(separate)
    mask = mask_of_kind("both", BATCH, TOKENS)
    pairs = list(zip(separate.output.parameters(), fused.output.parameters(), strict=True))
    assert_same_function(
        lambda x: separate(x, mask, bias),
        lambda x: fused(x, mask=mask, bias=bias),
        [random(BATCH, TOKENS, 39)],
        pairs,
    )


def test_fused_form_is_a_copy():
    separate = MultiHeadSelfAttention(39, 3)
    MultiHeadAttention.from_heads(separate).output.weight.data.zero_()
    assert separate.output.weight.any()


def test_one_head_gives_weights_that_sum_to_one_and_average_v():
    head = randomised(SelfAttention(13, 5).double())
    x = random(BATCH, TOKENS, 13)
    y, weights = head(x, mask_of_kind("both", BATCH, TOKENS), return_weights=True)
    assert_same(weights.sum(dim=-1), torch.ones(BATCH, TOKENS).double(), "sum of the weights")
    assert_same(y, weights @ head.value(x), "mean of the values")


def test_mask_and_bias_of_each_head_reach_their_head():
    separate = randomised(MultiHeadSelfAttention(39, 3).double())
    fused = MultiHeadAttention.from_heads(separate)
    x, bias = random(BATCH, TOKENS, 39), random(1, 3, TOKENS, TOKENS)
    mask = torch.rand(BATCH, 3, TOKENS, TOKENS) > 0.5
    assert_same(separate(x, mask, bias), fused(x, mask=mask, bias=bias), "output")


def module_function(module):
    return lambda x, mask: module(x, mask=mask)


@every_attention
def test_properties(attention):
    module = randomised(MultiHeadAttention(39, 3, attention=attention).double())
    assert_permutation_equivariant(module_function(module), 39)
    assert_causal(module_function(module), 39)
    assert_masked_equals_truncated(module_function(module), 39)


@every_attention
@pytest.mark.parametrize("causal", [False, True])
def test_fully_masked_rows_give_zeros(attention, causal):
    module = randomised(MultiHeadAttention(39, 3, attention=attention).double())
    module.output = nn.Identity()  # its bias would hide the zeros
    assert_fully_masked_rows_give_zeros(lambda x, mask: module(x, mask=mask, return_weights=True), 39, causal)


@every_attention
def test_asking_for_weights_changes_nothing(attention):
    module = randomised(MultiHeadAttention(39, 3, attention=attention).double())
    x, mask = random(BATCH, TOKENS, 39), mask_of_kind("both", BATCH, TOKENS)
    assert torch.equal(module(x, mask=mask), module(x, mask=mask, return_weights=True)[0])


def test_self_attention_projects_once_and_without_copies():
    module = MultiHeadAttention(39, 3)
    calls = []
    module.qkv.register_forward_hook(lambda *_: calls.append(1))
    q, k, v = module._project(torch.randn(BATCH, TOKENS, 39), 0, 3)
    assert len(calls) == 1
    assert q.untyped_storage().data_ptr() == k.untyped_storage().data_ptr() == v.untyped_storage().data_ptr()


# Shapes, as in sheet B -------------------------------------------------------------------------------------


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (2, 3), (5, 7)])
def test_shapes(batch, tokens):
    x, context = torch.randn(batch, tokens, 39), torch.randn(batch, KEYS, 39)
    y, weights = SelfAttention(39, D_HEAD)(x, return_weights=True)
    assert y.shape == (batch, tokens, D_HEAD)
    assert weights.shape == (batch, tokens, tokens)
    assert SelfAttention(39)(x).shape == (batch, tokens, 39)
    for module in (
        MultiHeadSelfAttention(39, 3),
        MultiHeadAttention(39, 3),
        MultiHeadAttention(40, 3, d_head=40),
    ):
        x = torch.randn(batch, tokens, module.output.out_features)
        y, weights = module(x, return_weights=True)
        assert y.shape == x.shape
        assert weights.shape == (batch, 3, tokens, tokens)
    x = torch.randn(batch, tokens, 39)
    y, weights = MultiHeadAttention(39, 3)(x, context, return_weights=True)
    assert y.shape == (batch, tokens, 39)
    assert weights.shape == (batch, 3, tokens, KEYS)


def test_wide_heads_have_the_parameters_of_the_sheet():
    d, h = 13, 3
    shapes = {name: tuple(p.shape) for name, p in MultiHeadAttention(d, h, d_head=d).named_parameters()}
    assert shapes == {
        "qkv.weight": (3 * h * d, d),
        "qkv.bias": (3 * h * d,),
        "output.weight": (d, h * d),
        "output.bias": (d,),
    }


def test_starts_as_native_attention_does():
    ours, native = MultiHeadAttention(63, 3), nn.MultiheadAttention(63, 3)
    assert not ours.qkv.bias.any()
    assert not ours.output.bias.any()
    bound = native.in_proj_weight.abs().max()
    torch.testing.assert_close(ours.qkv.weight.abs().max(), bound, rtol=0.01, atol=0)
    bound = native.out_proj.weight.abs().max()
    torch.testing.assert_close(ours.output.weight.abs().max(), bound, rtol=0.01, atol=0)


# Errors ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("build", [MultiHeadAttention, MultiHeadSelfAttention])
@pytest.mark.parametrize(
    ("d_model", "heads", "message"),
    [
        (64, 5, "heads=5 does not divide d_model=64; choose 1, 2, 4, 8, 16, 32 or 64"),
        (7, 2, "heads=2 does not divide d_model=7; choose 1 or 7"),
        (6, 0, "heads=0 is not a number of heads; choose 1, 2, 3 or 6"),
        (1, 2, "heads=2 does not divide d_model=1; choose 1"),
    ],
)
def test_heads_must_divide(build, d_model, heads, message):
    with pytest.raises(ValueError) as error:  # noqa: PT011 - the whole message is compared
        build(d_model, heads)
    assert str(error.value) == message


@pytest.mark.parametrize("what", ["rotary", "alibi"])
def test_positions_do_not_act_across_sequences(what):
    module = MultiHeadAttention(12, 2, rotary=RotaryPositions(6) if what == "rotary" else None)
    with pytest.raises(ValueError, match="self-attention only"):
        module(torch.randn(2, 3, 12), torch.randn(2, 5, 12), bias=AlibiBias(2) if what == "alibi" else None)


def test_padding_of_another_length_is_named():
    mask = Mask(padding_mask(torch.tensor([2, 3]), 5))
    with pytest.raises(ValueError, match="covers 5 keys but attention has 3"):
        MultiHeadAttention(12, 2)(torch.randn(2, 3, 12), mask=mask)


@every_attention
@pytest.mark.parametrize("sizes", [(3, 5), (4, 2), (1, 6), (1, 1)], ids=str)
@pytest.mark.parametrize("heads", [1, 3])
def test_on_a_grid_it_equals_native_attention(attention, heads, sizes):
    assert_2d_equals_native_attention(
        lambda channels, heads: SelfAttention2d(channels, heads, attention=attention), heads, *sizes
    )


def test_on_a_grid_the_heads_must_divide():
    with pytest.raises(ValueError, match="heads=4 does not divide d_model=6"):
        SelfAttention2d(6, 4)
