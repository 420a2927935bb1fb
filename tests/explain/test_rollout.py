"""Attention rolled out, against hands and loops."""

import pytest
import torch

from glassformer.explain.rollout import pool_weights, rolled_out
from glassformer.nn.pooling import ClsPool, MaxPool, MeanPool


def test_by_hand() -> None:
    first = torch.tensor([[[[0.0, 1.0], [0.0, 1.0]], [[1.0, 0.0], [1.0, 0.0]]]])  # heads average to 1/2 each
    second = torch.tensor([[[[1.0, 0.0], [1.0, 0.0]]]])
    # first: [[3/4, 1/4], [1/4, 3/4]]; second: [[1, 0], [1/2, 1/2]]; second @ first
    wanted = torch.tensor([[[0.75, 0.25], [0.5, 0.5]]])
    torch.testing.assert_close(rolled_out([first, second]), wanted)
    assert not torch.allclose(rolled_out([second, first]), wanted)
    # of the last layer, the first row is enough for the first row
    torch.testing.assert_close(rolled_out([first, second[:, :, :1]]), wanted[:, :1])


def test_rows_sum_to_one_and_attention_to_oneself_changes_nothing() -> None:
    layers = [torch.randn(3, 2, 5, 5).softmax(-1) for _ in range(4)]
    rolled = rolled_out(layers)
    torch.testing.assert_close(rolled.sum(-1), torch.ones(3, 5))
    assert bool((rolled >= 0).all())
    torch.testing.assert_close(
        rolled_out([torch.eye(5).expand(3, 2, 5, 5)] * 3), torch.eye(5).expand(3, 5, 5)
    )


def test_there_must_be_layers() -> None:
    with pytest.raises(ValueError, match="no attention weights"):
        rolled_out([])


def test_pools_weigh_tokens_as_they_pool() -> None:
    x, mask = torch.randn(2, 4, 3), torch.tensor([[True] * 4, [True, True, False, False]])
    mean = pool_weights(MeanPool(), x, mask)
    torch.testing.assert_close((mean[:, None] @ x)[:, 0], MeanPool()(x, mask))
    assert pool_weights(ClsPool(), x, mask).tolist() == [[1, 0, 0, 0]] * 2
    x[1, 3] = 100.0  # padding may be large: it wins nothing
    shares = pool_weights(MaxPool(), x, mask)
    for row in range(2):
        real = int(mask[row].sum())
        winners = [max(range(real), key=lambda t, r=row, c=c: float(x[r, t, c])) for c in range(3)]
        assert shares[row].tolist() == pytest.approx([winners.count(t) / 3 for t in range(4)])
