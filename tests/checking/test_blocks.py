"""The checker's own blocks against torch.nn, and each flow of the bank against the right ones."""

import pytest
import torch
from torch import nn

from glassformer.checking.attention import RIGHT, Masks, Projection, Sizes, Weights
from glassformer.checking.block_mistakes import flows
from glassformer.checking.blocks import BlockSteps, BlockWeights, Norm, gelu, relu, right_steps, run_block

SIZES = Sizes(24, 3, 8)


def attention_weights(layer: nn.MultiheadAttention) -> Weights:
    matrices, biases = layer.in_proj_weight.chunk(3), layer.in_proj_bias.chunk(3)
    made = {role: Projection(w.T, b) for role, w, b in zip("qkv", matrices, biases, strict=True)}
    return Weights(**made, o=Projection(layer.out_proj.weight.T, layer.out_proj.bias))


def randomised(layer: nn.Module) -> nn.Module:
    torch.manual_seed(3)
    for each in layer.parameters():
        nn.init.normal_(each, std=0.4)
    return layer.eval()


def weights_of(layer: nn.Module, norms: int) -> BlockWeights:
    attentions = [attention_weights(layer.self_attn)]
    if norms == 3:
        attentions.append(attention_weights(layer.multihead_attn))
    found = [getattr(layer, f"norm{number + 1}") for number in range(norms)]
    first, second = (Projection(each.weight.T, each.bias) for each in (layer.linear1, layer.linear2))
    return BlockWeights(tuple(attentions), tuple(Norm(n.weight, n.bias) for n in found), first, second)


def steps(place: str, activation: str, cross: bool) -> BlockSteps:
    right = right_steps(place, cross)
    return BlockSteps(right.flow, right.norms, right.attentions, {"relu": relu, "gelu": gelu}[activation])


@pytest.mark.parametrize("activation", ["relu", "gelu"])
@pytest.mark.parametrize("place", ["pre", "post"])
def test_an_encoder_block_equals_the_native_layer(place: str, activation: str) -> None:
    layer = randomised(
        nn.TransformerEncoderLayer(
            24, 3, 40, 0.0, activation, norm_first=place == "pre", batch_first=True, dtype=torch.float64
        )
    )
    x = torch.randn(4, 7, 24, dtype=torch.float64)
    real = torch.arange(7)[None] < torch.tensor([[7], [3], [5], [1]])
    output = run_block(
        x, None, weights_of(layer, 2), SIZES, steps(place, activation, False), (Masks(real), Masks())
    )
    wanted = layer(x, src_key_padding_mask=~real)
    torch.testing.assert_close(output, wanted, rtol=1e-10, atol=1e-10)


@pytest.mark.parametrize("place", ["pre", "post"])
def test_a_decoder_block_equals_the_native_layer(place: str) -> None:
    layer = randomised(
        nn.TransformerDecoderLayer(
            24, 3, 40, 0.0, norm_first=place == "pre", batch_first=True, dtype=torch.float64
        )
    )
    x, memory = (torch.randn(4, tokens, 24, dtype=torch.float64) for tokens in (7, 9))
    real = torch.arange(9)[None] < torch.tensor([[9], [3], [5], [1]])
    future = torch.ones(7, 7, dtype=torch.bool).triu(1)
    masks = (Masks(causal=True), Masks(real))
    output = run_block(x, memory, weights_of(layer, 3), SIZES, steps(place, "relu", True), masks)
    wanted = layer(x, memory, tgt_mask=future, memory_key_padding_mask=~real)
    torch.testing.assert_close(output, wanted, rtol=1e-10, atol=1e-10)


def test_every_flow_with_a_mistake_is_seen() -> None:
    """A mistake of the bank that changed nothing would be named for every right block."""
    layer = randomised(nn.TransformerDecoderLayer(24, 3, 40, dtype=torch.float64))
    weights, x = weights_of(layer, 3), torch.randn(2, 5, 24, dtype=torch.float64)
    outputs = {}
    for each in flows(3, "pre"):
        own = BlockSteps(each.value, (0, 1, 2), (RIGHT, RIGHT))
        outputs[each] = run_block(x, x[:, :4], weights, SIZES, own)
    right = [output for each, output in outputs.items() if not each.slugs]
    assert len(right) == 1
    for each, output in outputs.items():
        if each.slugs:
            assert not torch.allclose(output, right[0], rtol=1e-6), each
