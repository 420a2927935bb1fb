"""The whole model against torch.nn.Transformer, and what a decoder promises: no look ahead, caches alike."""

from collections.abc import Callable
from dataclasses import replace
from typing import get_args

import pytest
import torch
from tests.nn.comparisons import assert_same_function, copy_native_attention
from torch import Tensor, nn
from torch.nn import functional

from glassformer.decoding import beam_search, greedy, sample
from glassformer.errors import UsageError
from glassformer.models.configs import EncoderDecoderConfig, Positions
from glassformer.models.encoder_decoder import CachedSteps, EncoderDecoder

CONFIG = EncoderDecoderConfig(
    encoder_layers=2,
    decoder_layers=3,
    heads=3,
    d_model=30,
    d_ff=37,
    positions="none",
    embeddings="separate",
    tie_output=False,
    vocab=41,
    max_tokens=13,
    max_targets=11,
)
SOURCES, TARGETS = (7, 3, 11, 1), (5, 8, 2, 6)
pytestmark = pytest.mark.filterwarnings("ignore:enable_nested_tensor")
every_norm = pytest.mark.parametrize("norm", ["pre", "post"])


def randomised(**changes) -> EncoderDecoder:
    model = EncoderDecoder(replace(CONFIG, **changes)).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.4)
    return model.eval()


def sequences(lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randint(1, CONFIG.vocab, mask.shape) * mask, mask


def native_twin(model: EncoderDecoder) -> tuple[nn.Transformer, list[tuple[Tensor, Tensor]]]:
    """torch.nn.Transformer with our weights, and the pairs of parameters."""
    config = model.config
    native = nn.Transformer(
        config.d_model,
        config.heads,
        config.encoder_layers,
        config.decoder_layers,
        config.d_ff,
        dropout=0.0,
        activation=config.activation,
        batch_first=True,
        norm_first=config.norm == "pre",
        dtype=torch.float64,
    )
    if config.norm == "post":  # ours ends in the norm of the last block, as the paper does
        native.encoder.norm = native.decoder.norm = None
    pairs: list[tuple[Tensor, Tensor]] = []

    def same(ours: nn.Module, theirs: nn.Module) -> None:
        theirs.load_state_dict(ours.state_dict())
        pairs.extend(zip(ours.parameters(), theirs.parameters(), strict=True))

    def same_attention(ours: nn.Module, theirs: nn.MultiheadAttention) -> None:
        with torch.no_grad():
            theirs.in_proj_weight.copy_(ours.qkv.weight)
            theirs.in_proj_bias.copy_(ours.qkv.bias)
            theirs.out_proj.load_state_dict(ours.output.state_dict())
        pairs.extend(copy_native_attention(theirs, ours))

    for ours, theirs in zip(model.encoder_blocks, native.encoder.layers, strict=True):
        same_attention(ours.attention, theirs.self_attn)
        same(ours.attention_norm, theirs.norm1)
        same(ours.feed_forward_norm, theirs.norm2)
        same(ours.feed_forward.expand, theirs.linear1)
        same(ours.feed_forward.contract, theirs.linear2)
    for ours, theirs in zip(model.decoder_blocks, native.decoder.layers, strict=True):
        same_attention(ours.self_attention, theirs.self_attn)
        same_attention(ours.cross_attention, theirs.multihead_attn)
        same(ours.self_attention_norm, theirs.norm1)
        same(ours.cross_attention_norm, theirs.norm2)
        same(ours.feed_forward_norm, theirs.norm3)
        same(ours.feed_forward.expand, theirs.linear1)
        same(ours.feed_forward.contract, theirs.linear2)
    if config.norm == "pre":
        same(model.encoder_norm, native.encoder.norm)
        same(model.decoder_norm, native.decoder.norm)
    return native, pairs


def assert_equals_torchs(
    model: EncoderDecoder, padding: str, change: Callable[[EncoderDecoder], object] = lambda model: None
) -> None:
    """change: what is done to our model after its weights were copied."""
    native, pairs = native_twin(model)
    source, source_mask = sequences(SOURCES)
    target, target_mask = sequences(TARGETS)
    source_mask = source_mask if padding in ("source", "both") else None
    target_mask = target_mask if padding in ("target", "both") else None
    embeddings = [model.embed.embedding.weight, model.embed_target.embedding.weight]
    output = embeddings[1] if model.output is None else model.output.weight
    shared = [(each, each) for each in (*embeddings, *([] if model.output is None else [output]))]
    causal = torch.ones(target.shape[1], target.shape[1], dtype=torch.bool).triu(1)
    change(model)

    def theirs() -> Tensor:
        x, y = (
            functional.embedding(ids, weight) * CONFIG.d_model**0.5
            for ids, weight in zip((source, target), embeddings, strict=True)
        )
        y = native(
            x,
            y,
            tgt_mask=causal,
            src_key_padding_mask=None if source_mask is None else ~source_mask,
            memory_key_padding_mask=None if source_mask is None else ~source_mask,
            tgt_key_padding_mask=None if target_mask is None else ~target_mask,
        )
        return y @ output.T

    assert_same_function(
        lambda: model(source, target, source_mask, target_mask), theirs, [], [*pairs, *shared]
    )


@every_norm
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("attention", ["explicit", "tiled", "fused"])
@pytest.mark.parametrize("padding", ["none", "source", "target", "both"])
@pytest.mark.parametrize("tied", [False, True])
def test_equals_torchs_transformer(norm, activation, attention, padding, tied) -> None:
    model = randomised(norm=norm, activation=activation, attention=attention, tie_output=tied)
    assert_equals_torchs(model, padding)


def blocks_called(**changes: Callable[[dict], object]) -> Callable[[EncoderDecoder], None]:
    """Changes some of the arguments that reach the decoder blocks."""
    names = ("x", "context", "mask", "context_mask", "bias", "cache")

    def change(model: EncoderDecoder) -> None:
        for block in model.decoder_blocks:

            def called(*given, forward=block.forward):
                arguments = dict(zip(names, given, strict=True))
                return forward(**arguments | {name: made(arguments) for name, made in changes.items()})

            block.forward = called

    return change


def swap(one: str, other: str) -> Callable[[EncoderDecoder], None]:
    def change(model: EncoderDecoder) -> None:
        for block in model.decoder_blocks:
            first, second = getattr(block, one), getattr(block, other)
            setattr(block, one, second)
            setattr(block, other, first)

    return change


def twice_normed(model: EncoderDecoder) -> None:
    model.encoder_norm = nn.Sequential(model.encoder_norm, nn.LayerNorm(CONFIG.d_model).double())


MISTAKES = {
    "looks ahead": blocks_called(mask=lambda a: replace(a["mask"], causal=False)),
    "target padding forgotten": blocks_called(mask=lambda a: replace(a["mask"], keys=None)),
    "source padding forgotten": blocks_called(context_mask=lambda a: None),
    "attends to itself twice": blocks_called(context=lambda a: a["x"], context_mask=lambda a: a["mask"]),
    "context without a gradient": blocks_called(context=lambda a: a["context"].detach()),
    "attentions swapped": swap("self_attention", "cross_attention"),
    "norms swapped": swap("self_attention_norm", "cross_attention_norm"),
    "last norms swapped": swap("cross_attention_norm", "feed_forward_norm"),
    "context normalised again": twice_normed,
    "embeddings not scaled": lambda model: setattr(model.embed_target, "factor", None),
    "the source's embedding for the target": lambda model: setattr(model, "embed_target", model.embed),
    "one block left out": lambda model: model.decoder_blocks.__delitem__(1),
}


@every_norm
@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes_are_noticed(norm, mistake) -> None:
    with pytest.raises(AssertionError):
        assert_equals_torchs(randomised(norm=norm), "both", MISTAKES[mistake])


@every_norm
@pytest.mark.parametrize("positions", get_args(Positions))
def test_no_target_sees_a_later_one(norm, positions) -> None:
    model = randomised(norm=norm, positions=positions)
    (source, source_mask), (target, _) = sequences(SOURCES), sequences(TARGETS)
    before = model(source, target, source_mask)
    for place in range(1, target.shape[1]):
        changed = target.clone()
        changed[:, place:] = (changed[:, place:] + 7) % CONFIG.vocab
        after = model(source, changed, source_mask)
        assert torch.equal(after[:, :place], before[:, :place])
        assert not torch.allclose(after[:, place], before[:, place])


@every_norm
@pytest.mark.parametrize("positions", get_args(Positions))
def test_padding_changes_nothing(norm, positions) -> None:
    model = randomised(norm=norm, positions=positions)
    (source, source_mask), (target, target_mask) = sequences(SOURCES), sequences(TARGETS)
    together = model(source, target, source_mask, target_mask)
    for row, (sources, targets) in enumerate(zip(SOURCES, TARGETS, strict=True)):
        alone = model(source[row : row + 1, :sources], target[row : row + 1, :targets])
        torch.testing.assert_close(together[row : row + 1, :targets], alone, rtol=1e-10, atol=1e-10)


@every_norm
@pytest.mark.parametrize("positions", get_args(Positions))
@pytest.mark.parametrize("attention", ["explicit", "tiled", "fused"])
def test_a_cache_changes_nothing(norm, positions, attention) -> None:
    model = randomised(norm=norm, positions=positions, attention=attention)
    (source, source_mask), (target, _) = sequences(SOURCES), sequences(TARGETS)
    whole = model(source, target, source_mask)
    context, cache = model.encode(source, source_mask), model.new_cache()
    # several tokens at once, then one by one
    parts = [target[:, :3], *target[:, 3:].split(1, dim=1)]
    pieces = [model.decode(part, context, source_mask, cache=cache) for part in parts]
    torch.testing.assert_close(torch.cat(pieces, 1), whole, rtol=1e-10, atol=1e-10)
    assert cache[0][0].tokens == target.shape[1]
    assert cache[0][1].tokens == source.shape[1]


@every_norm
@pytest.mark.parametrize("positions", get_args(Positions))
def test_cached_decoding_gives_the_same_tokens(norm, positions) -> None:
    model = randomised(norm=norm, positions=positions)
    source, source_mask = sequences(SOURCES)
    start = torch.full((len(source), 1), 2)

    def without(prefixes, state):
        return model(source.repeat_interleave(len(prefixes) // len(source), 0), prefixes, mask(prefixes))[
            :, -1
        ], None

    def mask(prefixes):
        return source_mask.repeat_interleave(len(prefixes) // len(source), 0)

    options = {"end": 3, "max_tokens": 9}
    expected = greedy(without, start, **options)
    assert torch.equal(greedy(CachedSteps(model, source, source_mask), start, **options), expected)
    # an untrained model repeats itself, and draws do not
    drawn, again = (
        sample(step, start, **options, temperature=9.0, generator=torch.Generator().manual_seed(1))
        for step in (without, CachedSteps(model, source, source_mask))
    )
    assert torch.equal(drawn, again)
    assert len(drawn.unique()) > 9
    found, scores = beam_search(CachedSteps(model, source, source_mask), start, beams=4, **options)
    wanted, wanted_scores = beam_search(without, start, beams=4, **options)
    assert torch.equal(found, wanted)
    torch.testing.assert_close(scores, wanted_scores)


def test_embeddings_are_shared_on_request() -> None:
    shared, separate = (EncoderDecoder(replace(CONFIG, embeddings=kind)) for kind in ("shared", "separate"))
    count = [sum(p.numel() for p in model.parameters()) for model in (shared, separate)]
    assert count[1] - count[0] == CONFIG.vocab * CONFIG.d_model
    tied = EncoderDecoder(replace(CONFIG, embeddings="shared", tie_output=True))
    assert count[0] - sum(p.numel() for p in tied.parameters()) == CONFIG.vocab * CONFIG.d_model
    storages = {tensor.data_ptr() for tensor in tied.state_dict().values()}
    assert len(storages) == len(tied.state_dict())


def test_too_many_tokens_are_refused() -> None:
    model = EncoderDecoder(replace(CONFIG, positions="learned"))
    source = torch.ones(2, 13, dtype=torch.long)
    model(source, source[:, :11])
    with pytest.raises(ValueError, match="max_tokens=11"):
        model(source, source[:, :12])


def test_one_batch_is_learned() -> None:
    torch.manual_seed(0)
    model = EncoderDecoder(replace(CONFIG, positions="sinusoidal", tie_output=True))
    source = torch.randint(4, CONFIG.vocab, (16, 5))
    target = torch.cat([torch.full((16, 1), 2), source.flip(1)], 1)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(150):
        loss = functional.cross_entropy(model(source, target[:, :-1]).flatten(0, 1), target[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    steps = CachedSteps(model.eval(), source)
    assert torch.equal(greedy(steps, target[:, :1], end=3, max_tokens=5), source.flip(1))


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"heads": 4}, "heads=4 does not divide d_model=30"),
        ({"decoder_layers": 0}, "decoder_layers=0"),
        ({"positions": "rotary", "heads": 2}, "positions=rotary"),
        ({"dropout": 1.0}, "dropout=1.0"),
    ],
)
def test_sizes_that_cannot_be_built_are_refused(change, line) -> None:
    with pytest.raises(UsageError, match=line):
        replace(CONFIG, **change)
