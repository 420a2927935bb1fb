"""Heads switched off: the same as without their columns of the output projection, and nothing stays."""

import copy
from typing import Any

import numpy as np
import pytest
import torch

from glassformer.explain.ablation import ablate_heads, paired_difference, switched_off
from glassformer.explain.capture import attention_places
from glassformer.models.configs import EncoderDecoderConfig, TextClassifierConfig
from glassformer.models.encoder_decoder import EncoderDecoder
from glassformer.models.text_classifier import TextClassifier
from glassformer.tasks import find_task
from tests.explain.hand_built import MARKED, marker_classifier


def text_model(attention: str = "explicit") -> TextClassifier:
    sizes: dict[str, Any] = {"layers": 2, "heads": 3, "d_model": 12, "d_ff": 6}
    facts = {"vocab": 11, "max_tokens": 7, "classes": 2}
    return TextClassifier(
        TextClassifierConfig(attention=attention, embedding_std=1.0, **sizes, **facts)
    ).eval()


@pytest.mark.parametrize("attention", ["explicit", "tiled", "fused"])
@pytest.mark.parametrize("head", [0, 2, None])
def test_off_is_without_the_columns_of_the_projection(attention: str, head: int | None) -> None:
    model, ids = text_model(attention), torch.randint(4, 11, (5, 7))
    before = model(ids)
    other = copy.deepcopy(model)
    columns = slice(None) if head is None else slice(4 * head, 4 * head + 4)
    with torch.no_grad():
        other.blocks[1].attention.output.weight[:, columns] = 0
    with switched_off(attention_places(model)[1], head):
        without = model(ids)
    torch.testing.assert_close(without, other(ids), rtol=0, atol=1e-6)
    assert not torch.allclose(without, before)
    assert torch.equal(before, model(ids))


def test_every_head_and_layer_is_tried_and_the_model_is_unchanged() -> None:
    task, model = find_task("parity"), text_model()
    ids = torch.randint(4, 11, (40, 7))
    batch = {"ids": ids, "mask": None, "labels": model(ids).argmax(1)}
    state = {name: each.clone() for name, each in model.state_dict().items()}
    own = [place.module.attention for place in attention_places(model)]
    accuracy, found = ablate_heads(task, model, [batch])
    assert accuracy == 1.0
    assert [each.head for each in found] == [1, 2, 3, None] * 2
    assert [each.layer for each in found] == [1] * 4 + [2] * 4
    for each in found:  # everything was right, so nothing can become so
        assert each.rose == 0
        assert each.lost == pytest.approx(each.fell / 40)
        assert each.interval[0] < each.interval[1]
    assert all(torch.equal(state[name], each) for name, each in model.state_dict().items())
    assert [place.module.attention for place in attention_places(model)] == own


def test_the_head_that_decides_is_found() -> None:
    model = marker_classifier("cls")
    ids = torch.randint(4, MARKED, (60, 8))
    ids[:30, 3] = MARKED
    labels = torch.tensor([1] * 30 + [0] * 30)
    accuracy, (found,) = ablate_heads(
        find_task("parity"), model, [{"ids": ids, "mask": None, "labels": labels}]
    )
    assert accuracy == 1.0
    assert (found.lost, found.fell, found.counts) == (0.5, 30, True)


def test_sequences_are_right_where_every_token_is() -> None:
    sizes = {"vocab": 9, "max_tokens": 4, "max_targets": 4}
    model = EncoderDecoder(EncoderDecoderConfig(heads=2, d_model=8, d_ff=6, **sizes)).eval()
    source, target = torch.randint(4, 9, (12, 4)), torch.randint(4, 9, (12, 4))
    with torch.no_grad():
        labels = model(source, target).argmax(-1)
    batch = {"source": source, "source_mask": None, "target": target, "labels": labels}
    task = find_task("reverse")
    known = float((labels != 1).all(1).double().mean())  # the unknown token is never right
    assert ablate_heads(task, model, [batch])[0] == pytest.approx(known)
    batch["labels"] = labels.clone()
    batch["labels"][:, 2] = 8 - labels[:, 2] + 100
    assert ablate_heads(task, model, [batch])[0] == 0


def test_the_paired_interval_by_hand() -> None:
    first, second = (
        np.array([True] * 7 + [False] * 3),
        np.array([True] * 4 + [False] * 3 + [True] + [False] * 2),
    )
    difference, low, high = paired_difference(first, second)  # b = 3, c = 1, n = 10
    reach = 1.959964 * np.sqrt(5 - 4 / 12) / 12
    assert (difference, low, high) == pytest.approx((0.2, 1 / 6 - reach, 1 / 6 + reach), abs=1e-6)


def test_the_paired_interval_holds_the_truth_as_often_as_it_says() -> None:
    generator, held = np.random.default_rng(0), 0
    for _ in range(1500):
        kinds = generator.choice(3, size=80, p=[0.85, 0.1, 0.05])  # same, first alone, second alone
        _, low, high = paired_difference(kinds <= 1, kinds != 1)
        held += low <= 0.05 <= high
    assert 0.93 < held / 1500 < 0.98
