"""A vision transformer in the terms of transformers' ViTForImageClassification."""

from typing import Any

from torch import Tensor

from glassformer.errors import UsageError
from glassformer.models.vision_transformer import VisionTransformer

NEEDED = {
    "pool": ("cls", "transformers' ViT reads the CLS token"),
    "positions": ("learned", "transformers' ViT has learned positions"),
    "norm": ("pre", "transformers' ViT has its norms before the sub-layers"),
}
"""Option -> the only value that has a counterpart, and why."""

BICUBIC = 3
"""Pillow's number of the interpolation that Glassformer decodes with."""


def vit_form(
    model: VisionTransformer,
) -> tuple[str, dict[str, Any], dict[str, Tensor], dict[str, dict[str, Any]]]:
    """Architecture, config, weights under the names that checkpoints have, preprocessor_config.json.

    Raises UsageError for options without a counterpart.
    """
    config = model.config
    for option, (value, reason) in NEEDED.items():
        if (given := getattr(config, option)) != value:
            raise UsageError(
                f"{option}={given}: {reason}; export it with --format onnx, or train with "
                f"--model.{option} {value}"
            )
    facts = {
        "model_type": "vit",
        "hidden_size": config.d_model,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.d_ff,
        "hidden_act": config.activation,
        "hidden_dropout_prob": 0.0,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": model.norm.eps,  # pyrefly: ignore[missing-attribute]
        "image_size": [config.height, config.width],
        "patch_size": config.patch,
        "num_channels": config.channels,
        "qkv_bias": True,
    }
    half = [0.5] * config.channels
    preprocessor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": config.height, "width": config.width},
        "resample": BICUBIC,
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": half,
        "image_std": half,
    }
    more = {"preprocessor_config.json": preprocessor}
    return "ViTForImageClassification", facts, vit_weights(model), more


def vit_weights(model: VisionTransformer) -> dict[str, Tensor]:
    """Name in a checkpoint -> weights."""
    config, state = model.config, model.state_dict()
    kernel = state["embed.projection.weight"].unflatten(1, (config.channels, config.patch, config.patch))
    found = {
        "vit.embeddings.cls_token": state["cls"][None, None],
        "vit.embeddings.position_embeddings": state["positions.embedding.weight"][None],
        "vit.embeddings.patch_embeddings.projection.weight": kernel,
        "vit.embeddings.patch_embeddings.projection.bias": state["embed.projection.bias"],
    }
    modules = {"norm": "vit.layernorm", "head": "classifier"}
    for layer in range(config.layers):
        ours, theirs = f"blocks.{layer}", f"vit.encoder.layer.{layer}"
        for kind in ("weight", "bias"):
            parts = state[f"{ours}.attention.qkv.{kind}"].chunk(3)
            for name, part in zip(("query", "key", "value"), parts, strict=True):
                found[f"{theirs}.attention.attention.{name}.{kind}"] = part
        modules |= {
            f"{ours}.attention.output": f"{theirs}.attention.output.dense",
            f"{ours}.attention_norm": f"{theirs}.layernorm_before",
            f"{ours}.feed_forward_norm": f"{theirs}.layernorm_after",
            f"{ours}.feed_forward.expand": f"{theirs}.intermediate.dense",
            f"{ours}.feed_forward.contract": f"{theirs}.output.dense",
        }
    for ours, theirs in modules.items():
        found |= {f"{theirs}.{kind}": state[f"{ours}.{kind}"] for kind in ("weight", "bias")}
    return found
