"""The checker's own attention against torch.nn, and each seeded step against the right ones."""

import pytest
import torch
from torch import nn

from glassformer.checking.attention import RIGHT, Masks, Projection, Sizes, Weights, attend
from glassformer.checking.attention_mistakes import CAUSAL, CORE, PADDING

SIZES = Sizes(24, 3, 8)


def random_layer() -> tuple[nn.MultiheadAttention, Weights]:
    torch.manual_seed(3)
    layer = nn.MultiheadAttention(24, 3, batch_first=True, dtype=torch.float64)
    for each in layer.parameters():
        nn.init.normal_(each, std=0.4)
    matrices, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    made = {role: Projection(w.T, b) for role, w, b in zip("qkv", matrices, biases, strict=True)}
    return layer, Weights(**made, o=Projection(layer.out_proj.weight.T, layer.out_proj.bias))


def inputs(queries: int, keys: int, batch: int = 4) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    x, y, z = (torch.randn(batch, n, 24, dtype=torch.float64) for n in (queries, keys, keys))
    return x, y, z


@pytest.mark.parametrize(("queries", "keys", "batch"), [(7, 11, 4), (7, 7, 4), (1, 1, 4), (5, 9, 1)])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("causal", [False, True])
def test_it_equals_the_native_layer(queries: int, keys: int, batch: int, padded: bool, causal: bool) -> None:
    layer, weights = random_layer()
    given = inputs(queries, keys, batch)
    real = torch.arange(keys)[None] < torch.tensor([[max(1, keys - 2 * row)] for row in range(batch)])
    masks = Masks(real if padded else None, causal)
    future = torch.ones(queries, keys, dtype=torch.bool).triu(1)
    wanted, _ = layer(
        *given,
        key_padding_mask=~real if padded else None,
        attn_mask=future if causal else None,
        need_weights=False,
    )
    leaves = list(layer.parameters())
    output = attend(given, weights, SIZES, masks)
    torch.testing.assert_close(output, wanted, rtol=1e-10, atol=1e-10)
    cotangent = torch.randn_like(wanted)
    ours = torch.autograd.grad(output, leaves, cotangent)
    for got, right in zip(ours, torch.autograd.grad(wanted, leaves, cotangent), strict=True):
        torch.testing.assert_close(got, right, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("seeded", [*CORE, *PADDING, *CAUSAL], ids=lambda each: each.slug)
def test_every_seeded_step_is_seen(seeded) -> None:
    """A mistake of the bank that changed nothing would be named for every right module."""
    _, weights = random_layer()
    given = inputs(7, 7)
    lengths = torch.tensor([5, 3, 6, 2])
    masks = Masks(torch.arange(7)[None] < lengths[:, None], True)
    right = attend(given, weights, SIZES, masks)
    try:
        wrong = attend(given, weights, SIZES, masks, seeded.on(RIGHT))
    except RuntimeError:
        return
    if seeded.slug == "missing-bias" and seeded.steps.unbiased == ("k",):
        torch.testing.assert_close(wrong, right)  # adds the same to every score of a row
        return
    assert wrong.shape != right.shape or not torch.allclose(wrong, right, rtol=1e-6)
