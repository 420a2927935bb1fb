"""The smallest example of each mistake: it is short, it shows something, and its right side is right."""

import pytest
import torch
from torch.nn import functional

from glassformer.checking.catalogue import ENTRIES
from glassformer.checking.example_sides import table, weights_of
from glassformer.checking.examples import WIDTH, example, sides_of
from glassformer.checking.examples_layers import X, norm
from glassformer.checking.examples_models import patchify
from glassformer.checking.examples_numpy import WEIGHTS, Y, gradients
from glassformer.checking.examples_numpy import X as INPUTS


@pytest.mark.parametrize("slug", [slug for slug, each in ENTRIES.items() if each.sort != "unknown"])
def test_an_example_is_short_and_shows_a_difference(slug: str) -> None:
    shown, sides = example(slug), sides_of(slug)
    assert sides is not None
    assert sides.right != sides.wrong
    assert all(line in shown for line in (*sides.right.splitlines(), *sides.wrong.splitlines()))
    assert len(shown.splitlines()) <= 8
    assert max(map(len, shown.splitlines())) <= WIDTH
    assert shown == example(slug), "the same numbers each time"


def test_the_unknown_has_no_example() -> None:
    assert example("unknown") == example("unknown-mask") == ""


def test_a_name_shares_the_example_of_what_it_is_another_name_of() -> None:
    assert example("padding-wrong-axis") == example("padding-on-queries")


def test_weights_are_those_of_torch() -> None:
    scores = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    torch.testing.assert_close(weights_of(scores, d_head=9), torch.softmax(scores / 3, -1))


def test_the_right_sides_agree_with_torch() -> None:
    torch.testing.assert_close(norm(X), functional.layer_norm(X, (4,)))
    image = torch.arange(16.0).reshape(1, 1, 4, 4)
    unfolded = functional.unfold(image, 2, stride=2)[0].T
    torch.testing.assert_close(patchify(image[0, 0], 2), unfolded)


@pytest.mark.parametrize("squared", [False, True])
def test_the_gradients_are_those_of_autograd(squared: bool) -> None:
    leaves = {role: each.clone().requires_grad_() for role, each in WEIGHTS.items()}
    w1, b1, w2, b2 = leaves.values()
    p = torch.sigmoid(torch.sigmoid(INPUTS @ w1 + b1) @ w2 + b2)
    loss = ((p - Y) ** 2).mean() / 2 if squared else functional.binary_cross_entropy(p, Y)
    loss.backward()
    found = gradients(squared)
    assert set(found) == set(leaves)
    for role, ours in found.items():
        torch.testing.assert_close(ours, leaves[role].grad)


def test_table() -> None:
    assert table([[1, -0.001], [10, 2]]) == " 1.00  0.00\n10.00  2.00"
    assert table(torch.tensor([1.0]), 0, ["one"]) == "one   1"
