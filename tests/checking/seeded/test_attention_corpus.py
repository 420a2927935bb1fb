"""The seeded mistakes are what they claim to be: their bases are right, and each of them shows somewhere."""

import ast
import itertools
import re
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.checking.seeded.attention import MISTAKES, REMARKS, cases, source

BATCH, QUERIES, KEYS, D_MODEL, HEADS, D_HEAD = 4, 6, 7, 15, 3, 5


class Style(NamedTuple):
    inputs: str  # what forward takes: x; x and a context; or query, key and value
    mask: str  # and its axes
    causal: str  # an argument of what
    projections: str = ""


STYLES = {
    "multihead_separate": Style("context", "padding_mask bk", "forward", "q_proj k_proj v_proj out_proj"),
    "multihead_einsum": Style("value", "mask bqk", "", "to_q to_k to_v to_out"),
    "multihead_heads_list": Style("context", "padding_mask bk", "causal", "query key value proj"),
    "multihead_fused": Style("x", "attention_mask bk", "is_causal", "c_attn c_attn c_attn c_proj"),
    "multihead_sdpa": Style("value", "mask bqk", "forward", "wq wk wv wo"),
    "multihead_matrices": Style("context", "mask bhqk", "", "q k v o"),
    "multihead_bmm": Style("value", "mask bqk", "", "W_q W_k W_v W_o"),
    "multihead_chunks": Style("value", "key_mask bk", "causality", "q_linear k_linear v_linear o_linear"),
    "multihead_fold_length": Style("value", "key_mask bk", "", "in_proj_q in_proj_k in_proj_v out_proj"),
    "self_attention_linear": Style("x", "attention_mask bk", "causal", "W_query W_key W_value"),
    "self_attention_matrices": Style("x", "mask bqk", "forward", "q k v"),
    "attention_plain": Style("value", "mask bqk", ""),
    "attention_einsum": Style("value", "key_mask bk", "forward"),
    "attention_loop": Style("value", "mask bqk", "forward"),
}
CONSTRUCTED = ("multihead_heads_list", "self_attention_linear")  # causal once and for all


class Probe(NamedTuple):
    cross: bool
    padding: bool
    causal: bool


PROBES = [Probe(*flags) for flags in itertools.product((False, True), repeat=3)]


def probes(base: str) -> list[Probe]:
    style = STYLES[base]
    return [
        probe
        for probe in PROBES
        if (style.inputs != "x" or not probe.cross)
        and (style.causal or not style.mask.endswith(" bk") or not probe.causal)
    ]


def tensors(base: str, probe: Probe) -> tuple[Tensor, Tensor, Tensor]:
    size = D_HEAD if base.startswith("attention_") else D_MODEL
    generator = torch.Generator().manual_seed(7)
    x, key, value = (
        2 * torch.randn(BATCH, length, size, generator=generator, dtype=torch.float64)
        for length in (QUERIES, KEYS, KEYS)
    )
    if not probe.cross:
        # to a function the three are always different
        return (x, key[:, :QUERIES], value[:, :QUERIES]) if base.startswith("attention_") else (x, x, x)
    return x, key, value if STYLES[base].inputs == "value" else key


def masks(probe: Probe, fully: bool = False) -> tuple[Tensor, Tensor]:
    """Where a query may attend: real tokens, and the past. With `fully`, the last row is all padding."""
    keys = KEYS if probe.cross else QUERIES
    lengths = torch.tensor([keys - 1, keys - 3, keys - 2, 0 if fully else keys - 4])
    padding = torch.arange(keys) < lengths[:, None]
    padding[1, 1] = False
    return padding, torch.ones(QUERIES, keys, dtype=torch.bool).tril()


def load(text: str, base: str, causal: bool) -> Any:
    namespace: dict[str, Any] = {}
    exec(compile(text, base, "exec"), namespace)
    (name,) = re.findall(r"^(?:class|def) ([A-Za-z]\w+)", text, re.M)
    if base.startswith("attention_"):
        return namespace[name]
    sizes = (D_MODEL, D_HEAD) if base.startswith("self_") else (D_MODEL, HEADS)
    return namespace[name](*sizes, **({"causal": causal} if base in CONSTRUCTED else {})).double().eval()


def parameters(base: str, module: Any) -> list[list[tuple[Tensor, Tensor | None]]]:
    """Of queries, keys, values and output: weights (out, in) and biases, by head where they are apart."""
    found: list[list[tuple[Tensor, Tensor | None]]] = []
    for i, name in enumerate(STYLES[base].projections.split()):
        if base.endswith("_matrices"):
            weight = getattr(module, f"W_{name}", None)
            weight = getattr(module, f"W{name}") if weight is None else weight
            found.append([(weight.data.T, getattr(module, f"b_{name}", None))])
        elif name == "c_attn":
            found.append([(module.c_attn.weight.data.chunk(3)[i], module.c_attn.bias.data.chunk(3)[i])])
        else:
            owners = module.heads if name in ("query", "key", "value") else [module]
            found.append([(getattr(o, name).weight.data, getattr(o, name).bias) for o in owners])
    return found


def randomise(base: str, module: Any) -> None:
    generator = torch.Generator().manual_seed(11)
    for i, pairs in enumerate(parameters(base, module)):
        for tensor in (t for pair in pairs for t in pair if t is not None):
            tensor.data.copy_(
                torch.randn(tensor.shape, generator=generator) * (3 if i < 2 else 1) / D_MODEL**0.5
            )


def run(base: str, module: Any, probe: Probe, fully: bool = False) -> Tensor:
    style = STYLES[base]
    query, key, value = tensors(base, probe)
    options: dict[str, Any] = {}
    padding, past = masks(probe, fully)
    name, axes = style.mask.split()
    allowed = padding if axes == "bk" else padding[:, None, :].expand(-1, QUERIES, -1)
    if not probe.padding:
        allowed = torch.ones_like(allowed)
    if style.causal and base not in CONSTRUCTED:
        options["causal" if style.causal == "forward" else style.causal] = probe.causal
    elif not style.causal and probe.causal:
        allowed = allowed & past
    if probe.padding or (probe.causal and not style.causal):
        options[name] = allowed[:, None] if axes == "bhqk" else allowed
    if style.inputs == "value":
        return module(query, key, value, **options)
    return module(query, key, **options) if probe.cross else module(query, **options)


def theirs(base: str, module: Any, probe: Probe, fully: bool = False) -> Tensor:
    query, key, value = tensors(base, probe)
    padding, past = masks(probe, fully)
    allowed = torch.ones(BATCH, QUERIES, key.size(1), dtype=torch.bool)
    if probe.padding:
        allowed = allowed & padding[:, None, :]
    if probe.causal:
        allowed = allowed & past
    if base.startswith("attention_"):
        return functional.scaled_dot_product_attention(query, key, value, allowed)
    weights, biases = [], []
    for pairs in parameters(base, module):
        weights.append(torch.cat([weight for weight, _ in pairs]))
        biases.append(
            torch.cat([weight.new_zeros(len(weight)) if bias is None else bias for weight, bias in pairs])
        )
    if base.startswith("self_"):
        q, k, v = (functional.linear(query, w, b) for w, b in zip(weights, biases, strict=True))
        return functional.scaled_dot_product_attention(q, k, v, allowed)
    layer = nn.MultiheadAttention(D_MODEL, HEADS, batch_first=True, dtype=torch.float64)
    state = {"in_proj_weight": torch.cat(weights[:3]), "in_proj_bias": torch.cat(biases[:3])}
    layer.load_state_dict({**state, "out_proj.weight": weights[3], "out_proj.bias": biases[3]})
    return layer(query, key, value, attn_mask=~allowed.repeat_interleave(HEADS, 0), need_weights=False)[0]


def right_and_seeded(slug: str, base: str, causal: bool) -> tuple[Any, Any]:
    right, wrong = load(source(base), base, causal), load(source(base, slug), base, causal)
    if isinstance(right, nn.Module):
        randomise(base, right)
        wrong.load_state_dict(right.state_dict(), strict=slug != "missing-key-bias")
    return right, wrong


def outcome(slug: str, base: str, probe: Probe, fully: bool = False) -> str:
    """What the mistake does to the output: nothing, or what is wrong with it."""
    try:
        right, wrong = right_and_seeded(slug, base, probe.causal)
    except RuntimeError:
        return "parameters"
    try:
        output = run(base, wrong, probe, fully)
    except (RuntimeError, IndexError):
        return "crash"
    expected = run(base, right, probe, fully)
    if output.shape != expected.shape:
        return "shape"
    if torch.allclose(output, expected, rtol=0, atol=1e-9, equal_nan=True):
        return ""
    return "values" if bool(output.isfinite().all()) else "nan"


@pytest.mark.parametrize("base", STYLES)
def test_bases_agree_with_torch(base: str) -> None:
    for probe in probes(base):
        module = load(source(base), base, probe.causal)
        if isinstance(module, nn.Module):
            randomise(base, module)
        torch.testing.assert_close(run(base, module, probe), theirs(base, module, probe))


@pytest.mark.filterwarnings("ignore:Implicit dimension choice for softmax")
@pytest.mark.parametrize(("slug", "base"), list(cases()))
def test_mistakes_show(slug: str, base: str) -> None:
    plain = Probe(False, False, False)
    output = run(base, load(source(base, slug), base, False), plain)
    assert output.shape == (BATCH, QUERIES, D_MODEL if base.startswith("multihead_") else D_HEAD)
    outcomes = [outcome(slug, base, probe) for probe in probes(base)]
    if slug in ("missing-key-bias", "filled-with-minus-1e9"):
        assert not any(outcomes)
    elif slug == "equal-lengths-only":
        assert outcomes == ["crash" if probe.cross else "" for probe in probes(base)]
    else:
        assert {"parameters", "values", "nan"} & set(outcomes)  # more than a crash
    if slug == "filled-with-minus-1e9":
        assert outcome(slug, base, Probe(False, True, False), fully=True) == "values"


@pytest.mark.parametrize(("slug", "base"), sorted(REMARKS))
def test_remarks_are_right_with_other_parameters(slug: str, base: str) -> None:
    for probe in probes(base):
        right, wrong = right_and_seeded(slug, base, probe.causal)
        parts = parameters(base, wrong)
        swapped = {"q-k-swapped": parts[:2], "k-v-swapped": parts[1:3]}.get(slug, [])
        ones, others = ([t for pair in part for t in pair if t is not None] for part in swapped or [[], []])
        for one, other in zip(ones, others, strict=True):
            kept = one.data.clone()
            one.data.copy_(other.data)
            other.data.copy_(kept)
        if slug == "weights-transposed":
            for ((weight, _),) in parts[3:] if base in ("multihead_fused", "multihead_bmm") else parts[:3]:
                weight.copy_(weight.T.clone())
        if slug == "interleaved-heads":
            # place j * HEADS + h belongs to component j of head h
            order = torch.arange(D_MODEL).view(HEADS, D_HEAD).T.flatten()
            if base == "multihead_heads_list":
                parts[3][0][0].copy_(parts[3][0][0][:, order])
            else:
                for tensor in (t for part in parts[:3] for t in part[0] if t is not None):
                    tensor.data.copy_(tensor.data[order])
        torch.testing.assert_close(run(base, wrong, probe), run(base, right, probe))


def test_two_mistakes_at_once() -> None:
    made = 0
    for base in STYLES:
        for one, other in itertools.combinations([slug for slug in MISTAKES if base in MISTAKES[slug]], 2):
            try:
                text = source(base, one, other)
            except ValueError:
                continue
            ast.parse(text)
            assert text not in (source(base, one), source(base, other))
            made += 1
    assert made > 2000
    assert source("attention_plain", "no-scale", "padding-inverted") == (
        source("attention_plain", "no-scale").replace("~mask", "mask")
    )
    with pytest.raises(ValueError, match="overlap"):
        source("multihead_separate", "no-scale", "scale-by-d-k")
