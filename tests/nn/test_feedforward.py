import numpy as np
import pytest
import torch
from torch import nn

from glassformer.nn.feedforward import FeedForward, gelu_tanh
from tests.nn.comparisons import assert_feed_forward_equals_sequential


@pytest.mark.parametrize("activation", [nn.GELU, nn.ReLU, nn.SiLU])
def test_equals_sequential(activation):
    assert_feed_forward_equals_sequential(FeedForward, activation)


def test_activation_is_exact_gelu_unless_told():
    assert_feed_forward_equals_sequential(lambda d_model, d_ff, _: FeedForward(d_model, d_ff))


def test_gelu_by_tanh_is_the_formula_and_near_the_exact_one():
    x = torch.linspace(-6, 6, 1001, dtype=torch.float64)
    formula = x.numpy() / 2 * (1 + np.tanh(np.sqrt(2 / np.pi) * (x.numpy() + 0.044715 * x.numpy() ** 3)))
    torch.testing.assert_close(gelu_tanh(x), torch.from_numpy(formula), rtol=1e-12, atol=1e-12)
    off = (gelu_tanh(x) - nn.functional.gelu(x)).abs().max()
    assert 1e-4 < off < 5e-4


def test_dropout_acts_inside_and_in_training_alone():
    module, x = FeedForward(13, 4001, dropout=0.25), torch.randn(2, 3, 13)
    seen = []
    module.contract.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    module(x)
    module.eval()(x)
    trained, evaluated = seen
    kept = trained != 0
    assert 0.72 < kept.float().mean() < 0.78
    torch.testing.assert_close(trained[kept], evaluated[kept] / 0.75)


@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (2, 3)])
def test_shapes(batch, tokens):
    assert FeedForward(13, 17)(torch.randn(batch, tokens, 13)).shape == (batch, tokens, 13)
