"""Packed blocks give what the model gives."""

import pytest
import torch
from torch import nn

from glassformer.models.choices import ACTIVATION
from glassformer.nn.attention import tiled_attention
from glassformer.nn.blocks import EncoderBlock, PostNormBlock, PreNormBlock
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.masks import Mask, padding_mask
from glassformer.nn.multihead import MultiHeadAttention
from glassformer.nn.packed import PackedLinear, can_pack, packed

D_MODEL, HEADS, D_FF = 21, 3, 37


class Stack(nn.Module):
    """Two blocks, and a layer that is in none."""

    def __init__(self, kind: type[EncoderBlock], activation: str) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(
            kind(
                MultiHeadAttention(D_MODEL, HEADS, attention=tiled_attention),
                FeedForward(D_MODEL, D_FF, activation=ACTIVATION[activation]),
                D_MODEL,
            )
            for _ in range(2)
        )
        self.head = nn.Linear(D_MODEL, 2)
        for block in self.blocks:  # or that a bias is left out would not be seen
            nn.init.normal_(block.attention.qkv.bias)
            nn.init.normal_(block.attention.output.bias)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        for block in self.blocks:
            x = block(x, mask=Mask(keys=padding_mask(torch.tensor([11, 5]), 11)))
        return self.head(x)


@pytest.mark.parametrize("activation", ACTIVATION)
@pytest.mark.parametrize("kind", [PreNormBlock, PostNormBlock])
@torch.no_grad()
def test_equals_the_model(kind: type[EncoderBlock], activation: str) -> None:
    model, x = Stack(kind, activation), torch.randn(2, 11, D_MODEL)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    ready = packed(model, torch.float32)
    torch.testing.assert_close(ready(x), model(x), rtol=1e-5, atol=1e-5)
    assert sum(isinstance(module, PackedLinear) for module in ready.modules()) == 8
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)


@pytest.mark.skipif(not can_pack(Stack(PreNormBlock, "gelu")), reason="no products in bf16 here")
@pytest.mark.parametrize("activation", ACTIVATION)
@torch.no_grad()
def test_in_bf16_it_is_as_near_as_autocast(activation: str) -> None:
    model, x = Stack(PostNormBlock, activation), torch.randn(2, 11, D_MODEL)
    exact = model.double()(x.double())
    model.float()
    with torch.autocast("cpu", torch.bfloat16):
        theirs, ours = ((m(x).double() - exact).abs().max() for m in (model, packed(model)))
    assert ours <= 1.5 * theirs + 1e-2
    assert theirs < 0.1


@torch.no_grad()
def test_comparison_rejects_other_weights_and_a_second_gelu() -> None:
    model, x = Stack(PreNormBlock, "gelu"), torch.randn(2, 11, D_MODEL)
    twice = packed(model, torch.float32)
    twice.blocks[0].feed_forward.activation = nn.GELU()
    swapped = packed(model, torch.float32)
    first, second = (block.feed_forward for block in swapped.blocks)
    first.expand, second.expand = second.expand, first.expand
    for wrong in (twice, swapped):
        assert (wrong(x) - model(x)).abs().max() > 1e-3


def test_what_has_no_blocks_is_refused() -> None:
    assert not can_pack(nn.Linear(3, 5))
    with pytest.raises(ValueError, match="a Linear cannot be packed"):
        packed(nn.Linear(3, 5))
