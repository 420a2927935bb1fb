import pytest
import torch

from glassformer.nn.pooling import ClsPool, LastPool, MaxPool, MeanPool
from tests.nn.comparisons import assert_equals_pooling, assert_same, random

POOLS = {"mean": MeanPool, "max": MaxPool, "cls": ClsPool, "last": LastPool}
every_pool = pytest.mark.parametrize("pool", POOLS)


@every_pool
@pytest.mark.parametrize("masked", [False, True])
def test_equals_pooling_by_hand(pool, masked):
    assert_equals_pooling(POOLS[pool], pool, masked)


@every_pool
def test_a_mask_that_masks_nothing_changes_nothing(pool):
    x = random(5, 7, 13)
    module = POOLS[pool]()
    assert_same(module(x, torch.ones(5, 7, dtype=torch.bool)), module(x), "output")


@every_pool
@pytest.mark.parametrize(("batch", "tokens"), [(1, 1), (2, 3)])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_shapes_and_dtypes(pool, batch, tokens, dtype):
    y = POOLS[pool]()(
        torch.randn(batch, tokens, 13, dtype=dtype), torch.ones(batch, tokens, dtype=torch.bool)
    )
    assert y.shape == (batch, 13)
    assert y.dtype == dtype
