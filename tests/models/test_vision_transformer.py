"""The whole model against transformers and torch.nn, and the properties that each option promises."""

import copy
import math
from dataclasses import replace
from typing import get_args

import pytest
import torch
from tests.nn.comparisons import copy_native_layer, pooled_by_hand
from torch import Tensor, nn

from glassformer.errors import UsageError
from glassformer.models.configs import PatchPositions, Pool, VisionTransformerConfig
from glassformer.models.vision_transformer import InTwoSizes, VisionTransformer
from glassformer.nn.patches import patchify, unpatchify
from glassformer.nn.stochastic_depth import StochasticDepth

CONFIG = VisionTransformerConfig(
    layers=2,
    heads=3,
    d_model=36,
    d_ff=37,
    patch=4,
    positions="none",
    channels=2,
    height=12,
    width=20,
    classes=5,
)
AS_VIT = replace(CONFIG, positions="learned", pool="cls")
POSITIONS, POOLS = get_args(PatchPositions), get_args(Pool)
ATTENTION = ("explicit", "tiled", "fused")


def randomised(config: VisionTransformerConfig) -> VisionTransformer:
    model = VisionTransformer(config).double().eval()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.normal_(std=0.3)
    return model


def pixels(config: VisionTransformerConfig = CONFIG, batch: int = 3) -> Tensor:
    return torch.rand(batch, config.channels, config.height, config.width, dtype=torch.float64) * 2 - 1


def assert_same(ours: Tensor, theirs: Tensor, tolerance: float = 1e-10) -> None:
    torch.testing.assert_close(ours, theirs, rtol=tolerance, atol=tolerance)


def their_vit(model: VisionTransformer) -> nn.Module:
    """transformers' ViT with our weights. Its eager attention takes the softmax in float32, sdpa does not."""
    from transformers import ViTConfig, ViTForImageClassification

    config = model.config
    theirs = ViTForImageClassification(
        ViTConfig(
            hidden_size=config.d_model,
            num_hidden_layers=config.layers,
            num_attention_heads=config.heads,
            intermediate_size=config.d_ff,
            hidden_act=config.activation,
            layer_norm_eps=1e-5,
            image_size=(config.height, config.width),
            patch_size=config.patch,
            num_channels=config.channels,
            num_labels=config.classes,
            attn_implementation="sdpa",
        )
    ).to(model.head.weight)
    patches = model.embed.projection
    state = {
        "vit.embeddings.cls_token": model.cls[None, None],
        "vit.embeddings.position_embeddings": model.positions.embedding.weight[None],
        "vit.embeddings.patch_embeddings.projection.weight": patches.weight.unflatten(
            1, (config.channels, config.patch, config.patch)
        ),
        "vit.embeddings.patch_embeddings.projection.bias": patches.bias,
    }
    modules = {"vit.layernorm": model.norm, "classifier": model.head}
    for number, block in enumerate(model.blocks):
        name = f"vit.layers.{number}"
        for part, weight, bias in zip(
            "qkv", block.attention.qkv.weight.chunk(3), block.attention.qkv.bias.chunk(3), strict=True
        ):
            state[f"{name}.attention.{part}_proj.weight"] = weight
            state[f"{name}.attention.{part}_proj.bias"] = bias
        modules[f"{name}.attention.o_proj"] = block.attention.output
        modules[f"{name}.layernorm_before"] = block.attention_norm
        modules[f"{name}.layernorm_after"] = block.feed_forward_norm
        modules[f"{name}.mlp.fc1"] = block.feed_forward.expand
        modules[f"{name}.mlp.fc2"] = block.feed_forward.contract
    for name, module in modules.items():
        state |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
    theirs.load_state_dict({name: value.detach() for name, value in state.items()})
    return theirs.eval()


def logits_and_gradient(model, images: Tensor, **keywords) -> tuple[Tensor, Tensor]:
    images = images.clone().requires_grad_()
    logits = model(images, **keywords)
    logits = logits if isinstance(logits, Tensor) else logits.logits
    direction = torch.linspace(-1, 1, logits.numel(), dtype=logits.dtype).view_as(logits)
    return logits, torch.autograd.grad((logits * direction).sum(), images)[0]


def assert_equals_their_vit(ours: VisionTransformer, theirs: nn.Module, **keywords) -> None:
    images = pixels(ours.config)
    for one, other in zip(
        logits_and_gradient(ours, images), logits_and_gradient(theirs, images, **keywords), strict=True
    ):
        assert_same(one, other)
    images = images.float()
    ours, theirs = copy.deepcopy(ours).float(), copy.deepcopy(theirs).float()
    theirs.set_attn_implementation("eager")
    assert_same(ours(images), theirs(images, **keywords).logits, 1e-5)


@pytest.mark.parametrize("attention", ATTENTION)
@pytest.mark.parametrize("activation", ["gelu", "relu"])
def test_equals_transformers(attention, activation) -> None:
    model = randomised(replace(AS_VIT, attention=attention, activation=activation))
    assert_equals_their_vit(model, their_vit(model))


@pytest.mark.parametrize(("height", "width"), [(8, 28), (20, 16), (12, 12)])
def test_another_image_size_equals_transformers(height, width) -> None:
    """Transformers interpolates from square grids only; other ones: `tests/nn/test_grids.py`."""
    model = randomised(replace(AS_VIT, width=12))
    theirs = their_vit(model)
    assert_equals_their_vit(model.for_image_size(height, width), theirs, interpolate_pos_encoding=True)


MISTAKES = {
    "norm": {"norm": "post"},
    "activation": {"activation": "relu"},
    "pool": {"pool": "max"},
    "no positions": {"positions": "none"},
    "other positions": {"positions": "sinusoidal"},
    "heads": {"heads": 4},
    "layers": {"layers": 1},
}


@pytest.mark.parametrize("mistake", [*MISTAKES, "transposed images", "cls at the end", "not interpolated"])
def test_the_comparison_sees_a_mistake(mistake: str) -> None:
    model = randomised(replace(AS_VIT, width=12))
    theirs = their_vit(model)
    keywords = {}
    if mistake in MISTAKES:
        wrong = VisionTransformer(replace(model.config, **MISTAKES[mistake])).double()
        state = model.state_dict()
        if mistake == "pool":
            state["positions.embedding.weight"] = state["positions.embedding.weight"][1:]
        wrong.load_state_dict(state, strict=False)
    elif mistake == "transposed images":
        wrong = copy.deepcopy(model)
        wrong.embed.register_forward_pre_hook(lambda _, images: (images[0].mT,))
    elif mistake == "cls at the end":
        wrong = copy.deepcopy(model)
        wrong.read = None
        wrong.pool.register_forward_pre_hook(lambda _, inputs: (inputs[0].flip(1),))
    else:
        wrong, keywords = model.for_image_size(20, 16), {"interpolate_pos_encoding": True}
        wrong.positions.embedding.weight.data.normal_()
    with pytest.raises(AssertionError):
        assert_equals_their_vit(wrong, theirs, **keywords)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("pool", POOLS)
def test_equals_the_native_encoder(norm, pool) -> None:
    """torch.nn's convolution and encoder with our weights; the pools and the classifier by hand."""
    model = randomised(replace(AS_VIT, norm=norm, pool=pool))
    config = model.config
    layer = nn.TransformerEncoderLayer(
        config.d_model, config.heads, config.d_ff, 0.0, "gelu", batch_first=True, norm_first=norm == "pre"
    )
    encoder = nn.TransformerEncoder(layer, config.layers, enable_nested_tensor=False).double()
    for native, block in zip(encoder.layers, model.blocks, strict=True):
        nn.init.normal_(native.self_attn.in_proj_bias)
        copy_native_layer(native, block)

    def theirs(images: Tensor) -> Tensor:
        kernel = model.embed.projection.weight.unflatten(1, (config.channels, config.patch, config.patch))
        x = nn.functional.conv2d(images, kernel, model.embed.projection.bias, stride=config.patch)
        x = x.flatten(2).transpose(1, 2)
        if pool == "cls":
            x = torch.cat((model.cls.repeat(len(x), 1, 1), x), dim=1)
        x = encoder(x + model.positions.embedding.weight)
        if norm == "pre":
            x = nn.functional.layer_norm(x, (config.d_model,), model.norm.weight, model.norm.bias)
        return pooled_by_hand(x, None, pool) @ model.head.weight.T + model.head.bias

    images = pixels()
    for one, other in zip(
        logits_and_gradient(model, images), logits_and_gradient(theirs, images), strict=True
    ):
        assert_same(one, other)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_attention_functions_agree(positions, pool) -> None:
    model = randomised(replace(CONFIG, positions=positions, pool=pool))
    images = pixels()
    expected = logits_and_gradient(model, images)
    for attention in ATTENTION[1:]:
        other = VisionTransformer(replace(model.config, attention=attention)).double()
        other.load_state_dict(model.state_dict())
        for one, wanted in zip(logits_and_gradient(other, images), expected, strict=True):
            assert_same(one, wanted)


@pytest.mark.parametrize("norm", ["pre", "post"])
@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_every_parameter_has_a_finite_gradient(norm, positions, pool) -> None:
    model = randomised(replace(CONFIG, norm=norm, positions=positions, pool=pool)).train()
    logits = model(pixels())
    assert logits.shape == (3, 5)
    logits.sin().sum().backward()
    for name, parameter in model.named_parameters():
        assert parameter.grad.isfinite().all(), name
        assert parameter.grad.any(), name


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("pool", POOLS)
def test_places_matter_with_positions_only(positions, pool) -> None:
    model = randomised(replace(CONFIG, positions=positions, pool=pool))
    images = pixels()
    cut = patchify(images, 4)[:, torch.randperm(15)]
    moved = unpatchify(cut, (12, 20), 4)
    same = torch.allclose(model(images), model(moved), rtol=1e-9, atol=1e-9)
    assert same == (positions == "none")


@pytest.mark.parametrize("positions", POSITIONS)
def test_one_batch_overfits(positions) -> None:
    model = VisionTransformer(replace(CONFIG, positions=positions, pool="cls", stochastic_depth=0.1))
    images, labels = pixels(batch=4).float(), torch.tensor([0, 3, 1, 4])
    first = nn.functional.cross_entropy(model(images), labels)
    assert first.item() == pytest.approx(math.log(5), abs=1e-6)
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(images), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert nn.functional.cross_entropy(model.eval()(images), labels) < 0.05


def test_stochastic_depth_rises_from_the_first_block_to_the_last() -> None:
    model = VisionTransformer(replace(CONFIG, layers=4, stochastic_depth=0.3))
    rates = [getattr(block.stochastic_depth, "rate", 0.0) for block in model.blocks]
    assert rates == pytest.approx([0.0, 0.1, 0.2, 0.3])
    model = VisionTransformer(CONFIG)
    assert not any(isinstance(module, StochasticDepth) for module in model.modules())


def test_stochastic_depth_acts_in_training_alone() -> None:
    model, still = randomised(replace(CONFIG, stochastic_depth=0.5)), randomised(CONFIG)
    still.load_state_dict(model.state_dict())
    images = pixels(batch=16)
    assert torch.equal(model(images), still(images))
    assert not torch.equal(model.train()(images), still(images))


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_for_image_size_is_a_model_of_its_own(positions, pool) -> None:
    model = randomised(replace(CONFIG, positions=positions, pool=pool))
    images, other_images = pixels(), pixels(replace(CONFIG, height=16, width=8))
    before = model(images)
    assert_same(model.for_image_size(12, 20)(images), before)
    other = model.for_image_size(16, 8)
    assert other.config == replace(model.config, height=16, width=8)
    assert not other.training
    fresh = VisionTransformer(other.config).double()
    fresh.load_state_dict(other.state_dict())  # the sizes are those of a model built so
    assert_same(other(other_images), fresh(other_images))
    with torch.no_grad():
        for parameter in other.parameters():
            parameter.zero_()
    assert torch.equal(model(images), before)


@pytest.mark.parametrize("positions", POSITIONS)
@pytest.mark.parametrize("pool", ["mean", "cls"])
def test_two_sizes_learn_by_one_set_of_weights(positions, pool) -> None:
    model = randomised(replace(CONFIG, positions=positions, pool=pool))
    images, smaller_images = pixels(), pixels(replace(CONFIG, height=8, width=16))
    both, parameters = InTwoSizes(model, 8, 16), list(model.parameters())
    assert [id(each) for each in both.parameters()] == [id(each) for each in parameters]
    assert_same(both(images), model(images))
    for _ in range(2):
        assert_same(both(smaller_images), model.for_image_size(8, 16)(smaller_images))
        with torch.no_grad():
            for parameter in parameters:
                parameter.mul_(1.1)
    both(smaller_images).square().sum().backward()
    assert all(each.grad is not None and each.grad.any() for each in parameters)
    with pytest.raises(ValueError, match="images of 16 x 8 pixels do not fit a model built for 12 x 20"):
        both(pixels(replace(CONFIG, height=16, width=8)))


def test_another_size_is_refused() -> None:
    model = VisionTransformer(CONFIG)
    message = r"images of 16 x 8 pixels do not fit a model built for 12 x 20; .*model.for_image_size\(16, 8\)"
    with pytest.raises(ValueError, match=message):
        model(torch.zeros(1, 2, 16, 8))
    with pytest.raises(ValueError, match="images of 3 channels do not fit a model built for 2"):
        model(torch.zeros(1, 3, 12, 20))
    with pytest.raises(UsageError, match="patch=4 does not divide an image of 14 x 20 pixels"):
        model.for_image_size(14, 20)


@pytest.mark.parametrize("positions", POSITIONS)
def test_residual_stream_is_half_as_wide_under_autocast(positions) -> None:
    model = VisionTransformer(replace(CONFIG, positions=positions, pool="cls"))
    seen = []
    for block in model.blocks:
        block.register_forward_hook(lambda _, inputs, y: seen.extend((inputs[0].dtype, y.dtype)))
    with torch.autocast("cpu", torch.bfloat16):
        assert model(pixels().float()).isfinite().all()
    assert set(seen) == {torch.bfloat16}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"heads": 5}, r"heads=5 does not divide d_model=36; choose one of 1, 2, 3, 4, 6, 9, 12, 18, 36$"),
        (
            {"heads": 50, "d_model": 768},
            r"; choose one of 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96 or another divisor$",
        ),
        ({"layers": 0}, r"layers=0 is not a size"),
        ({"patch": 0}, r"patch=0 is not a size"),
        ({"embedding_dropout": 1.0}, r"embedding_dropout=1.0 is not a probability below 1"),
        ({"stochastic_depth": -0.1}, r"stochastic_depth=-0.1 is not a probability"),
        ({"stochastic_depth": 0.1, "layers": 1}, r"stochastic_depth=0.1 rises from 0 .*choose layers=2"),
        ({"positions": "rotary", "heads": 2}, r"d_model/heads = 18 is not a mult.*choose d_model=32 or 40,"),
        ({"positions": "sinusoidal", "d_model": 30}, r"d_model=30 is not a mult.*choose d_model=24 or 36,"),
        (
            {"patch": 5},
            r"patch=5 does not divide an image of 12 x 20 pixels; choose a patch of 1, 2, 4, or images of "
            r"10 x 20 or 15 x 20 pixels$",
        ),
        ({"patch": 16}, r"patch=16 does not divide .*images of 16 x 32 pixels$"),
        (
            {"height": 15, "width": 14},
            r"a patch of 1, or images of 12 x 12 or 16 x 16 pixels$",
        ),
    ],
)
def test_sizes_are_checked(change, message) -> None:
    with pytest.raises(UsageError, match=message):
        replace(CONFIG, **change)


def test_unknown_image_sizes_are_checked_later() -> None:
    assert VisionTransformerConfig(patch=7).height == 0
