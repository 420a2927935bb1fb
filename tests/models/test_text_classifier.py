"""The whole model against torch.nn's encoder, and the properties that each option promises."""

from dataclasses import replace
from typing import get_args

import pytest
import torch
from torch import nn

from glassformer.errors import UsageError
from glassformer.models.configs import Pool, Positions, TextClassifierConfig
from glassformer.models.text_classifier import TextClassifier

CONFIG = TextClassifierConfig(
    layers=2, heads=3, d_model=30, d_ff=37, positions="none", vocab=41, classes=5, max_tokens=13
)
POSITIONS, POOLS = get_args(Positions), get_args(Pool)


def randomised(config: TextClassifierConfig) -> TextClassifier:
    model = TextClassifier(config).double()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def inputs(lengths: tuple[int, ...] = (7, 3, 11)) -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.arange(max(lengths)) < torch.tensor(lengths)[:, None]
    return torch.randint(1, CONFIG.vocab, mask.shape) * mask, mask


def native_twin(model: TextClassifier) -> nn.Module:
    """torch.nn's encoder with our weights; the classifier around it is a line of its own here."""
    config = model.config
    layer = nn.TransformerEncoderLayer(
        config.d_model,
        config.heads,
        config.d_ff,
        dropout=0.0,
        activation=config.activation,
        batch_first=True,
        norm_first=config.norm == "pre",
    )
    encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False).double()
    for ours, theirs in zip(model.blocks, encoder.layers, strict=True):
        pairs = {
            "self_attn.in_proj_weight": ours.attention.qkv.weight,
            "self_attn.in_proj_bias": ours.attention.qkv.bias,
            "self_attn.out_proj.weight": ours.attention.output.weight,
            "self_attn.out_proj.bias": ours.attention.output.bias,
            "linear1.weight": ours.feed_forward.expand.weight,
            "linear1.bias": ours.feed_forward.expand.bias,
            "linear2.weight": ours.feed_forward.contract.weight,
            "linear2.bias": ours.feed_forward.contract.bias,
            "norm1.weight": ours.attention_norm.weight,
            "norm1.bias": ours.attention_norm.bias,
            "norm2.weight": ours.feed_forward_norm.weight,
            "norm2.bias": ours.feed_forward_norm.bias,
        }
        theirs.load_state_dict({name: value.detach() for name, value in pairs.items()})
    return encoder


def native_logits(model: TextClassifier, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    x = nn.functional.embedding(ids, model.embed.embedding.weight)
    x = native_twin(model)(x, src_key_padding_mask=~mask)
    x = (
        nn.functional.layer_norm(x, x.shape[-1:], model.norm.weight, model.norm.bias)
        if (model.config.norm == "pre")
        else x
    )
    rows = [row[real].mean(0) for row, real in zip(x, mask, strict=True)]
    return torch.stack(rows) @ model.head.weight.T + model.head.bias


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("attention", ["explicit", "tiled", "fused"])
def test_equals_the_native_encoder(norm, activation, attention) -> None:
    model = randomised(replace(CONFIG, norm=norm, activation=activation, attention=attention))
    ids, mask = inputs()
    ours, theirs = model(ids, mask), native_logits(model, ids, mask)
    torch.testing.assert_close(ours, theirs, rtol=1e-10, atol=1e-10)
    weights = torch.randn_like(ours)
    gradients = [
        torch.autograd.grad((logits * weights).sum(), model.embed.embedding.weight)[0]
        for logits in (ours, theirs)
    ]
    torch.testing.assert_close(*gradients, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("mistake", ["norm", "activation", "pool", "mask"])
def test_the_comparison_sees_a_mistake(mistake: str) -> None:
    model = randomised(CONFIG)
    ids, mask = inputs()
    expected = native_logits(model, ids, mask)
    if mistake == "mask":
        wrong = model(ids)
    else:
        changed = {"norm": {"norm": "post"}, "activation": {"activation": "relu"}, "pool": {"pool": "max"}}
        twin = TextClassifier(replace(CONFIG, **changed[mistake])).double()
        twin.load_state_dict(model.state_dict(), strict=False)
        wrong = twin(ids, mask)
    with pytest.raises(AssertionError):
        torch.testing.assert_close(wrong, expected, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("attention", ["explicit", "tiled", "fused"])
def test_what_the_pool_does_not_read_is_not_computed(positions, norm, attention) -> None:
    model = randomised(replace(CONFIG, positions=positions, norm=norm, attention=attention, pool="cls"))
    (ids, mask), rows = inputs(), []
    model.blocks[-1].feed_forward.register_forward_pre_hook(lambda _, given: rows.append(given[0].shape[1]))
    found = []
    for read in (1, None):  # None: everything is computed, and the pool still takes the first token
        model.read = read
        logits = model(ids, mask)
        gradients = torch.autograd.grad(logits.sin().sum(), list(model.parameters()))
        found.append([logits, *gradients])
    assert rows == [1, 12]
    torch.testing.assert_close(found[0], found[1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("attention", ["explicit", "tiled", "fused"])
def test_padding_is_never_seen(positions, pool, attention) -> None:
    model = randomised(replace(CONFIG, positions=positions, pool=pool, attention=attention))
    ids, mask = inputs()
    together = model(ids, mask)
    garbage = torch.where(mask, ids, 17)
    torch.testing.assert_close(model(garbage, mask), together, rtol=1e-10, atol=1e-10)
    for i, length in enumerate(mask.sum(1).tolist()):
        alone = model(ids[i : i + 1, :length])
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("positions", POSITIONS)
def test_order_matters_with_positions_only(positions) -> None:
    model = randomised(replace(CONFIG, positions=positions))
    ids, _ = inputs((9,))
    same = torch.allclose(model(ids), model(ids[:, [3, 0, 7, 1, 8, 5, 2, 6, 4]]), rtol=1e-9, atol=1e-9)
    assert same == (positions == "none")


@pytest.mark.parametrize("pool", POOLS)
@pytest.mark.parametrize("positions", POSITIONS)
def test_one_batch_overfits(pool, positions) -> None:
    model = TextClassifier(replace(CONFIG, pool=pool, positions=positions, layers=1))
    ids, mask = inputs((7, 3, 11, 5))
    labels = torch.tensor([0, 3, 1, 4])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(ids, mask), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 4}, r"heads=4 does not divide d_model=30; choose one of 1, 2, 3, 5, 6, 10, 15, 30"),
        ({"layers": 0}, r"layers=0 is not a size"),
        ({"d_ff": -3}, r"d_ff=-3 is not a size"),
        ({"dropout": 1.0}, r"dropout=1.0 is not a probability below 1"),
        ({"embedding_std": 0.0}, r"embedding_std=0.0 is not positive"),
        ({"positions": "rotary", "heads": 2}, r"d_model/heads = 15 is odd"),
    ],
)
def test_sizes_are_checked(change, message) -> None:
    with pytest.raises(UsageError, match=message):
        replace(CONFIG, **change)
