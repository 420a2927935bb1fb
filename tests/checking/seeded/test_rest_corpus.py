"""The seeded mistakes are what they claim to be: their bases are right, and each of them shows somewhere."""

import itertools
import math
import re
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

from tests.checking.seeded.rest import BASES, MISTAKES, REMARKS, cases, source, target

BATCH, LENGTH, SOURCE, WIDTH, HEADS, HIDDEN = 3, 6, 7, 15, 3, 8
VOCABULARY, CLASSES, PATCH = 11, 4, 3
# the bases of the attentions lie in the same folder
OURS = r"(block|decoder|norm|positions|patch|pool|classifier|vit|seq2seq|ff|masks|loss)_"
NAMES = [path.stem for path in sorted(BASES.glob("*.py")) if re.match(OURS, path.stem)]


def random(*sizes: int) -> Tensor:
    return torch.randn(*sizes, dtype=torch.float64, generator=torch.Generator().manual_seed(sum(sizes)))


def tokens(length: int) -> Tensor:
    """Ids from 2, padded with 0 at the end of every row but the last."""
    ids = torch.randint(2, VOCABULARY, (BATCH, length), generator=torch.Generator().manual_seed(length))
    return ids.masked_fill(padding(length), 0)


def padding(length: int) -> Tensor:
    return torch.arange(length) >= torch.tensor([length - 1, length - 3, length])[:, None]


def later(length: int) -> Tensor:
    return torch.ones(length, length, dtype=torch.bool).triu(1)


# ------------------------------------------------------------------ torch's layers with the weights of a base


class Layout(NamedTuple):
    """Where a layer keeps its weights: each attention's inputs and output, or one nn.MultiheadAttention."""

    attentions: tuple[str, ...]
    norms: str
    linears: str
    options: dict[str, Any]


PRE, POST = ({"norm_first": first, "activation": "gelu"} for first in (True, False))
POST_RELU = {"norm_first": False, "activation": "relu"}
QKVO = "{0}.q {0}.k {0}.v {0}.o"
LAYOUTS = {
    "block_view_heads": Layout(
        ("attention.q_proj attention.k_proj attention.v_proj attention.out_proj",),
        "norm1 norm2",
        "feed_forward.0 feed_forward.2",
        PRE,
    ),
    "block_wrapped": Layout(
        ("attn.fn.to_qkv attn.fn.to_out",), "attn.norm mlp.norm", "mlp.fn.fc1 mlp.fn.fc2", PRE
    ),
    "block_add_norm": Layout(
        (
            " ".join(f"attention.heads.{i}.{of}" for of in ("query", "key", "value") for i in range(HEADS))
            + " attention.W_o",
        ),
        "addnorm1.ln addnorm2.ln",
        "ffn.dense1 ffn.dense2",
        POST,
    ),
    "block_torch_attention": Layout(("self_attn",), "self_attn_layer_norm final_layer_norm", "fc1 fc2", POST),
    "decoder_own_attention": Layout(
        tuple(f"{a}.query {a}.key {a}.value {a}.out" for a in ("self_attention", "cross_attention")),
        "norm1 norm2 norm3",
        "feed_forward.0 feed_forward.2",
        PRE,
    ),
    "decoder_torch_attention": Layout(
        ("self_attn", "multihead_attn"), "norm1 norm2 norm3", "linear1 linear2", POST_RELU
    ),
    "decoder_sublayers": Layout(
        tuple(" ".join(f"{a}.linears.{i}" for i in range(4)) for a in ("self_attn", "src_attn")),
        "sublayer.0.norm sublayer.1.norm sublayer.2.norm",
        "feed_forward.0 feed_forward.2",
        POST_RELU,
    ),
    "classifier_mean_pool": Layout(("qkv proj",), "norm_attention norm_ff", "ff.0 ff.2", PRE),
    "classifier_cls_token": Layout(
        ("attention.query attention.key attention.value attention.dense",),
        "norm1 norm2",
        "intermediate output",
        POST,
    ),
    "vit_conv": Layout(("attn",), "layer_norm_1 layer_norm_2", "linear.0 linear.3", PRE),
    "vit_patchify": Layout(
        ("attention.q attention.k attention.v attention.out",), "norm1 norm2", "mlp.0 mlp.2", PRE
    ),
    "seq2seq_encoder": Layout((QKVO.format("attention"),), "norm1 norm2", "ff.0 ff.2", PRE),
    "seq2seq_decoder": Layout(
        (QKVO.format("attention"), QKVO.format("cross_attention")), "norm1 norm2 norm3", "ff.0 ff.2", PRE
    ),
    "inside_encoder": Layout(("self_attn",), "norm1 norm2", "ffn.0 ffn.2", POST_RELU),
    "inside_decoder": Layout(("self_attn", "cross_attn"), "norm1 norm2 norm3", "ffn.0 ffn.2", POST_RELU),
}


def run_layer(name: str, layer: nn.Module, x: Tensor, memory: Tensor | None = None, **masks: Any) -> Tensor:
    layout = LAYOUTS[name]
    kind = nn.TransformerEncoderLayer if memory is None else nn.TransformerDecoderLayer
    theirs = kind(WIDTH, HEADS, HIDDEN, 0.0, batch_first=True, **layout.options).double()
    for attention, names in zip(("self_attn", "multihead_attn"), layout.attentions, strict=False):
        *inputs, output = (layer.get_submodule(n) for n in names.split())
        if inputs:
            state = {f"out_proj.{key}": value for key, value in output.state_dict().items()}
            for key in ("weight", "bias"):
                state[f"in_proj_{key}"] = torch.cat([getattr(linear, key) for linear in inputs])
        else:
            state = output.state_dict()
        theirs.get_submodule(attention).load_state_dict(state)
    parts = [(f"norm{i}", n) for i, n in enumerate(layout.norms.split(), 1)]
    parts += [(f"linear{i}", n) for i, n in enumerate(layout.linears.split(), 1)]
    for their_name, our_name in parts:
        theirs.get_submodule(their_name).load_state_dict(layer.get_submodule(our_name).state_dict())
    return theirs(x, **masks) if memory is None else theirs(x, memory, **masks)  # training: no fast path


# --------------------------------------------------------------------------------------- independent formulas


def sines(length: int, width: int) -> Tensor:
    rows = [
        [(math.cos if j % 2 else math.sin)(pos / 10000 ** ((j - j % 2) / width)) for j in range(width)]
        for pos in range(length)
    ]
    return torch.tensor(rows, dtype=torch.float64)


def patches(images: Tensor) -> Tensor:
    return functional.unfold(images, PATCH, stride=PATCH).mT


def linear(layer: Any, x: Tensor) -> Tensor:
    return functional.linear(x, layer.weight.flatten(1), layer.bias)


def next_token_loss(logits: Tensor, ids: Tensor) -> Tensor:
    losses = [
        -logits[b, t].log_softmax(0)[ids[b, t + 1]]
        for b, t in itertools.product(range(BATCH), range(ids.shape[1] - 1))
        if ids[b, t + 1] != 0
    ]
    return torch.stack(losses).mean()


def mean_of_real(x: Tensor, hidden: Tensor) -> Tensor:
    return torch.stack([row[~pad].mean(0) for row, pad in zip(x, hidden, strict=True)])


def mean_pool(m: Any, ids: Tensor) -> Tensor:
    x = m.embedding.weight[ids] + sines(ids.shape[1], WIDTH)
    for block in m.blocks:
        x = run_layer("classifier_mean_pool", block, x, src_key_padding_mask=ids == 0)
    return linear(m.classifier, mean_of_real(m.norm(x), ids == 0))


def cls_token(m: Any, ids: Tensor) -> Tensor:
    x = torch.cat([m.cls.expand(BATCH, 1, WIDTH), m.word_embeddings.weight[ids]], 1)
    x = x + m.position_embeddings.weight[: x.shape[1]]
    hidden = torch.cat([torch.zeros(BATCH, 1, dtype=torch.bool), ids == 0], 1)
    for layer in m.layers:
        x = run_layer("classifier_cls_token", layer, x, src_key_padding_mask=hidden)
    return linear(m.classifier, x[:, 0])


def vit(name: str, m: Any, x: Tensor, positions: Tensor, blocks: Any, head: Any) -> Tensor:
    x = torch.cat([m.cls_token.expand(len(x), 1, WIDTH), x], 1) + positions
    for block in blocks:
        x = run_layer(name, block, x)
    return linear(head, m.norm(x)[:, 0])


def vit_conv(m: Any, images: Tensor) -> Tensor:
    x = linear(m.patch_embedding, patches(images))
    return vit("vit_conv", m, x, m.pos_embedding, m.transformer, m.mlp_head)


def vit_patchify(m: Any, images: Tensor) -> Tensor:
    x = patches(images).unflatten(-1, (-1, PATCH * PATCH)).mT.flatten(2)
    return vit("vit_patchify", m, linear(m.embed, x), m.pos_embed, m.blocks, m.head)


def caller_shifts(m: Any, src: Tensor, tgt: Tensor) -> Tensor:
    def embed(embedding: Any, ids: Tensor) -> Tensor:
        return embedding.weight[ids] * WIDTH**0.5 + sines(ids.shape[1], WIDTH)

    x, y = embed(m.src_embedding, src), embed(m.tgt_embedding, tgt)
    for layer in m.encoder:
        x = run_layer("seq2seq_encoder", layer, x, src_key_padding_mask=src == 0)
    x = m.encoder_norm(x)
    masks = {"tgt_mask": later(tgt.shape[1]), "tgt_key_padding_mask": tgt == 0}
    for layer in m.decoder:
        y = run_layer("seq2seq_decoder", layer, y, x, memory_key_padding_mask=src == 0, **masks)
    return linear(m.output, m.decoder_norm(y))


def shifts_inside(m: Any, src: Tensor, labels: Tensor) -> Tensor:
    tgt = torch.cat([torch.ones(BATCH, 1, dtype=torch.long), labels[:, :-1]], 1)
    x, y = (m.embedding.weight[ids] + m.positions.weight[: ids.shape[1]] for ids in (src, tgt))
    for layer in m.encoder:
        x = run_layer("inside_encoder", layer, x, src_key_padding_mask=src == 0)
    for layer in m.decoder:
        y = run_layer("inside_decoder", layer, y, x, tgt_mask=later(LENGTH), memory_key_padding_mask=src == 0)
    return linear(m.lm_head, y)


# -------------------------------------------------------------------------------------------------- the bases


class Case(NamedTuple):
    build: tuple[Any, ...] | None  # the class's arguments; None for a function
    inputs: list[tuple[Any, ...]]
    expected: Callable[..., Tensor]  # of the module, if there is one, and an input
    tolerance: float = 1e-12


X, MEMORY, IMAGES = random(BATCH, LENGTH, WIDTH), random(BATCH, SOURCE, WIDTH), random(2, 2, 9, 9)
LAYER = (WIDTH, HEADS, HIDDEN, 0.3)
SIZES = (WIDTH, HEADS, 2, HIDDEN)
KEEP = (~padding(LENGTH)).long()
LENGTHS = KEEP.sum(1)
TABLES = [(9, 7), (9, 6)]
NORMED = [(X,), (X * 1e-3,)]


def block(name: str, *, masked: bool = True) -> Case:
    return Case(
        LAYER,
        [(X,), (X, padding(LENGTH))] if masked else [(X,)],
        lambda m, x, hidden=None: run_layer(name, m, x, src_key_padding_mask=hidden),
    )


def decoder(name: str, *, true_hides: bool) -> Case:
    def expected(m: nn.Module, x: Tensor, memory: Tensor, mask: Tensor | None = None) -> Tensor:
        hidden = mask if mask is None or true_hides else ~mask
        return run_layer(name, m, x, memory, tgt_mask=later(LENGTH), memory_key_padding_mask=hidden)

    mask = padding(SOURCE) if true_hides else ~padding(SOURCE)
    return Case(LAYER, [(X, MEMORY), (X, MEMORY, mask)], expected)


def norm(build: tuple[Any, ...], weight: str, bias: str) -> Case:
    return Case(
        build,
        NORMED,
        lambda m, x: functional.layer_norm(x, (WIDTH,), getattr(m, weight), getattr(m, bias), 1e-5),
    )


CASES = {
    "block_view_heads": block("block_view_heads"),
    "block_wrapped": block("block_wrapped", masked=False),
    "block_add_norm": block("block_add_norm", masked=False),
    "block_torch_attention": block("block_torch_attention"),
    "decoder_own_attention": decoder("decoder_own_attention", true_hides=False),
    "decoder_torch_attention": decoder("decoder_torch_attention", true_hides=True),
    "decoder_sublayers": decoder("decoder_sublayers", true_hides=False),
    "norm_module": norm((WIDTH,), "gamma", "beta"),
    "norm_moments": norm((WIDTH,), "a", "b"),
    "norm_function": Case(
        None,
        [(*x, random(WIDTH), random(WIDTH)) for x in NORMED],
        lambda x, weight, bias: functional.layer_norm(x, (WIDTH,), weight, bias, 1e-5),
    ),
    "positions_table": Case(None, TABLES, sines),
    "positions_loop": Case(None, TABLES, sines, 1e-6),
    "positions_buffer": Case((WIDTH,), [(X,)], lambda m, x: x + sines(LENGTH, WIDTH), 1e-6),
    "positions_broadcast": Case((), [(X,), (X[..., :-1],)], lambda m, x: x + sines(*x.shape[1:])),
    "positions_learned_embedding": Case(
        (LENGTH, WIDTH), [(X,), (X[:, 1:],)], lambda m, x: x + m.position_embeddings.weight[: x.shape[1]]
    ),
    "positions_learned_parameter": Case(
        (LENGTH, WIDTH), [(X,), (X[:, 1:],)], lambda m, x: x + m.pos[: x.shape[1]]
    ),
    **{
        f"patch_{style}": Case(None, [(random(2, 2, 6, 9), PATCH)], lambda x, p: patches(x))
        for style in ("permute", "unfold", "einops", "loops")
    },
    "patch_embedding_conv": Case(
        (PATCH, 2, WIDTH), [(random(2, 2, 6, 9),)], lambda m, x: linear(m.proj, patches(x))
    ),
    "patch_embedding_linear": Case(
        (2, PATCH, WIDTH), [(random(2, 2, 6, 9),)], lambda m, x: linear(m.linear, patches(x))
    ),
    "pool_mean_mask": Case(None, [(X, KEEP)], lambda x, mask: mean_of_real(x, mask == 0)),
    "pool_mean_lengths": Case((), [(X, LENGTHS)], lambda m, x, lengths: mean_of_real(x, KEEP == 0)),
    "pool_mean_loop": Case(None, [(X, padding(LENGTH))], mean_of_real),
    "pool_cls_index": Case(None, [(X,)], lambda x: torch.stack([row[0] for row in x])),
    "pool_cls_module": Case((), [(X,)], lambda m, x: torch.stack([row[0] for row in x])),
    "ff_sequential": Case(
        (WIDTH, HIDDEN, 0.3),
        [(X,)],
        lambda m, x: linear(m.net[3], (h := linear(m.net[0], x)) * (1 + torch.erf(h / 2**0.5)) / 2),
    ),
    "ff_functional": Case(
        (WIDTH, HIDDEN, 0.3), [(X,)], lambda m, x: linear(m.w_2, linear(m.w_1, x).clamp(min=0))
    ),
    "masks_causal_bool": Case(None, [(5,)], lambda n: ~later(n)),
    "masks_causal_float": Case(None, [(5,)], lambda n: torch.zeros(n, n).masked_fill(later(n), -math.inf)),
    "masks_padding_ids": Case(None, [(tokens(LENGTH),)], lambda ids: ~padding(LENGTH)[:, None, None]),
    "masks_padding_lengths": Case(None, [(LENGTHS, LENGTH)], lambda lengths, n: padding(n)),
    "loss_functional": Case(None, [(random(BATCH, LENGTH, VOCABULARY), tokens(LENGTH))], next_token_loss),
    "loss_by_hand": Case(None, [(random(BATCH, LENGTH, VOCABULARY), tokens(LENGTH))], next_token_loss),
    "loss_module": Case(
        (), [(random(BATCH, LENGTH, VOCABULARY), tokens(LENGTH))], lambda m, *inputs: next_token_loss(*inputs)
    ),
    "classifier_mean_pool": Case(
        (VOCABULARY, CLASSES, *SIZES, 16, 0.3), [(tokens(LENGTH),)], mean_pool, 1e-6
    ),
    "classifier_cls_token": Case(
        (VOCABULARY, CLASSES, LENGTH, *SIZES[:2], 2, HIDDEN, 0.3), [(tokens(LENGTH),)], cls_token
    ),
    "vit_conv": Case((9, PATCH, 2, CLASSES, WIDTH, 2, HEADS, HIDDEN, 0.3), [(IMAGES,)], vit_conv),
    "vit_patchify": Case((9, PATCH, 2, CLASSES, WIDTH, 2, HEADS, HIDDEN, 0.3), [(IMAGES,)], vit_patchify),
    "seq2seq_caller_shifts": Case(
        (VOCABULARY, VOCABULARY, *SIZES, 0.3), [(tokens(SOURCE), tokens(LENGTH))], caller_shifts
    ),
    "seq2seq_shifts_inside": Case(
        (VOCABULARY, *SIZES, SOURCE, 0.3), [(tokens(SOURCE), tokens(LENGTH))], shifts_inside
    ),
}


def load(base: str, *slugs: str) -> Any:
    text = source(base, *slugs)
    if "einops" in text:
        pytest.importorskip("einops")
    scope: dict[str, Any] = {"__name__": f"seeded_{base}"}
    exec(compile(text, f"{base} {' '.join(slugs)}", "exec"), scope)
    return scope[target(text)]


def randomise(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for name, parameter in module.double().named_parameters():
            seeded = torch.Generator().manual_seed(zlib.crc32(name.encode()))
            parameter.copy_(torch.randn(parameter.shape, dtype=torch.float64, generator=seeded) / 2)
    return module.eval()


def answer(call: Callable[..., Tensor], inputs: tuple[Any, ...]) -> Tensor | str:
    try:
        with torch.no_grad():
            return call(*inputs)
    except Exception as error:
        return type(error).__name__


def same(a: Tensor | str, b: Tensor | str) -> bool:
    if isinstance(a, str) or isinstance(b, str):
        return isinstance(a, str) and a == b
    return a.shape == b.shape and torch.allclose(a, b, rtol=1e-9, atol=1e-12, equal_nan=True)


def behaviour(base: str, *slugs: str) -> tuple[list[Tensor | str], list[Any]]:
    """What a source answers to the probes, and how it is in training and before it."""
    built, case = load(base, *slugs), CASES[base]
    if case.build is None:
        return [answer(built, inputs) for inputs in case.inputs], []
    torch.manual_seed(0)
    try:
        module = built(*case.build)
    except RuntimeError as error:
        return [str(error)] * len(case.inputs), []
    first = {name: p.detach().clone() for name, p in module.named_parameters() if p.detach().std() > 0}
    equal = {(a, b) for a, b in itertools.combinations(first, 2) if torch.equal(first[a], first[b])}
    shapes = {name: p.shape for name, p in module.named_parameters()}
    answers = [answer(randomise(module), inputs) for inputs in case.inputs]
    trains = same(answer(module.train(), case.inputs[0]), answer(module, case.inputs[0]))
    return answers, [equal, shapes, trains]


def test_the_tables_agree_with_the_folder() -> None:
    assert set(CASES) == set(NAMES) == {base for _, base in cases()}
    assert set(cases()) >= REMARKS
    assert all(source(base).startswith("# contract: ") for base in NAMES)


@pytest.mark.parametrize("base", NAMES)
def test_a_base_is_right(base: str) -> None:
    made, case = load(base), CASES[base]
    module = () if case.build is None else (randomise(made(*case.build)),)
    for inputs in case.inputs:
        y, expected = (module[0] if module else made)(*inputs), case.expected(*module, *inputs)
        torch.testing.assert_close(
            y, expected, rtol=case.tolerance, atol=case.tolerance, check_dtype=y.dtype == torch.bool
        )


@pytest.mark.parametrize("base", NAMES)
def test_every_mistake_in_a_base_shows(base: str) -> None:
    answers, traits = behaviour(base)
    silent = []
    for slug in (slug for slug, bases in MISTAKES.items() if base in bases):
        wrong_answers, wrong_traits = behaviour(base, slug)
        shows = traits != wrong_traits or not all(map(same, answers, wrong_answers))
        if not shows and (slug, base) not in REMARKS:
            silent.append(slug)
    assert silent == []


def test_two_mistakes_come_together_where_they_touch_different_lines() -> None:
    both = source("block_view_heads", "no-scale", "norm-shared")
    assert "sqrt(self" not in both
    assert "self.norm2 = self.norm1" in both
    with pytest.raises(ValueError, match="overlap"):
        source("block_view_heads", "residual-missing", "post-norm-for-pre-norm")
