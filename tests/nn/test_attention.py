"""Three attention functions against each other and against loops that share nothing with them."""

import itertools
import math
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from glassformer.nn import tiles as tiles_module
from glassformer.nn import tiling as tiled_module
from glassformer.nn.attention import (
    Attention,
    explicit_attention,
    fused_attention,
    parameter_free_attention,
    parameter_free_attention_loops,
    tiled_attention,
)
from glassformer.nn.masks import Mask
from glassformer.nn.positions import AlibiBias
from glassformer.nn.tiling import attend_in_tiles

BATCH, HEADS, QUERIES, KEYS, D_HEAD, D_VALUE = 3, 2, 13, 11, 7, 5
TOLERANCE = 1e-10


def small_tiles(q, k, v, mask=None, bias=None, *, return_weights=False):
    """The online softmax: tiles that no size here is a multiple of."""
    output = attend_in_tiles(q, k, v, mask, bias, query_tile=4, key_tile=3)
    return (
        (output, tiled_attention(q, k, v, mask, bias, return_weights=True)[1]) if return_weights else output
    )


def short_query_tiles(q, k, v, mask=None, bias=None, *, return_weights=False):
    """One tile of keys, several of queries."""
    output = attend_in_tiles(q, k, v, mask, bias, query_tile=5, key_tile=64)
    return (
        (output, tiled_attention(q, k, v, mask, bias, return_weights=True)[1]) if return_weights else output
    )


FUNCTIONS = {
    "explicit": explicit_attention,
    "tiled": tiled_attention,
    "small_tiles": small_tiles,
    "short_query_tiles": short_query_tiles,
    "fused": fused_attention,
}


def loops(q, k, v, mask, bias):
    """One query at a time over the keys it may attend to; mask and bias are dense here, or None."""
    shape = (*q.shape[:3], k.shape[2])
    allowed = torch.ones(shape, dtype=torch.bool) if mask is None else mask.expand(shape)
    added = q.new_zeros(shape) if bias is None else bias.expand(shape)
    allowed = allowed & (added > -math.inf)
    rows, all_weights = [], []
    for b, h, i in np.ndindex(*shape[:3]):
        chosen = allowed[b, h, i].nonzero()[:, 0]
        powers = torch.exp(
            (k[b, h, chosen] * q[b, h, i]).sum(1) / math.sqrt(q.shape[-1]) + added[b, h, i, chosen]
        )
        weights = powers / powers.sum()
        rows.append((weights[:, None] * v[b, h, chosen]).sum(0))
        all_weights.append(q.new_zeros(shape[3]).index_put((chosen,), weights))
    return torch.stack(rows).view(*shape[:3], -1), torch.stack(all_weights).view(shape)


def dense(what, queries, keys):
    return what if what is None or isinstance(what, Tensor) else what.dense(queries, keys)


def qkv(batch=BATCH, heads=HEADS, queries=QUERIES, keys=KEYS, dtype=torch.float64, seed=0):
    generator = torch.Generator().manual_seed(seed)
    sizes = ((queries, D_HEAD), (keys, D_HEAD), (keys, D_VALUE))
    return [
        torch.randn(batch, heads, *size, generator=generator, dtype=torch.float64).to(dtype) for size in sizes
    ]


def padding(keys=KEYS, batch=BATCH):
    """Real keys with holes; the first example lacks the last two, the last of several has none at all."""
    real = torch.rand(batch, keys, generator=torch.Generator().manual_seed(1)) > 0.4
    real[0] = torch.arange(keys) < keys - 2
    if batch > 1:
        real[-1] = False
    return real


def dense_mask():
    mask = torch.rand(BATCH, HEADS, QUERIES, KEYS, generator=torch.Generator().manual_seed(2)) > 0.5
    mask[1, 0, 3] = False
    return mask


def forbidding_bias():
    bias = torch.randn(HEADS, QUERIES, KEYS, generator=torch.Generator().manual_seed(6), dtype=torch.float64)
    bias[:, :, 4] = bias[1, 2] = -math.inf
    return bias


MASKS = {
    "none": None,
    "padding": Mask(padding()),
    "padding without holes": Mask(torch.arange(KEYS) < torch.tensor([[9], [KEYS], [4]])),
    "causal": Mask(causal=True),
    "both": Mask(padding(), causal=True),
    "neither": Mask(),
    "dense": dense_mask(),
    "two axes": dense_mask()[0, 1],
    "padding as a tensor": padding()[:, None, None],
    "one axis": padding()[0],
}
BIASES = {
    "none": None,
    "alibi": AlibiBias(HEADS),
    "per head": torch.randn(
        HEADS, QUERIES, KEYS, generator=torch.Generator().manual_seed(3), dtype=torch.float64
    ),
    "forbids": forbidding_bias(),
    "per key": 3
    * torch.randn(BATCH, 1, 1, KEYS, generator=torch.Generator().manual_seed(4), dtype=torch.float64),
}


def compare_with_loops(attention: Callable, mask=None, bias=None, tensors=None, scale: float = 1.0) -> None:
    """Output, weights and every gradient; AssertionError where they differ."""
    tensors = qkv() if tensors is None else tensors
    leaves = [[(x * scale).requires_grad_() for x in tensors] for _ in range(2)]
    biases = [bias.clone().requires_grad_() if isinstance(bias, Tensor) else bias for _ in range(2)]
    output, weights = attention(*leaves[0], mask, biases[0], return_weights=True)
    queries, keys = tensors[0].shape[2], tensors[1].shape[2]
    expected, expected_weights = loops(
        *leaves[1], dense(mask, queries, keys), dense(biases[1], queries, keys)
    )
    torch.testing.assert_close(output, expected, rtol=TOLERANCE, atol=TOLERANCE)
    torch.testing.assert_close(weights, expected_weights, rtol=TOLERANCE, atol=TOLERANCE)
    direction = torch.randn(expected.shape, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    gradients = []
    for result, side in ((output, 0), (expected, 1)):
        inputs = [*leaves[side], *([biases[side]] if isinstance(bias, Tensor) else [])]
        found = [None] * len(inputs)
        if result.requires_grad:
            found = torch.autograd.grad(result, inputs, direction, allow_unused=True)
        gradients.append(
            [torch.zeros_like(x) if g is None else g for g, x in zip(found, inputs, strict=True)]
        )
    for name, ours, theirs in zip(("q", "k", "v", "bias"), *gradients, strict=False):
        torch.testing.assert_close(
            ours,
            theirs,
            rtol=TOLERANCE,
            atol=TOLERANCE,
            msg=lambda text, name=name: f"gradient of {name}: {text}",
        )


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_equals_the_loops(name, mask, bias):
    compare_with_loops(FUNCTIONS[name], MASKS[mask], BIASES[bias])


@pytest.mark.parametrize("name", FUNCTIONS)
def test_no_example_at_all(name):
    q, k, v = qkv(batch=0)
    assert FUNCTIONS[name](q, k, v, Mask(causal=True)).shape == (0, HEADS, QUERIES, v.shape[-1])


@pytest.mark.parametrize("name", FUNCTIONS)
@pytest.mark.parametrize(
    "sizes",
    [
        {"batch": 1},
        {"heads": 1},
        {"queries": 1, "keys": 1},
        {"queries": 1},
        {"keys": 1},
        {"keys": 0},
        {"queries": 5, "keys": 17},
    ],
    ids=str,
)
def test_edge_sizes(name, sizes):
    tensors = qkv(**sizes)
    batch, keys = tensors[1].shape[0], tensors[1].shape[2]
    compare_with_loops(FUNCTIONS[name], None, None, tensors)
    compare_with_loops(FUNCTIONS[name], Mask(padding(keys, batch), causal=True), None, tensors)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_large_scores(name):
    """Scores of hundreds overflow an exponential that is not shifted."""
    q, k, v = (60 * x for x in qkv())
    output = FUNCTIONS[name](q, k, v)
    scores = q.numpy() @ k.numpy().swapaxes(-1, -2) / math.sqrt(D_HEAD)
    assert scores.max() > 1000
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    expected = powers / powers.sum(axis=-1, keepdims=True) @ v.numpy()
    np.testing.assert_allclose(output.numpy(), expected, rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_groups_of_examples_and_of_heads(name, monkeypatch):
    """However the batch is cut for the cache, nothing changes."""
    for budget in (1, 4 * 3 * 2, QUERIES * KEYS * HEADS * 2):
        monkeypatch.setattr(tiles_module, "scores_of_a_group", lambda like, most=budget: most)
        compare_with_loops(FUNCTIONS[name], MASKS["both"], BIASES["alibi"])
        compare_with_loops(FUNCTIONS[name], MASKS["dense"], BIASES["per head"])


@pytest.mark.parametrize(
    ("cache", "dtype", "millions"),
    [(32, torch.bfloat16, 2), (32, torch.float32, 1), (1, torch.bfloat16, 0.5), (2**10, torch.float64, 8)],
)
def test_a_group_fills_an_eighth_of_the_cache_within_bounds(cache, dtype, millions, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: 2)
    monkeypatch.setattr(tiles_module, "last_cache_bytes", lambda: cache * 2**20)
    assert tiles_module.scores_of_a_group(torch.empty(0, dtype=dtype)) == millions * 2**20


def test_the_cache_is_read_or_guessed(monkeypatch, tmp_path):
    size = tiles_module.last_cache_bytes()
    assert 2**18 <= size <= 2**32
    tiles_module.last_cache_bytes.cache_clear()
    monkeypatch.setattr(tiles_module, "CACHES", tmp_path)
    assert tiles_module.last_cache_bytes() == 32 * 2**20
    for index, text in enumerate(("32K", "2048K", "odd", "")):
        (tmp_path / f"index{index}").mkdir()
        (tmp_path / f"index{index}" / "size").write_text(text + "\n")
    tiles_module.last_cache_bytes.cache_clear()
    assert tiles_module.last_cache_bytes() == 2 * 2**20
    tiles_module.last_cache_bytes.cache_clear()


@pytest.mark.parametrize("bias", BIASES)
@pytest.mark.parametrize("mask", MASKS)
def test_rows_of_scores_padded_to_a_multiple(mask, bias, monkeypatch):
    """The keys that fill a row up get no weight and leave no gradient."""
    monkeypatch.setattr(tiles_module, "MULTIPLE_FROM", 1)
    monkeypatch.setattr(tiles_module, "MULTIPLE", 2 * KEYS - 1)
    monkeypatch.setattr(tiles_module, "VECTOR", 4)
    compare_with_loops(tiled_attention, MASKS[mask], BIASES[bias])
    compare_with_loops(short_query_tiles, MASKS[mask], BIASES[bias])


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float64], ids=str)
@pytest.mark.parametrize("name", ["explicit", "tiled", "fused"])
def test_asking_for_weights_changes_no_bit(name, dtype):
    q, k, v = qkv(dtype=dtype)
    for mask in MASKS.values():
        plain = FUNCTIONS[name](q, k, v, mask)
        output, weights = FUNCTIONS[name](q, k, v, mask, return_weights=True)
        assert torch.equal(plain, output)
        assert weights.shape == (BATCH, HEADS, QUERIES, KEYS)
        sums = weights.double().sum(-1)
        assert ((sums - 1).abs().lt(0.02) | sums.eq(0)).all()


@pytest.mark.parametrize("autocast", [False, True], ids=["bf16", "autocast"])
@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("name", FUNCTIONS)
def test_bf16_stays_within_rounding(name, mask, autocast):
    """bf16 has 8 bits of precision; measured here: relative errors of norm up to 0.012."""
    exact = [x.requires_grad_() for x in qkv(seed=6)]
    low = [x.detach().to(torch.float32 if autocast else torch.bfloat16).requires_grad_() for x in exact]
    expected = explicit_attention(*exact, MASKS[mask])
    with torch.autocast("cpu", torch.bfloat16, enabled=autocast):
        output = FUNCTIONS[name](*low, MASKS[mask])
    assert output.dtype == torch.bfloat16
    found = torch.autograd.grad(output.double().square().sum(), low)
    wanted = torch.autograd.grad(expected.square().sum(), exact)
    for ours, theirs in zip((output, *found), (expected, *wanted), strict=True):
        assert (ours.double() - theirs).norm() < 0.03 * theirs.norm() + 1e-9


@pytest.mark.parametrize("name", FUNCTIONS)
def test_fully_masked_rows(name):
    q, k, v = (x.requires_grad_() for x in qkv())
    nothing = torch.zeros(1, 1, 1, 1, dtype=torch.bool)
    output, weights = FUNCTIONS[name](q, k, v, nothing, return_weights=True)
    assert not output.any()
    assert not weights.any()
    for gradient in torch.autograd.grad((output + weights.sum()).sum(), (q, k, v)):
        assert not gradient.any()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_later_keys_change_nothing(name):
    q, k, v = qkv()
    before = FUNCTIONS[name](q, k, v, Mask(causal=True))
    k[:, :, 6:], v[:, :, 6:] = 100.0, -100.0
    after = FUNCTIONS[name](q, k, v, Mask(causal=True))
    assert torch.equal(before[:, :, :6], after[:, :, :6])
    assert not torch.equal(before[:, :, 6:], after[:, :, 6:])


def test_signature_is_a_protocol():
    assert all(isinstance(function, Attention) for function in FUNCTIONS.values())


def test_tiled_says_so_when_differentiated_twice():
    q, k, v = (x.requires_grad_() for x in qkv())
    (gradient,) = torch.autograd.grad(tiled_attention(q, k, v).square().sum(), q, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        gradient.sum().backward()


def compare_parameter_free(function: Callable) -> None:
    x = torch.randn(3, 7, 5, generator=torch.Generator().manual_seed(7), dtype=torch.float64)
    powers = np.exp(np.einsum("bid,bjd->bij", x, x))
    expected = np.einsum("bij,bjd->bid", powers / powers.sum(axis=2, keepdims=True), x)
    torch.testing.assert_close(function(x), torch.from_numpy(expected), rtol=TOLERANCE, atol=TOLERANCE)


@pytest.mark.parametrize("function", [parameter_free_attention, parameter_free_attention_loops])
def test_parameter_free_attention(function):
    compare_parameter_free(function)


@pytest.mark.parametrize(
    "mutant",
    [
        lambda x: (x @ x.mT / math.sqrt(x.shape[-1])).softmax(-1) @ x,
        lambda x: (x @ x.mT).softmax(-2) @ x,
        lambda x: (x @ x.mT) @ x,
    ],
)
def test_parameter_free_comparison_can_fail(mutant):
    with pytest.raises(AssertionError):
        compare_parameter_free(mutant)


def written_out(
    q,
    k,
    v,
    mask=None,
    bias=None,
    *,
    return_weights=False,
    scale=None,
    axis=-1,
    before=None,
    after=None,
    lowest=-math.inf,
):
    """Attention with a place for every mistake; without one it is right."""
    mask, bias = dense(mask, q.shape[2], k.shape[2]), dense(bias, q.shape[2], k.shape[2])
    scores = q @ k.mT * (q.shape[-1] ** -0.5 if scale is None else scale)
    scores = scores if before is None else before(scores)
    scores = scores if bias is None else scores + bias
    if mask is not None:
        scores = scores.masked_fill(~mask, lowest)
    weights = scores.softmax(axis)
    if mask is not None:
        weights = weights.masked_fill(~mask.any(-1, keepdim=True), 0.0)
    weights = weights if after is None else after(weights)
    return (weights @ v, weights) if return_weights else weights @ v


def mutate(**mistake):
    return lambda *inputs, **options: written_out(*inputs, **options, **mistake)


def with_mask(change):
    return lambda q, k, v, mask=None, bias=None, **options: written_out(
        q, k, v, change(dense(mask, q.shape[2], k.shape[2])), bias, **options
    )


def with_bias(change):
    return lambda q, k, v, mask=None, bias=None, **options: written_out(
        q, k, v, mask, change(dense(bias, q.shape[2], k.shape[2])), **options
    )


MUTANTS = {
    "no scale": mutate(scale=1.0),
    "scale of d_k, not its root": mutate(scale=1 / D_HEAD),
    "softmax over the queries": mutate(axis=-2),
    "softmax over the heads": mutate(axis=1),
    "masked scores of zero": mutate(lowest=0.0),
    "mask upside down": with_mask(lambda mask: ~mask),
    "mask left out": with_mask(lambda mask: None),
    "mask of the first example for all": with_mask(lambda mask: mask[:1]),
    "causality off by one": with_mask(lambda mask: mask & torch.ones(QUERIES, KEYS).tril(-1).bool()),
    "bias left out": with_bias(lambda bias: None),
    "bias with the wrong sign": with_bias(lambda bias: -bias),
    "bias scaled too": with_bias(lambda bias: bias / math.sqrt(D_HEAD)),
    "heads exchanged": mutate(after=lambda weights: weights.flip(1)),
    "weights that do not sum to one": mutate(after=lambda weights: weights * 1.0001),
    "no gradient through the scores": mutate(before=Tensor.detach),
    "half the gradient of the weights": mutate(after=lambda w: (w + w.detach()) / 2),
    "bias without its gradient": with_bias(Tensor.detach),
}


def test_written_out_is_right_without_a_mistake():
    compare_with_loops(written_out, MASKS["both"], BIASES["per head"])


@pytest.mark.parametrize("offset", [-800.0, -300.0, 300.0, 800.0])
def test_scores_whose_powers_overflow_or_underflow(offset):
    """Where exp without the highest score would be infinite or zero, in one row and in all."""
    q, k, v = (torch.randn(BATCH, HEADS, n, D_HEAD, dtype=torch.float64) for n in (QUERIES, KEYS, KEYS))
    for rows in (slice(0, 1), slice(None)):
        bias = torch.zeros(QUERIES, KEYS, dtype=torch.float64)
        bias[rows] = offset
        y = tiled_attention(q, k, v, bias=bias)
        torch.testing.assert_close(y, explicit_attention(q, k, v, bias=bias), rtol=0, atol=TOLERANCE)


@pytest.mark.parametrize("offset", [-80.0, -60.0, 0.0, 60.0, 80.0, 200.0])
@pytest.mark.parametrize("mask", MASKS)
def test_without_gradients_nothing_is_lost_in_single_precision(mask, offset):
    """No weights are kept there, and sums of powers may be as large and as small as floats can be."""
    q, k, v = (torch.randn(BATCH, HEADS, n, D_HEAD) for n in (QUERIES, KEYS, KEYS))
    bias = torch.full((QUERIES, KEYS), offset)
    exact = explicit_attention(q.double(), k.double(), v.double(), MASKS[mask], bias.double())
    y = tiled_attention(q, k, v, MASKS[mask], bias)
    # at 80 and more, 1e-5 is what rounding a score of that size makes of its power
    torch.testing.assert_close(y.double(), exact, rtol=0, atol=1e-5 if abs(offset) < 80 else 1e-4)
    kept = tiled_attention(q.requires_grad_(), k, v, MASKS[mask], bias)
    torch.testing.assert_close(kept.detach(), y, rtol=0, atol=1e-5)


@pytest.mark.parametrize("offset", [-70.0, 0.0, 80.0])
@pytest.mark.parametrize("size", [0.0, 1e-14, 1.0, 1e4])
def test_without_gradients_values_of_any_size_are_averaged(size, offset):
    """Powers meet the values before they are divided by their sum: the products have to stay in range too."""
    q, k, v = (torch.randn(BATCH, HEADS, n, D_HEAD) for n in (QUERIES, KEYS, KEYS))
    bias = torch.full((QUERIES, KEYS), offset)
    exact = explicit_attention(q.double(), k.double(), v.double(), bias=bias.double()) * size
    y = tiled_attention(q, k, v * size, bias=bias)
    torch.testing.assert_close(y.double(), exact, rtol=0, atol=1e-4 * size)
    beside_ones = torch.cat((v * size, torch.ones_like(v)), dim=-1)
    y = tiled_attention(q, k, beside_ones, bias=bias)[..., :D_HEAD]
    torch.testing.assert_close(y.double(), exact, rtol=0, atol=1e-4 * size)


@pytest.mark.parametrize("value", [math.inf, math.nan])
def test_without_gradients_a_value_that_is_no_number_stays_where_it_is(value):
    q, k, v = (torch.randn(BATCH, HEADS, n, D_HEAD) for n in (QUERIES, KEYS, KEYS))
    v[0, 0, 2, 1] = value
    torch.testing.assert_close(tiled_attention(q, k, v), explicit_attention(q, k, v), equal_nan=True)
    nothing = v[..., :0]
    assert tiled_attention(q, k, nothing).shape == (BATCH, HEADS, QUERIES, 0)


@pytest.mark.parametrize("mutant", MUTANTS)
def test_comparison_rejects(mutant):
    with pytest.raises(AssertionError):
        compare_with_loops(MUTANTS[mutant], MASKS["both"], BIASES["per head"])


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("mul_(shrink).add_(tile_total)", "add_(tile_total)"),
        ("mean.mul_(shrink).add_(tile_mean)", "mean.add_(tile_mean)"),
        ("d_scores.sub_(row_sums).mul_(powers)", "d_scores.mul_(powers)"),
        ("/ totals[here]", "* 1.0"),
        (
            "scores.sub_(highest).exp_()\n                        d_scores",
            "scores.exp_()\n                        d_scores",
        ),
        ("d_q[here] = tiles.scaled(d_q_rows)", "d_q[here] = d_q_rows"),
        ("end = min(last, rows.stop)", "end = min(last, rows.start + 1)"),
        ("last = max(1, *self.ends[group[0]])", "last = max(1, *self.ends[group[0]]) - 1"),
        ("min(self.unpadded[group[0]])", "max(self.unpadded[group[0]])"),
        ("first - (first - columns.stop) % VECTOR", "first + (first - columns.stop) % VECTOR"),
        ("powers * shares", "powers.clone()"),
        ("functional.pad(real, (0, self.width - self.keys))", "functional.pad(real, (0, 99), value=True)"),
        ("where[:, :, count:] = 0.0", "where[:, :, count:] = 1.0"),
    ],
)
def test_comparison_rejects_a_broken_tile(old, new):
    """Mistakes seeded into the source of the tiled attention itself."""
    sources = [Path(module.__file__).read_text(encoding="utf-8") for module in (tiles_module, tiled_module)]
    assert sum(source.count(old) for source in sources) == 1, f"the source no longer says {old!r}"
    tiles, tiling = {"__name__": "broken"}, {"__name__": "broken"}
    for source, namespace in zip(sources, (tiles, tiling), strict=True):
        exec(compile(source.replace(old, new), "broken", "exec"), namespace)
    two_examples = 2 * HEADS * QUERIES * (KEYS + 4)
    tiles |= {"MULTIPLE": 5, "MULTIPLE_FROM": 1, "VECTOR": 2, "scores_of_a_group": lambda like: two_examples}
    tiling["Tiles"], tiling["product"] = tiles["Tiles"], tiles["product"]

    def broken(q, k, v, mask=None, bias=None, *, sizes, return_weights=False):
        output = tiling["attend_in_tiles"](q, k, v, mask, bias, **sizes)
        return output, explicit_attention(q, k, v, mask, bias, return_weights=True)[1]

    sizes = [{"query_tile": rows, "key_tile": keys} for rows, keys in ((4, 3), (4, KEYS), (QUERIES, KEYS))]
    for mask, of_tile in itertools.product((Mask(causal=True), MASKS["padding without holes"]), sizes):
        try:
            compare_with_loops(partial(broken, sizes=of_tile), mask, BIASES["alibi"])
        except AssertionError:
            return
    pytest.fail("no comparison noticed")
