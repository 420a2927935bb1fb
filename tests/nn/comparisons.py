"""Comparisons of our parts with somebody else's, each a function of the implementation.

`test_*.py` call them with our parts and expect silence; `test_mutants.py` calls the very same functions with
seeded mistakes and expects an AssertionError. Everything is in float64, with all parameters random, biases,
gammas and betas too, and compares outputs and the gradients of inputs and parameters.
"""

import math
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from glassformer.nn.masks import Mask, causal_mask, padding_mask
from glassformer.nn.positions import AlibiBias

TOLERANCE = 1e-10
BATCH, TOKENS, KEYS, D_HEAD, D_FF = 5, 7, 11, 13, 17
MASKS = ("none", "padding", "causal", "both")


def random(*sizes: int) -> Tensor:
    return torch.randn(*sizes, dtype=torch.float64)


def randomised(module: nn.Module) -> nn.Module:
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.normal_(std=0.5)
    return module


def assert_same(ours: Tensor, theirs: Tensor, what: str) -> None:
    torch.testing.assert_close(
        ours, theirs, rtol=TOLERANCE, atol=TOLERANCE, msg=lambda details: f"{what}: {details}"
    )


def assert_same_function(
    ours: Callable[..., Tensor],
    theirs: Callable[..., Tensor],
    inputs: Sequence[Tensor],
    parameters: Sequence[tuple[Tensor, Tensor]] = (),
) -> None:
    """The same output, and the same gradients of the inputs and of the paired parameters."""
    results = []
    for function, side in ((ours, 0), (theirs, 1)):
        leaves = [x.detach().clone().requires_grad_() for x in inputs]
        output = function(*leaves)
        results.append((output, leaves, [pair[side] for pair in parameters]))
    (output, leaves, our_parameters), (expected, their_leaves, their_parameters) = results
    assert_same(output, expected, "output")
    direction = torch.randn_like(expected)
    gradients = torch.autograd.grad(output, leaves + our_parameters, direction, allow_unused=True)
    wanted = torch.autograd.grad(expected, their_leaves + their_parameters, direction, allow_unused=True)
    for number, (gradient, expected_gradient) in enumerate(zip(gradients, wanted, strict=True)):
        what = f"gradient of {'input' if number < len(leaves) else 'parameter'} {number}"
        assert (gradient is None) == (expected_gradient is None), f"{what} exists on one side only"
        if gradient is not None:
            assert_same(gradient, expected_gradient, what)


def lengths_within(keys: int, batch: int) -> Tensor:
    """Another length in every row, the longest not in row 0, at least one real key everywhere."""
    return torch.tensor([1 + (row * 4 + keys // 2) % keys for row in range(batch)])


def mask_of_kind(kind: str, batch: int, keys: int) -> Mask | None:
    if kind == "none":
        return None
    padding = padding_mask(lengths_within(keys, batch), keys) if kind in ("padding", "both") else None
    return Mask(padding, causal=kind in ("causal", "both"))


def native_masks(mask: Mask | None, queries: int, keys: int) -> tuple[Tensor | None, Tensor | None]:
    """(attn_mask, key_padding_mask) of torch.nn.MultiheadAttention, where True = ignore."""
    if mask is None:
        return None, None
    return (
        ~causal_mask(queries, keys) if mask.causal else None,
        None if mask.keys is None else ~mask.keys,
    )


# Attention modules -----------------------------------------------------------------------------------------


def copy_native_attention(native: nn.MultiheadAttention, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
    pairs = [
        (ours.qkv.weight, native.in_proj_weight),
        (ours.qkv.bias, native.in_proj_bias),
        (ours.output.weight, native.out_proj.weight),
        (ours.output.bias, native.out_proj.bias),
    ]
    with torch.no_grad():
        for our, their in pairs:
            our.copy_(their)
    return pairs


def assert_equals_native_attention(
    build: Callable[[int, int], nn.Module],
    heads: int = 3,
    kind: str = "none",
    *,
    cross: bool = False,
    batch: int = BATCH,
    queries: int = TOKENS,
    keys: int = KEYS,
) -> None:
    """build(d_model, heads), a MultiHeadAttention, against torch.nn.MultiheadAttention."""
    keys = keys if cross else queries
    d_model = heads * D_HEAD
    native = randomised(nn.MultiheadAttention(d_model, heads, batch_first=True, dtype=torch.float64))
    ours = build(d_model, heads).double()
    pairs = copy_native_attention(native, ours)
    mask = mask_of_kind(kind, batch, keys)
    attn_mask, key_padding_mask = native_masks(mask, queries, keys)

    def native_call(weights: bool) -> Callable[..., Tensor]:
        def call(x: Tensor, context: Tensor | None = None) -> Tensor:
            context = x if context is None else context
            return native(
                x,
                context,
                context,
                key_padding_mask=key_padding_mask,
                attn_mask=attn_mask,
                need_weights=weights,
                average_attn_weights=False,
            )[1 if weights else 0]

        return call

    inputs = [random(batch, queries, d_model)] + ([random(batch, keys, d_model)] if cross else [])
    assert_same_function(
        lambda x, context=None: ours(x, context, mask=mask), native_call(False), inputs, pairs
    )
    assert_same_function(
        lambda x, context=None: ours(x, context, mask=mask, return_weights=True)[1],
        native_call(True),
        inputs,
        pairs[:2],
    )
    if mask is not None:  # the same mask, materialised
        dense = mask.dense(queries, keys)
        assert_same(
            ours(*inputs, mask=dense) if cross else ours(inputs[0], mask=dense),
            native_call(False)(*inputs),
            "output with a dense mask",
        )


def assert_equals_scaled_dot_product(
    build: Callable[[int, int, int], nn.Module],
    d_model: int,
    heads: int,
    d_head: int,
    bias: object = None,
    kind: str = "both",
    rotate: Callable[[Tensor, Tensor], tuple[Tensor, Tensor]] | None = None,
) -> None:
    """build(d_model, heads, d_head) against PyTorch's own attention function between hand-cut projections.

    For what torch.nn.MultiheadAttention does not have: wide heads, a bias for each head, rotary positions.
    """
    ours = randomised(build(d_model, heads, d_head).double())
    mask = mask_of_kind(kind, BATCH, TOKENS)
    dense = torch.ones(1, 1, TOKENS, TOKENS, dtype=torch.bool) if mask is None else mask.dense(TOKENS, TOKENS)
    added = torch.zeros(1, 1, TOKENS, TOKENS, dtype=torch.float64)
    if isinstance(bias, Tensor):
        added = bias
    elif bias is not None:
        added = torch.from_numpy(alibi_by_hand(heads, TOKENS, TOKENS))[None]

    def theirs(x: Tensor) -> Tensor:
        projected = functional.linear(x, ours.qkv.weight, ours.qkv.bias)
        q, k, v = (
            torch.stack(part.split(d_head, dim=-1), dim=1) for part in projected.split(heads * d_head, dim=-1)
        )
        if rotate is not None:
            q, k = rotate(q, k)
        y = functional.scaled_dot_product_attention(q, k, v, added.masked_fill(~dense, -math.inf))
        return functional.linear(torch.cat(y.unbind(1), dim=-1), ours.output.weight, ours.output.bias)

    parameters = [(p, p) for p in ours.parameters()]
    inputs = [random(BATCH, TOKENS, d_model)]
    assert_same_function(lambda x: ours(x, mask=mask, bias=bias), theirs, inputs, parameters)


def assert_heads_equal_native_attention(
    build: Callable[[int, int], nn.Module], heads: int = 3, kind: str = "none"
) -> None:
    """build(d_model, heads), a MultiHeadSelfAttention, against torch.nn.MultiheadAttention."""
    d_model = heads * D_HEAD
    ours = randomised(build(d_model, heads).double())
    native = nn.MultiheadAttention(d_model, heads, batch_first=True, dtype=torch.float64)
    names = ("query", "key", "value")
    projections = [getattr(head, name) for name in names for head in ours.heads]
    with torch.no_grad():
        native.in_proj_weight.copy_(torch.cat([p.weight for p in projections]))
        native.in_proj_bias.copy_(torch.cat([p.bias for p in projections]))
        native.out_proj.load_state_dict(ours.output.state_dict())
    mask = mask_of_kind(kind, BATCH, TOKENS)
    attn_mask, key_padding_mask = native_masks(mask, TOKENS, TOKENS)

    def theirs(x: Tensor, weights: bool = False) -> Tensor:
        return native(x, x, x, key_padding_mask, weights, attn_mask=attn_mask, average_attn_weights=False)[
            int(weights)
        ]

    x = random(BATCH, TOKENS, d_model)
    output_pairs = [
        (ours.output.weight, native.out_proj.weight),
        (ours.output.bias, native.out_proj.bias),
    ]
    assert_same_function(lambda x: ours(x, mask), theirs, [x], output_pairs)
    assert_same_function(lambda x: ours(x, mask, return_weights=True)[1], lambda x: theirs(x, True), [x])
    direction = random(BATCH, TOKENS, d_model)
    ours.zero_grad()
    ours(x, mask).backward(direction)
    theirs(x).backward(direction)
    assert_same(
        torch.cat([p.weight.grad for p in projections]), native.in_proj_weight.grad, "weights' gradient"
    )
    assert_same(torch.cat([p.bias.grad for p in projections]), native.in_proj_bias.grad, "biases' gradient")


# Blocks ----------------------------------------------------------------------------------------------------


def copy_native_layer(native: nn.TransformerEncoderLayer, ours: nn.Module) -> list[tuple[Tensor, Tensor]]:
    pairs = copy_native_attention(native.self_attn, ours.attention)
    modules = (
        (ours.feed_forward.expand, native.linear1),
        (ours.feed_forward.contract, native.linear2),
        (ours.attention_norm, native.norm1),
        (ours.feed_forward_norm, native.norm2),
    )
    for our, their in modules:
        our.load_state_dict(their.state_dict())
        pairs += [(our.weight, their.weight), (our.bias, their.bias)]
    return pairs


def assert_block_equals_native(
    build: Callable[[int, int, int, Callable[[Tensor], Tensor]], nn.Module],
    *,
    norm_first: bool,
    activation: Callable[[Tensor], Tensor] = functional.gelu,
    kind: str = "none",
    heads: int = 3,
    batch: int = BATCH,
    tokens: int = TOKENS,
) -> None:
    """build(d_model, heads, d_ff, activation) against torch.nn.TransformerEncoderLayer."""
    d_model = heads * D_HEAD
    native = randomised(
        nn.TransformerEncoderLayer(
            d_model,
            heads,
            D_FF,
            0.0,
            activation,
            batch_first=True,
            norm_first=norm_first,
            dtype=torch.float64,
        )
    )
    ours = build(d_model, heads, D_FF, activation).double()
    pairs = copy_native_layer(native, ours)
    mask = mask_of_kind(kind, batch, tokens)
    src_mask, src_key_padding_mask = native_masks(mask, tokens, tokens)
    assert_same_function(
        lambda x: ours(x, mask),
        lambda x: native(x, src_mask, src_key_padding_mask),
        [random(batch, tokens, d_model)],
        pairs,
    )


def assert_first_queries_as_among_all(
    build: Callable[[], nn.Module], mask: Mask | Tensor | None = None, bias: AlibiBias | Tensor | None = None
) -> None:
    """What a block gives for the first tokens alone is what it gives for them among all, gradients too."""
    block = randomised(build().double())
    parameters = [(each, each) for each in block.parameters()]
    for queries in (1, 3, TOKENS):

        def alone(x: Tensor, queries: int = queries) -> Tensor:
            return block(x, mask, bias, only_first=queries)

        def among_all(x: Tensor, queries: int = queries) -> Tensor:
            return block(x, mask, bias)[:, :queries]

        x = random(BATCH, TOKENS, 39)
        assert_same_function(alone, among_all, [x], parameters)
        _, weights = block(x, mask, bias, return_weights=True, only_first=queries)
        _, of_all = block(x, mask, bias, return_weights=True)
        assert_same(weights, of_all[:, :, :queries], "weights")


def assert_feed_forward_equals_sequential(
    build: Callable[[int, int, Callable[[Tensor], Tensor]], nn.Module],
    activation: type[nn.Module] = nn.GELU,
) -> None:
    ours = randomised(build(D_HEAD, D_FF, activation()).double())
    theirs = nn.Sequential(nn.Linear(D_HEAD, D_FF), activation(), nn.Linear(D_FF, D_HEAD)).double()
    theirs[0].load_state_dict(ours.expand.state_dict())
    theirs[2].load_state_dict(ours.contract.state_dict())
    pairs = list(zip(ours.parameters(), theirs.parameters(), strict=True))
    assert_same_function(ours, theirs, [random(BATCH, TOKENS, D_HEAD)], pairs)


# Positions and embeddings ----------------------------------------------------------------------------------


def sinusoids_by_hand(tokens: int, d_model: int) -> np.ndarray:
    table = np.empty((tokens, d_model))
    for t in range(tokens):
        for column in range(d_model):
            angle = t / np.power(10000.0, 2 * (column // 2) / d_model)
            table[t, column] = np.cos(angle) if column % 2 else np.sin(angle)
    return table


def assert_equals_sinusoids(build: Callable[[int], nn.Module], d_model: int = 22, tokens: int = 101) -> None:
    module = build(d_model).double()
    table = torch.from_numpy(sinusoids_by_hand(tokens, d_model))
    assert_same_function(module, lambda x: x + table, [random(BATCH, tokens, d_model)])


def rotation_by_hand(tokens: int, d_head: int, base: float = 10000.0) -> tuple[Tensor, Tensor]:
    """cos and sin as transformers lays them out, (1 tokens d_head), but in float64 (theirs are float32)."""
    frequencies = 1.0 / base ** (np.arange(0, d_head, 2) / d_head)
    angles = np.outer(np.arange(tokens), np.concatenate((frequencies, frequencies)))
    return torch.from_numpy(np.cos(angles))[None], torch.from_numpy(np.sin(angles))[None]


def rotated_by_transformers(q: Tensor, k: Tensor) -> tuple[Tensor, Tensor]:
    from transformers.models.llama.modeling_llama import apply_rotary_pos_emb

    return apply_rotary_pos_emb(q, k, *rotation_by_hand(q.shape[2], q.shape[3]))


def assert_rotary_equals_transformers(build: Callable[[int], nn.Module], d_head: int = 26) -> None:
    module = build(d_head).double()
    inputs = [random(BATCH, 3, TOKENS, d_head), random(BATCH, 3, TOKENS, d_head)]
    for side in (0, 1):
        assert_same_function(
            lambda q, k, side=side: module(q, k)[side],
            lambda q, k, side=side: rotated_by_transformers(q, k)[side],
            inputs,
        )


def slopes_by_hand(heads: int) -> list[float]:
    """`get_slopes` of github.com/ofirpress/attention_with_linear_biases, recursion and all."""
    if math.log2(heads).is_integer():
        start = 2 ** (-(2 ** -(math.log2(heads) - 3)))
        return [start * start**i for i in range(heads)]
    closest = 2 ** math.floor(math.log2(heads))
    return slopes_by_hand(closest) + slopes_by_hand(2 * closest)[0::2][: heads - closest]


def alibi_by_hand(heads: int, queries: int, keys: int) -> np.ndarray:
    slopes = slopes_by_hand(heads)
    bias = np.empty((heads, queries, keys))
    for h in range(heads):
        for i in range(queries):
            for j in range(keys):
                bias[h, i, j] = -slopes[h] * abs(i - j)
    return bias


def assert_alibi_equals_numpy(
    build: Callable[[int], object], heads: int = 3, queries: int = TOKENS, keys: int = KEYS
) -> None:
    bias = build(heads)
    expected = torch.from_numpy(alibi_by_hand(heads, queries, keys))[None]
    assert_same(bias.dense(queries, keys, dtype=torch.float64), expected, "dense bias")
    rows, columns = slice(2, 5), slice(1, keys)
    tile = bias.tile(rows, columns, torch.device("cpu"), torch.float64)
    assert_same(tile, expected[:, :, rows, columns], "tile of the bias")


def assert_learned_positions_add_rows(build: Callable[[int, int], nn.Module]) -> None:
    module = randomised(build(D_HEAD, KEYS).double())
    table = module.embedding.weight

    def theirs(x: Tensor) -> Tensor:
        return x + functional.embedding(torch.arange(TOKENS), table).expand_as(x)

    assert_same_function(module, theirs, [random(BATCH, TOKENS, D_HEAD)], [(table, table)])


def assert_embedding_is_lookup(build: Callable[[int, int, bool], nn.Module], scale: bool = False) -> None:
    vocab = 23
    module = randomised(build(vocab, D_HEAD, scale).double())
    table = module.embedding.weight
    ids = torch.randint(vocab, (BATCH, TOKENS))

    def theirs() -> Tensor:
        return functional.one_hot(ids, vocab).double() @ table * (D_HEAD**0.5 if scale else 1.0)

    assert_same_function(lambda: module(ids), theirs, [], [(table, table)])


# Pooling ---------------------------------------------------------------------------------------------------


def pooled_by_hand(x: Tensor, mask: Tensor | None, pool: str) -> Tensor:
    rows = []
    for b in range(len(x)):
        real = x[b] if mask is None else x[b][mask[b]]
        if not len(real):
            rows.append(torch.zeros_like(x[b, 0]))
        elif pool == "mean":
            rows.append(sum(real.unbind(0)) / len(real))
        else:
            rows.append({"max": real.max(dim=0).values, "cls": x[b, 0], "last": real[-1]}[pool])
    return torch.stack(rows)


def assert_equals_pooling(build: Callable[[], nn.Module], pool: str, masked: bool = True) -> None:
    """Row 1 is empty; the padding is not only at the end."""
    mask = None
    if masked:
        mask = padding_mask(torch.tensor([4, 0, TOKENS, 1, 6]), TOKENS)
        mask[0, 1] = False
    x = random(BATCH, TOKENS, D_HEAD) - 2  # below zero, so that a zero in the padding would be the maximum
    module = build()
    assert_same_function(lambda x: module(x, mask), lambda x: pooled_by_hand(x, mask, pool), [x])


# Properties ------------------------------------------------------------------------------------------------
# Each takes function(x, mask), from (batch tokens d_model) to the same shape.

Function = Callable[[Tensor, Mask | None], Tensor]


def assert_permutation_equivariant(function: Function, d_model: int) -> None:
    x, order = random(BATCH, TOKENS, d_model), torch.randperm(TOKENS)
    assert_same(function(x[:, order], None), function(x, None)[:, order], "permuted tokens")


def assert_causal(function: Function, d_model: int) -> None:
    """The gradient of an output is zero at every later input and not zero at its own and earlier ones."""
    x = random(1, TOKENS, d_model).requires_grad_()
    y = function(x, Mask(causal=True))
    for t in range(TOKENS):
        (gradient,) = torch.autograd.grad(y[0, t].sum(), x, retain_graph=True)
        reached = gradient[0].abs().amax(dim=-1)
        assert not reached[t + 1 :].any(), f"output {t} depends on the future"
        assert reached[: t + 1].all(), f"output {t} does not see all of its past"


def assert_masked_equals_truncated(function: Function, d_model: int) -> None:
    lengths = lengths_within(TOKENS, BATCH)
    x = random(BATCH, TOKENS, d_model)
    padded = function(x, Mask(padding_mask(lengths, TOKENS)))
    for row, length in enumerate(lengths.tolist()):
        truncated = function(x[row : row + 1, :length], None)
        assert_same(padded[row : row + 1, :length], truncated, f"row {row} of {length} tokens")


def assert_fully_masked_rows_give_zeros(
    attend: Callable[[Tensor, Mask], tuple[Tensor, Tensor]], d_model: int, causal: bool = False
) -> None:
    """attend(x, mask) -> (heads' outputs merged, weights): zeros in the empty row, all gradients finite."""
    padding = padding_mask(torch.tensor([4, 0, TOKENS]), TOKENS)
    padding[0, 0] = not causal  # the first query of row 0 then has no key either
    mask = Mask(padding, causal)
    x = random(3, TOKENS, d_model).requires_grad_()
    y, weights = attend(x, mask)
    assert not y[1].any(), "an empty row gives something"
    assert bool(y[0, 0].any()) != causal, "a query without a key gives something"
    assert not weights[1].any(), "an empty row has weights"
    assert y.isfinite().all()
    (gradient,) = torch.autograd.grad(y.sin().sum() + weights.sin().sum(), x)
    assert gradient.isfinite().all(), "a gradient is not finite"
    assert not gradient[1].any(), "an empty row has a gradient"
    alone = attend(x[:1], Mask(padding[:1], causal))[0]
    assert_same(y[:1], alone, "an empty row changes another row")


# Images ----------------------------------------------------------------------------------------------------

PATCHES = (2, (3, 2), (1, 4), 1, (6, 8))
CHANNELS, HEIGHT, WIDTH = 3, 6, 8


def assert_patchify_equals_unfold(
    patchify: Callable[..., Tensor], patch: int | tuple[int, int], channels: int = CHANNELS
) -> None:
    """patchify(images, patch) against torch.nn.functional.unfold, on an image that is not square."""
    assert_same_function(
        lambda images: patchify(images, patch),
        lambda images: functional.unfold(images, patch, stride=patch).transpose(1, 2),
        [random(2, channels, HEIGHT, WIDTH)],
    )


def assert_unpatchify_equals_fold(
    unpatchify: Callable[..., Tensor], patch: int | tuple[int, int], channels: int = CHANNELS
) -> None:
    """unpatchify(patches, size, patch) against torch.nn.functional.fold."""
    height, width = (patch, patch) if isinstance(patch, int) else patch
    count = HEIGHT // height * (WIDTH // width)
    assert_same_function(
        lambda patches: unpatchify(patches, (HEIGHT, WIDTH), patch),
        lambda patches: functional.fold(patches.transpose(1, 2), (HEIGHT, WIDTH), patch, stride=patch),
        [random(2, count, channels * height * width)],
    )


def assert_patch_embedding_equals_convolution(
    build: Callable[[int, tuple[int, int], int], nn.Module], patch: tuple[int, int] = (3, 2)
) -> None:
    """build(channels, patch, d_model) against torch.nn.Conv2d with stride = kernel."""
    ours = randomised(build(CHANNELS, patch, 13).double())
    native = nn.Conv2d(CHANNELS, 13, patch, stride=patch, dtype=torch.float64)
    with torch.no_grad():
        native.weight.copy_(ours.projection.weight.view_as(native.weight))
        native.bias.copy_(ours.projection.bias)
    x = random(2, CHANNELS, HEIGHT, WIDTH)
    assert_same_function(ours, lambda x: native(x).flatten(2).transpose(1, 2), [x])
    direction = random(2, HEIGHT // patch[0] * (WIDTH // patch[1]), 13)
    ours(x).backward(direction)
    native(x).flatten(2).transpose(1, 2).backward(direction)
    assert_same(ours.projection.weight.grad, native.weight.grad.flatten(1), "gradient of the weight")
    assert_same(ours.projection.bias.grad, native.bias.grad, "gradient of the bias")


def assert_2d_equals_native_attention(
    build: Callable[[int, int], nn.Module], heads: int = 3, height: int = 3, width: int = 5
) -> None:
    """build(channels, heads), a SelfAttention2d, against torch.nn.MultiheadAttention on the flat grid."""
    channels = heads * D_HEAD
    native = randomised(nn.MultiheadAttention(channels, heads, batch_first=True, dtype=torch.float64))
    ours = build(channels, heads).double()
    pairs = copy_native_attention(native, ours.attention)

    def flat(x: Tensor) -> Tensor:
        return torch.stack([x[:, :, i, j] for i in range(height) for j in range(width)], dim=1)

    def theirs(x: Tensor) -> Tensor:
        tokens = flat(x)
        y = native(tokens, tokens, tokens, need_weights=False)[0]
        rows = [y[:, i * width : (i + 1) * width] for i in range(height)]
        return torch.stack(rows, dim=1).permute(0, 3, 1, 2)

    def their_weights(x: Tensor) -> Tensor:
        tokens = flat(x)
        weights = native(tokens, tokens, tokens, average_attn_weights=False)[1]
        return weights.reshape(BATCH, heads, height, width, height, width)

    inputs = [random(BATCH, channels, height, width)]
    assert_same_function(ours, theirs, inputs, pairs)
    assert_same_function(lambda x: ours(x, return_weights=True)[0], theirs, inputs, pairs)
    assert_same_function(lambda x: ours(x, return_weights=True)[1], their_weights, inputs, pairs[:2])
