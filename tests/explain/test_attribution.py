"""Attributions: found where they must be, and true to their definitions."""

from dataclasses import replace

import pytest
import torch
from torch import nn

from glassformer.explain.attribution import (
    completeness_gap,
    embedded,
    gradient_x_input,
    integrated_gradients,
    replaced_embedding,
)
from glassformer.explain.faithfulness import (
    CROSS,
    FUNCTIONS,
    GRADIENT,
    INTEGRATED,
    ROLLOUT,
    attribute,
    methods,
)
from glassformer.explain.questions import Question, SequenceQuestion, ask
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
from glassformer.tasks import find_task
from tests.explain.hand_built import marked_texts, marker_classifier

MASK = torch.tensor([[True] * 6, [True] * 4 + [False] * 2])


def question(kind: str) -> Question:
    """Of a model with fresh weights, in float64."""
    ids, labels = torch.randint(4, 11, (2, 6)), torch.zeros(2, dtype=torch.long)
    if kind == "sequences":
        config = EncoderDecoderConfig(heads=2, d_model=8, d_ff=6, vocab=11, max_tokens=6, max_targets=5)
        model: nn.Module = EncoderDecoder(config)
        batch = {"source": ids, "source_mask": MASK, "labels": labels}
        return ask(find_task("reverse"), model.double().eval(), batch)
    if kind == "images":
        size = {"channels": 1, "height": 4, "width": 6, "classes": 3}
        model = VisionTransformer(
            VisionTransformerConfig(layers=2, heads=2, d_model=8, d_ff=6, patch=2, **size)
        )
        nn.init.normal_(model.head.weight)
        images = torch.randn(2, 1, 4, 6, dtype=torch.float64)
        return ask(find_task("digits"), model.double().eval(), {"images": images, "labels": labels})
    if kind == "recurrent":
        model = RecurrentClassifier(RecurrentClassifierConfig(d_model=5, d_hidden=4, vocab=11, classes=3))
    else:
        model = TextClassifier(
            TextClassifierConfig(
                layers=2,
                heads=2,
                d_model=8,
                d_ff=6,
                pool=kind,
                vocab=11,
                max_tokens=6,
                classes=3,
                embedding_std=1.0,
            )
        )
    return ask(find_task("parity"), model.double().eval(), {"ids": ids, "mask": MASK, "labels": labels})


KINDS = ["mean", "cls", "max", "recurrent", "images", "sequences"]


@pytest.mark.parametrize("kind", KINDS)
def test_integrated_gradients_are_complete(kind: str) -> None:
    asked = question(kind)
    found = integrated_gradients(asked, steps=256)
    # a maximum and ReLUs have kinks, which cost the quadrature some digits
    assert float(completeness_gap(asked, found).abs().max()) < (2e-2 if kind == "max" else 5e-3)
    assert float(found.abs().max()) > 1e-4
    assert found.masked_select(~asked.real).abs().sum() == 0


@pytest.mark.parametrize("kind", KINDS)
def test_gradient_x_input_is_the_slope_as_each_part_grows(kind: str) -> None:
    asked, step = question(kind), 1e-5
    x = embedded(asked)
    found, zero = gradient_x_input(asked), asked.zero(x)
    for part in range(x.shape[1]):
        moved = []
        for sign in (1, -1):
            at = x.clone()
            at[:, part] += sign * step * (x - zero)[:, part]
            with torch.no_grad(), replaced_embedding(asked.model, lambda _, at=at: at):
                moved.append(asked.log_odds())
        slope = ((moved[0] - moved[1]) / (2 * step)).masked_fill(~asked.real[:, part], 0)
        torch.testing.assert_close(found[:, part], slope, atol=1e-6, rtol=1e-4)


@pytest.mark.parametrize("pool", ["mean", "cls"])
@pytest.mark.parametrize("method", [ROLLOUT, INTEGRATED])
def test_the_token_that_decides_is_found(pool: str, method: str) -> None:
    asked, where = marked_texts(marker_classifier(pool))
    found = FUNCTIONS[method](asked)
    assert torch.equal(found.argmax(1), where)
    if method == INTEGRATED:  # all others are what the baseline is, so they have no part in it
        others = torch.arange(8) != where[:, None]
        assert float(found[others].abs().max()) < 1e-6


def test_a_written_token_is_explained_by_the_source_alone() -> None:
    asked = question("sequences")
    assert isinstance(asked, SequenceQuestion)
    found = attribute(CROSS, asked)
    torch.testing.assert_close(found.sum(1), torch.ones(len(asked)))
    assert found.masked_select(~asked.real).abs().sum() == 0
    # of a sequence alone there comes the same as within the batch
    one = asked.take(slice(0, 1))
    torch.testing.assert_close(
        attribute(INTEGRATED, one)[0], attribute(INTEGRATED, asked)[0, : one.real.shape[1]]
    )


def test_a_recurrent_network_has_gradients_only() -> None:
    assert methods(question("recurrent").model) == [GRADIENT, INTEGRATED]
    assert methods(question("mean").model) == [ROLLOUT, GRADIENT, INTEGRATED]


def test_a_path_has_points() -> None:
    with pytest.raises(ValueError, match="steps=0"):
        integrated_gradients(question("mean"), steps=0)


def test_the_embedding_is_given_back_and_weights_have_no_gradient() -> None:
    asked = question("mean")
    before = asked.logits().detach()
    integrated_gradients(replace(asked))
    assert torch.equal(before, asked.logits())
    assert all(parameter.grad is None for parameter in asked.model.parameters())


@pytest.mark.parametrize("kind", ["cls", "images", "sequences"])
def test_attributions_under_autocast_can_be_written_out(kind: str) -> None:
    asked = question(kind)
    asked.model.float()
    if kind == "images":
        asked = replace(asked, images=asked.images.float(), mean=asked.mean.float())
    with torch.autocast("cpu", torch.bfloat16):
        found = {name: attribute(name, asked).numpy() for name in methods(asked.model)}
    assert {each.dtype.name for each in found.values()} == {"float32"}
    assert all(abs(each).max() > 0 for each in found.values())
