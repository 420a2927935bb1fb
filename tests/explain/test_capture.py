"""Weights beside a computation that stays the same bit for bit."""

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from glassformer.explain.capture import attention_places, captured_attention
from glassformer.models.configs import (
    EncoderDecoderConfig,
    RecurrentClassifierConfig,
    TextClassifierConfig,
    VisionTransformerConfig,
)
from glassformer.models.encoder_decoder import EncoderDecoder
from glassformer.models.recurrent import RecurrentClassifier
from glassformer.models.text_classifier import TextClassifier
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.nn.attention import explicit_attention

Call = Callable[[], Tensor]
MASK = torch.tensor([[True] * 7, [True] * 4 + [False] * 3, [True] + [False] * 6])


def text(**options: Any) -> tuple[nn.Module, Call]:
    config = TextClassifierConfig(
        layers=2, heads=2, d_model=12, d_ff=10, vocab=11, max_tokens=7, classes=3, **options
    )
    model = TextClassifier(config).eval()
    ids = torch.randint(4, 11, (3, 7))
    return model, lambda: model(ids, MASK)


def sequences(**options: Any) -> tuple[nn.Module, Call]:
    config = EncoderDecoderConfig(
        heads=2, d_model=12, d_ff=10, vocab=11, max_tokens=7, max_targets=5, **options
    )
    model = EncoderDecoder(config).eval()
    source, target = torch.randint(4, 11, (3, 7)), torch.randint(4, 11, (3, 5))
    return model, lambda: model(source, target, MASK)


def images(**options: Any) -> tuple[nn.Module, Call]:
    config = VisionTransformerConfig(
        layers=3, heads=2, d_model=16, d_ff=10, patch=2, channels=3, height=4, width=6, classes=3, **options
    )
    model = VisionTransformer(config).eval()
    nn.init.normal_(model.head.weight)
    pixels = torch.randn(2, 3, 4, 6)
    return model, lambda: model(pixels)


CASES = [
    (build, {"attention": attention, "norm": norm, "positions": positions})
    for build, kinds in (
        (text, ("rotary", "alibi")),
        (sequences, ("sinusoidal", "alibi")),
        (images, ("rotary",)),
    )
    for attention in ("explicit", "tiled", "fused")
    for norm, positions in zip(("pre", "post"), (kinds * 2)[:2], strict=True)
]


@pytest.mark.parametrize(("build", "options"), CASES)
def test_no_output_changes_and_weights_are_those_of_explicit_attention(
    build: Any, options: dict[str, str]
) -> None:
    model, call = build(**options)
    before = call()
    with captured_attention(model) as attended:
        during = call()
    assert torch.equal(before, during)
    assert torch.equal(before, call())

    # asked of each module anew, with the explicit function and the arguments that it was called with
    wanted: dict[Any, Tensor] = {}
    asked: list[tuple[Any, tuple[Any, ...], dict[str, Any]]] = []
    handles = [
        place.module.register_forward_pre_hook(lambda m, a, k: asked.append((m, a, k)), with_kwargs=True)
        for place in attention_places(model)
    ]
    call()
    for handle in handles:
        handle.remove()
    for module, given, named in asked:
        module.attention = explicit_attention
        wanted[module] = module(*given, **(named | {"return_weights": True}))[1]
    places = {(place.kind, place.layer): place.module for place in attention_places(model)}
    assert len(attended) == len(places) == len(asked)
    for each in attended:
        torch.testing.assert_close(each.weights, wanted[places[each.kind, each.layer]], rtol=0, atol=1e-7)
        assert not each.weights.requires_grad


def test_every_kind_of_attention_has_its_name() -> None:
    model, _ = sequences()
    assert [(place.kind, place.layer) for place in attention_places(model)] == [
        ("encoder self-attention", 1),
        ("encoder self-attention", 2),
        ("decoder self-attention", 1),
        ("cross-attention", 1),
        ("decoder self-attention", 2),
        ("cross-attention", 2),
    ]
    recurrent = RecurrentClassifier(RecurrentClassifierConfig(vocab=9, classes=2))
    assert attention_places(recurrent) == []


def test_padding_gets_nothing_and_rows_sum_to_one() -> None:
    model, call = text(positions="learned")
    with captured_attention(model) as attended:
        call()
    for each in attended:
        assert float(each.weights.permute(0, 3, 1, 2)[~MASK].detach().abs().max()) == 0
        torch.testing.assert_close(each.weights.sum(-1), torch.ones(3, 2, 7))


def test_functions_are_given_back_after_an_error() -> None:
    model, _ = text(attention="fused")
    own = [place.module.attention for place in attention_places(model)]
    with captured_attention(model):
        assert [place.module.attention for place in attention_places(model)] != own
    with pytest.raises(ZeroDivisionError), captured_attention(model):
        raise ZeroDivisionError
    assert [place.module.attention for place in attention_places(model)] == own
