"""The folder `correct`: right implementations of attention and its relatives, as many people write them.

A file holds one implementation, written without knowledge of the checker: other names, argument orders,
layouts of weights and meanings of masks. Its first line names the contract that it fulfils; `# target: NAME`
follows where the file defines more than one public thing, or only gives one a name. The checker has to pass
all of them, and here torch vouches for the attentions among them.
"""

import importlib.util
import inspect
import re
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

FILES = {path.stem: path for path in sorted((Path(__file__).parent / "correct").glob("*.py"))}
CONTRACTS = {
    "attention",
    "parameter-free-self-attention",
    "self-attention",
    "multi-head-attention",
    "self-attention-2d",
    "sinusoidal-positions",
    "learned-positions",
    "feed-forward",
    "transformer-block",
    "decoder-block",
    "patchify",
    "patch-embedding",
    "mean-pooling",
    "cls-pooling",
    "layer-norm",
    "causal-mask",
    "padding-mask",
    "cross-entropy",
    "text-classifier",
    "vision-transformer",
    "encoder-decoder",
    "numpy-backward",
}
BATCH, QUERIES, KEYS, D_MODEL, HEADS, D_HEAD = 4, 6, 11, 24, 3, 8
HEIGHT, WIDTH = 2, 3  # QUERIES pixels


def contract(name: str) -> str:
    return FILES[name].read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# contract: ")


def load(name: str) -> ModuleType:
    if re.search(r"^(from|import) einops", FILES[name].read_text(encoding="utf-8"), re.M):
        pytest.importorskip("einops")
    spec = importlib.util.spec_from_file_location(f"corpus_{name}", FILES[name])
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def target(module: ModuleType) -> Any:
    """What the file is about: what `# target:` names, or its only public function or class."""
    named = re.search(r"^# target: (\w+)$", inspect.getsource(module), re.M)
    if named:
        return getattr(module, named[1])
    (one,) = (
        value
        for name, value in vars(module).items()
        if not name.startswith("_")
        and (inspect.isclass(value) or inspect.isfunction(value))
        and value.__module__ == module.__name__
    )
    return one


@pytest.mark.parametrize("name", FILES)
def test_each_file_has_a_known_contract_and_one_target(name: str) -> None:
    assert FILES[name].read_text(encoding="utf-8").startswith("# contract: ")
    assert contract(name) in CONTRACTS
    assert callable(target(load(name)))


def test_each_contract_has_a_file() -> None:
    assert {contract(name) for name in FILES} == CONTRACTS


# ------------------------------------------------------------------------------------------------------------
# Functions of q, k, v. The mask `keep` is (BATCH, KEYS), True = real: a call hands it on in its own meaning.


class Function(NamedTuple):
    call: Callable[..., Any]  # (function, q, k, v, keep)
    masks: str = "none keys"
    axes: int = 4
    tolerance: float = 1e-12


def added(keep: Tensor) -> Tensor:
    return torch.zeros(keep.shape, dtype=torch.float64).masked_fill(~keep, -torch.inf)


def optional(change: Callable[[Tensor], Tensor], keep: Tensor | None) -> Tensor | None:
    return None if keep is None else change(keep)


def four(keep: Tensor) -> Tensor:
    return keep[:, None, None, :]


FUNCTIONS = {
    "attention_short": Function(lambda f, q, k, v, keep: f(q, k, v), "none"),
    "attention_pair": Function(lambda f, q, k, v, keep: f(q, k, v, mask=optional(four, keep))),
    "attention_keys_first": Function(lambda f, q, k, v, keep: f(k, q, v), "none", 3),
    "attention_additive_mask": Function(
        lambda f, q, k, v, keep: f(q, k, v, optional(lambda m: four(added(m)), keep))
    ),
    "attention_true_hides": Function(lambda f, q, k, v, keep: f(q, k, v, optional(lambda m: four(~m), keep))),
    # its square root is a float32
    "attention_own_softmax": Function(
        lambda f, q, k, v, keep: f(q, k, v, causal=keep is not None), "none causal", tolerance=1e-6
    ),
    "attention_numpy": Function(
        lambda f, q, k, v, keep: torch.from_numpy(
            f(q.numpy(), k.numpy(), v.numpy(), optional(lambda m: four(m).numpy(), keep))
        )
    ),
    "attention_any_mask": Function(lambda f, q, k, v, keep: f(q, k, v, optional(four, keep))),
    "attention_module": Function(
        lambda f, q, k, v, keep: f(D_HEAD).eval()(q, k, v, optional(lambda m: ~m[:, None], keep)), axes=3
    ),
    "attention_keyword_only": Function(
        lambda f, q, k, v, keep: f(
            keys=k, queries=q, values=v, additive_mask=optional(lambda m: added(m)[:, None], keep)
        ),
        axes=3,
    ),
    "attention_heads_after_tokens": Function(
        lambda f, *qkv_keep: f(
            *(each.transpose(1, 2) for each in qkv_keep[:3]), causal=qkv_keep[3] is not None
        ).transpose(1, 2),
        "none causal",
    ),
}


def random(*sizes: int) -> Tensor:
    return torch.randn(*sizes, dtype=torch.float64)


def some_keys(keys: int) -> Tensor:
    return torch.arange(keys) < torch.tensor([keys - 1, keys - 3, keys - 2, keys])[:, None]


def causal(queries: int, keys: int) -> Tensor:
    return torch.ones(queries, keys, dtype=torch.bool).tril()


@pytest.mark.parametrize(
    ("name", "mask"), [(name, mask) for name, case in FUNCTIONS.items() for mask in case.masks.split()]
)
def test_a_function_of_q_k_v_agrees_with_torch(name: str, mask: str) -> None:
    case = FUNCTIONS[name]
    lead = (BATCH, HEADS)[: case.axes - 2]
    q, k, v = random(*lead, QUERIES, D_HEAD), random(*lead, KEYS, D_HEAD), random(*lead, KEYS, 5)
    keep = {"none": None, "keys": some_keys(KEYS), "causal": causal(QUERIES, KEYS)}[mask]
    wide = keep if mask != "keys" else keep.view(BATCH, *[1] * (case.axes - 2), KEYS)
    expected = functional.scaled_dot_product_attention(q, k, v, attn_mask=wide)
    y = case.call(target(load(name)), q, k, v, keep)
    y = y[0] if isinstance(y, tuple) else y
    torch.testing.assert_close(y, expected, rtol=case.tolerance, atol=case.tolerance)


# ------------------------------------------------------------------------------------------------------------
# Modules that own projections. Their weights are read in torch's layout: rows are outputs, head after head.

Pair = tuple[Tensor, Tensor | None]


class Layer(NamedTuple):
    build: Callable[..., nn.Module]  # of the target, or of the file for its config
    weights: Callable[[Any], list[Pair | None]]  # of Q, K, V and the output
    call: Callable[..., Any] = lambda layer, x, c, keep: layer(x)  # (layer, x, context, keep)
    masks: str = "none"  # keys: keep is (BATCH, keys); pairs: (queries, keys); causal: built in
    cross: bool = False
    heads: int = HEADS
    tolerance: float = 1e-10


def of(linear: Any) -> Pair:
    return linear.weight.flatten(1), linear.bias


def linears(q: str, k: str, v: str, o: str | None) -> Callable[[Any], list[Pair | None]]:
    return lambda layer: [*(of(getattr(layer, name)) for name in (q, k, v)), o and of(getattr(layer, o))]


def thirds(weight: Tensor, bias: Tensor | None, parts: int = 3) -> list[Pair]:
    biases = [None] * parts if bias is None else bias.chunk(parts)
    return list(zip(weight.chunk(parts), biases, strict=True))


def fused(qkv: str, o: str) -> Callable[[Any], list[Pair | None]]:
    return lambda layer: [*thirds(*of(getattr(layer, qkv))), of(getattr(layer, o))]


def per_head(layer: Any) -> list[Pair | None]:
    """The rows of one fused projection are [head][q, k, v][d_head]."""
    weight, bias = (t.unflatten(0, (HEADS, 3, D_HEAD)) for t in (layer.qkv_proj.weight, layer.qkv_proj.bias))
    return [*((weight[:, i].flatten(0, 1), bias[:, i].flatten()) for i in range(3)), of(layer.o_proj)]


def listed(o: str) -> Callable[[Any], list[Pair | None]]:
    def joined(heads: Any, name: str) -> Pair:
        weights, biases = zip(*(of(getattr(head, name)) for head in heads), strict=True)
        return torch.cat(weights), None if biases[0] is None else torch.cat(biases)

    return lambda layer: [
        *(joined(layer.heads, name) for name in ("query", "key", "value")),
        of(getattr(layer, o)),
    ]


def torch_weights(mha: nn.MultiheadAttention) -> list[Pair | None]:
    return [*thirds(mha.in_proj_weight, mha.in_proj_bias), of(mha.out_proj)]


def in_out(layer: Any) -> list[Pair | None]:
    return [(getattr(layer, f"W_{n}").T, getattr(layer, f"b_{n}")) for n in "qkvo"]


def by_head(layer: Any) -> list[Pair | None]:
    q, k, v = ((w.transpose(1, 2).flatten(0, 1), None) for w in (layer.W_Q, layer.W_K, layer.W_V))
    return [q, k, v, (layer.W_O.flatten(0, 1).T, None)]


def swapped(call: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """For a layer that wants (length, batch, features)."""
    return lambda layer, x, c, keep: call(layer, x.transpose(0, 1), c.transpose(0, 1), keep).transpose(0, 1)


def image(layer: nn.Module, x: Tensor, c: Tensor, keep: None) -> Tensor:
    y = layer(x.transpose(1, 2).unflatten(2, (HEIGHT, WIDTH)))
    assert y.shape == (BATCH, D_MODEL, HEIGHT, WIDTH)
    return y.flatten(2).transpose(1, 2)


def hide(keep: Tensor | None) -> Tensor | None:
    return optional(torch.logical_not, keep)


plain = linears("query", "key", "value", None)
LAYERS = {
    # self-attention
    "self_attention_sheet": Layer(lambda t: t(D_MODEL, 7), linears("W_q", "W_k", "W_v", None), heads=1),
    "self_attention_no_bias": Layer(
        lambda t: t(D_MODEL), linears("queries", "keys", "values", None), heads=1
    ),
    "self_attention_parameters": Layer(
        lambda t: t(D_MODEL, 7),
        lambda m: [(m.W_query.T, None), (m.W_key.T, None), (m.W_value.T, None), None],
        heads=1,
    ),
    "self_attention_causal_head": Layer(lambda t: t(D_MODEL, 7, 16, 0.1), plain, masks="causal", heads=1),
    "self_attention_output_projection": Layer(
        lambda t: t(D_MODEL, 7, 5),
        linears("to_q", "to_k", "to_v", "to_out"),
        lambda m, x, c, keep: m(x, hide(keep)),
        "none pairs",
        heads=1,
    ),
    "self_attention_weights_too": Layer(
        lambda t: t(D_MODEL),
        lambda m: [*thirds(m.qkv.weight, m.qkv.bias), None],
        lambda m, x, c, keep: m(x, optional(Tensor.long, keep)),
        "none keys",
        heads=1,
    ),
    # multi-head-attention
    "multihead_four_linears": Layer(
        lambda t: t(HEADS, D_MODEL),
        lambda m: [of(linear) for linear in m.linears],
        lambda m, x, c, keep: m(x, c, c, optional(lambda k: k[:, None], keep)),
        "none keys",
        cross=True,
    ),
    "multihead_config": Layer(
        lambda t: t(
            t.forward.__globals__["GPTConfig"](n_embd=D_MODEL, n_head=HEADS, block_size=16, dropout=0.1)
        ),
        fused("c_attn", "c_proj"),
        masks="causal",
    ),
    "multihead_list_of_causal_heads": Layer(lambda t: t(D_MODEL, HEADS, 16), listed("proj"), masks="causal"),
    "multihead_three_matrices_stacked": Layer(
        lambda t: t(D_MODEL, HEADS), lambda m: [*((each.T, None) for each in m.w), of(m.out)]
    ),
    "multihead_three_matrices_stacked_as_linear": Layer(
        lambda t: t(D_MODEL, HEADS), lambda m: [*((each, None) for each in m.in_proj), of(m.out)]
    ),
    "multihead_softmax_in_single": Layer(
        lambda t: t(D_MODEL, HEADS),
        linears("wq", "wk", "wv", "wo"),
        lambda m, x, c, keep: m(x, keep),
        "none pairs",
        tolerance=1e-5,
    ),
    "multihead_list_of_heads": Layer(lambda t: t(D_MODEL, HEADS), listed("output")),
    "multihead_fused_per_head": Layer(
        lambda t: t(D_MODEL, D_MODEL, HEADS),
        per_head,
        lambda m, x, c, keep: m(x, optional(lambda k: k[:, None], keep), return_attention=True),
        "none keys",
    ),
    "multihead_fused": Layer(lambda t: t(D_MODEL, HEADS, True), fused("qkv", "proj")),
    "multihead_einsum": Layer(
        lambda t: t(D_MODEL, HEADS, 5),
        by_head,
        lambda m, x, c, keep: m(x, c, optional(lambda k: k[:, None], keep)),
        "none keys",
        cross=True,
    ),
    "multihead_wraps_torch": Layer(
        lambda t: t(D_MODEL, HEADS),
        lambda m: torch_weights(m.mha),
        lambda m, x, c, keep: m(x, hide(keep)),
        "none keys",
    ),
    "multihead_sdpa": Layer(
        lambda t: t(D_MODEL, HEADS),
        linears("q_proj", "k_proj", "v_proj", "out_proj"),
        lambda m, x, c, keep: m(x, c, keep),
        "none pairs",
        cross=True,
    ),
    "multihead_matrices_in_out": Layer(
        lambda t: t(D_MODEL, HEADS),
        in_out,
        lambda m, x, c, keep: m(x, c, c, optional(four, keep)),
        "none keys",
        cross=True,
    ),
    "multihead_matrices_out_in": Layer(
        lambda t: t(D_MODEL, HEADS),
        lambda m: [*thirds(m.in_proj_weight, m.in_proj_bias), (m.out_proj_weight, m.out_proj_bias)],
        lambda m, x, c, keep: m(x, c, c, hide(keep)),
        "none keys",
        cross=True,
    ),
    "multihead_length_first": Layer(
        lambda t: t(D_MODEL, HEADS),
        linears("q_proj", "k_proj", "v_proj", "out_proj"),
        swapped(lambda m, x, c, keep: m(x, hide(keep))),
        "none keys",
    ),
    "multihead_length_first_cross": Layer(
        lambda t: t(D_MODEL, HEADS),
        lambda m: [of(m.lin_q), *thirds(*of(m.lin_kv), parts=2), of(m.lin_out)],
        swapped(lambda m, x, c, keep: m(x, c, hide(keep))),
        "none pairs",
        cross=True,
    ),
    "multihead_wide": Layer(
        lambda t: t(D_MODEL, HEADS), linears("toqueries", "tokeys", "tovalues", "unifyheads")
    ),
    "multihead_einops": Layer(
        lambda t: t(D_MODEL, heads=HEADS, dim_head=5),
        lambda m: [of(m.to_q), *thirds(*of(m.to_kv), parts=2), of(m.to_out[0])],
        lambda m, x, c, keep: m(x, c, keep),
        "none keys",
        cross=True,
    ),
    "multihead_is_torch": Layer(
        lambda t: t(D_MODEL, HEADS, batch_first=True),
        torch_weights,
        lambda m, x, c, keep: m(x, c, c, key_padding_mask=hide(keep)),
        "none keys",
        cross=True,
    ),
    "multihead_glassformer": Layer(
        lambda t: t(D_MODEL, HEADS),
        fused("qkv", "output"),
        lambda m, x, c, keep: m(x, c, keep),
        "none pairs",
        cross=True,
    ),
    "multihead_keyword_only": Layer(
        lambda t: t(emb_size=D_MODEL, nhead=HEADS, p_drop=0.1),
        linears("wq", "wk", "wv", "wo"),
        lambda m, x, c, keep: m(x, k=c, attn_bias=optional(added, keep)),
        "none pairs",
        cross=True,
    ),
    "multihead_valid_lens": Layer(
        lambda t: t(D_MODEL, HEADS, 0.1),
        linears("W_q", "W_k", "W_v", "W_o"),
        lambda m, x, c, keep: m(x, c, c, optional(lambda k: k.sum(1), keep)),
        "none keys",
        cross=True,
    ),
    "multihead_values_first": Layer(
        lambda t: t(D_MODEL, HEADS),
        linears("queries", "keys", "values", "fc_out"),
        lambda m, x, c, keep: m(c, c, x, optional(four, keep)),
        "none keys",
        cross=True,
    ),
    "multihead_causal_context_length": Layer(
        lambda t: t(D_MODEL, D_MODEL, 16, 0.1, HEADS),
        linears("W_query", "W_key", "W_value", "out_proj"),
        masks="causal",
    ),
    "multihead_deutsch": Layer(
        lambda t: t(D_MODEL, HEADS),
        linears("anfrage", "schluessel", "wert", "ausgabe"),
        lambda m, x, c, keep: m(x, keep),
        "none keys",
    ),
    "multihead_unfold": Layer(
        lambda t: t(D_MODEL, HEADS),
        linears("query", "key", "value", "mix"),
        lambda m, x, c, keep: m(x, keep),
        "none keys",
    ),
    "multihead_vmap": Layer(lambda t: t(D_MODEL, HEADS), fused("qkv", "out")),
    "multihead_three_axes": Layer(
        lambda t: t(HEADS, D_MODEL), by_head, lambda m, x, c, keep: m(x, c, c, keep), "none pairs", cross=True
    ),
    "multihead_baddbmm": Layer(
        lambda t: t(D_MODEL, HEADS),
        linears("dense_q", "dense_k", "dense_v", "dense"),
        lambda m, x, c, keep: m(x, optional(added, keep)),
        "none pairs",
    ),
    "multihead_dataclass": Layer(
        lambda t: t(t.forward.__globals__["Config"](n_embd=D_MODEL, n_head=HEADS)),
        fused("c_attn", "c_proj"),
        masks="causal",
    ),
    "multihead_annotated_config": Layer(
        lambda t: t(t.forward.__globals__["AttentionConfig"](D_MODEL, HEADS)), linears("q", "k", "v", "o")
    ),
    "multihead_config_dict": Layer(
        lambda t: t({"emb_dim": D_MODEL, "n_heads": HEADS, "qkv_bias": True}), fused("W", "out_proj")
    ),
    "multihead_nested": Layer(
        lambda t: t(model_dim=D_MODEL, heads=HEADS, dropout=0.1),
        lambda m: [*(of(m.inner["maps"][name]) for name in ("query", "key", "value")), of(m.out[0])],
        lambda m, x, c, keep: m(inputs=x, keep_mask=keep),
        "none keys",
    ),
    "multihead_parameter_list": Layer(
        lambda t: t(D_MODEL, HEADS),
        lambda m: [
            *((torch.cat([w.T for w in each]), None) for each in (m.queries, m.keys, m.values)),
            (torch.cat(list(m.outputs)).T, None),
        ],
        lambda m, x, c, keep: m(x, c),
        cross=True,
    ),
    "multihead_linear_list": Layer(
        lambda t: t(D_MODEL, HEADS),
        lambda m: [
            *(
                (torch.cat([each.weight for each in role]), torch.cat([each.bias for each in role]))
                for role in zip(*((head.q, head.k, head.v) for head in m.heads), strict=True)
            ),
            (torch.cat([head.o.weight for head in m.heads], 1), sum(head.o.bias for head in m.heads)),
        ],
        lambda m, x, c, keep: m(x, keep),
        "none keys",
    ),
    "multihead_context_first": Layer(
        lambda t: t(D_MODEL, HEADS),
        lambda m: [of(m.q), *thirds(*of(m.kv), parts=2), of(m.proj)],
        lambda m, x, c, keep: m(c, x),
        cross=True,
    ),
    "multihead_functional": Layer(
        lambda t: t(D_MODEL, HEADS),
        lambda m: [(m.params[f"{name}_weight"], m.params[f"{name}_bias"]) for name in "qkvo"],
        lambda m, x, c, keep: m(x, optional(lambda k: k.sum(1), keep)),
        "none keys",
    ),
    "multihead_query_blocks": Layer(lambda t: t(D_MODEL, HEADS), fused("project", "unify")),
    "multihead_conv1d": Layer(lambda t: t(D_MODEL, HEADS), linears("q", "k", "v", "proj")),
    "multihead_four_axes": Layer(
        lambda t: t(D_MODEL, HEADS),
        lambda m: [*((each.flatten(0, 1), None) for each in m.qkv), (m.out.flatten(0, 1).T, None)],
    ),
    "self_attention_batch_in_the_middle": Layer(
        lambda t: t(D_MODEL, 7),
        linears("to_queries", "to_keys", "to_values", None),
        swapped(lambda m, x, c, keep: m(x)),
        heads=1,
    ),
    "self_attention_unbatched": Layer(
        lambda t: t(D_MODEL, 7),
        lambda m: [(m.W_q.T, None), (m.W_k.T, None), (m.W_v.T, None), None],
        lambda m, x, c, keep: torch.stack([m(each) for each in x]),
        heads=1,
    ),
    # self-attention-2d
    "self_attention_2d_flatten": Layer(lambda t: t(D_MODEL, HEADS), linears("q", "k", "v", "out"), image),
    "self_attention_2d_conv": Layer(lambda t: t(D_MODEL, HEADS), fused("qkv", "proj"), image),
    "self_attention_2d_einops": Layer(
        lambda t: t(D_MODEL, 15, 21, D_MODEL, HEADS), linears("q", "k", "v", "o"), image
    ),
}


def reference(x: Tensor, context: Tensor, keep: Tensor | None, heads: int, *pairs: Pair | None) -> Tensor:
    q, k, v = (
        functional.linear(of_what, *pair).unflatten(-1, (heads, -1)).transpose(1, 2)
        for of_what, pair in zip((x, context, context), pairs, strict=False)
    )
    y = functional.scaled_dot_product_attention(q, k, v, attn_mask=keep).transpose(1, 2).flatten(2)
    return y if pairs[3] is None else functional.linear(y, *pairs[3])


def test_each_attention_is_compared() -> None:
    attentions = {"attention", "self-attention", "multi-head-attention", "self-attention-2d"}
    assert {name for name in FILES if contract(name) in attentions} == set(FUNCTIONS) | set(LAYERS)


@pytest.mark.parametrize("mask", ["none", "keys", "pairs"])
def test_the_reference_is_torchs_own_layer(mask: str) -> None:
    layer = nn.MultiheadAttention(D_MODEL, HEADS, batch_first=True).double()
    x, context, keep = random(BATCH, QUERIES, D_MODEL), random(BATCH, KEYS, D_MODEL), some_keys(KEYS)
    pairs = causal(QUERIES, KEYS) if mask == "pairs" else None
    theirs, _ = layer(
        x, context, context, key_padding_mask=~keep if mask == "keys" else None, attn_mask=hide(pairs)
    )
    ours = reference(x, context, four(keep) if mask == "keys" else pairs, HEADS, *torch_weights(layer))
    torch.testing.assert_close(ours, theirs, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("name", "mask"), [(name, mask) for name, case in LAYERS.items() for mask in case.masks.split()]
)
def test_a_layer_agrees_with_torch(name: str, mask: str) -> None:
    case = LAYERS[name]
    layer = case.build(target(load(name))).double().eval()
    with torch.no_grad():
        for parameter in layer.parameters():
            parameter.normal_(std=0.5)
    x = random(BATCH, QUERIES, D_MODEL)
    context = random(BATCH, KEYS, D_MODEL) if case.cross else x
    keys = context.shape[1]
    given = {"keys": some_keys(keys), "pairs": causal(QUERIES, keys)}.get(mask)
    keep = {
        "keys": four(some_keys(keys)),
        "pairs": causal(QUERIES, keys),
        "causal": causal(QUERIES, keys),
    }.get(mask)
    y = case.call(layer, x, context, given)
    y = y[0] if isinstance(y, tuple) else y
    expected = reference(x, context, keep, case.heads, *case.weights(layer))
    torch.testing.assert_close(y, expected, rtol=case.tolerance, atol=case.tolerance)
