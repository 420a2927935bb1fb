"""A model in transformers' terms: class, config.json, and weights under the names of checkpoints."""

from dataclasses import dataclass, field
from typing import Any

from torch import Tensor, nn

from glassformer.errors import UsageError
from glassformer.export.graph import EXPORTABLE
from glassformer.models.encoder import EncoderClassifier
from glassformer.models.encoder_config import PretrainedClassifierConfig
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.pretrained.architectures import ARCHITECTURES
from glassformer.pretrained.mapping import written
from glassformer.pretrained.tables import LAYOUTS

ACTIVATIONS = {"relu": "relu", "gelu": "gelu", "gelu_tanh": "gelu_new"}
"""What the models call an activation -> what config.json calls it."""

VIT_HAS = {
    "pool": ("cls", "reads the CLS token"),
    "positions": ("learned", "has learned positions"),
    "norm": ("pre", "has its norms before the sub-layers"),
}
"""Option -> the only value that has a counterpart, and why."""

BICUBIC = 3
"""Pillow's number of the interpolation that Glassformer decodes with."""


@dataclass(frozen=True)
class HubForm:
    """A model as transformers has it.

    architecture: its class. config: what config.json says, but for the names of the classes. longest: tokens
    of the longest text. first_position: what places are counted from. more: other files, as JSON.
    """

    architecture: str
    config: dict[str, Any]
    weights: dict[str, Tensor]
    longest: int | None = None
    first_position: int = 0
    more: dict[str, dict[str, Any]] = field(default_factory=dict)


def hub_form(model: nn.Module) -> HubForm:
    """The model in transformers' terms. Raises UsageError for one that it does not know."""
    if isinstance(model, VisionTransformer):
        return _vit(model)
    if isinstance(model, EncoderClassifier):
        return _encoder(model)
    onnx = "; export it with --format onnx" if isinstance(model, EXPORTABLE) else ""
    raise UsageError(f"transformers has no architecture of the form of {type(model).__name__}{onnx}")


def _vit(model: VisionTransformer) -> HubForm:
    config = model.config
    for option, (value, reason) in VIT_HAS.items():
        _require(config, option, value, "ViT", reason)
    facts = {
        "model_type": "vit",
        "hidden_size": config.d_model,
        "num_hidden_layers": config.layers,
        "num_attention_heads": config.heads,
        "intermediate_size": config.d_ff,
        "hidden_act": ACTIVATIONS[config.activation],
        "hidden_dropout_prob": config.dropout,
        "attention_probs_dropout_prob": 0.0,
        "layer_norm_eps": config.eps,
        "image_size": config.height if config.height == config.width else [config.height, config.width],
        "patch_size": config.patch,
        "num_channels": config.channels,
        "qkv_bias": True,
    }
    weights = written(model, "vit", LAYOUTS["vit"].classifier)
    for name, shape in (
        ("cls_token", (1, 1, -1)),
        ("position_embeddings", (1, -1, config.d_model)),
        ("patch_embeddings.projection.weight", (-1, config.channels, config.patch, config.patch)),
    ):
        weights[f"vit.embeddings.{name}"] = weights[f"vit.embeddings.{name}"].reshape(shape)
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
    return HubForm("ViTForImageClassification", facts, weights, more=more)


def _encoder(model: EncoderClassifier) -> HubForm:
    config = model.config
    name = _architecture(config)
    architecture = ARCHITECTURES[name]
    theirs = f"{architecture.word}ForSequenceClassification"
    _require(config, "pool", "cls", theirs, "reads the first token")
    _require(config, "head", architecture.head, theirs, f"has a dense layer with {architecture.head}")
    dropout = config.dropout
    if name == "distilbert":
        facts = {
            "dim": config.d_model,
            "n_layers": config.layers,
            "n_heads": config.heads,
            "hidden_dim": config.d_ff,
            "activation": ACTIVATIONS[config.activation],
            "dropout": dropout,
            "seq_classif_dropout": dropout,
            "attention_dropout": 0.0,
        }
    else:
        facts = {
            "hidden_size": config.d_model,
            "num_hidden_layers": config.layers,
            "num_attention_heads": config.heads,
            "intermediate_size": config.d_ff,
            "hidden_act": ACTIVATIONS[config.activation],
            "hidden_dropout_prob": dropout,
            "classifier_dropout": dropout,
            "attention_probs_dropout_prob": 0.0,
            "type_vocab_size": config.token_types,
            "layer_norm_eps": config.eps,
        }
    if config.first_position:
        facts["pad_token_id"] = config.first_position - 1
    places = config.first_position + config.max_tokens
    facts |= {"model_type": name, "vocab_size": config.vocab, "max_position_embeddings": places}
    weights = written(model, name, LAYOUTS[name].classifier)
    return HubForm(theirs, facts, weights, config.max_tokens, config.first_position)


def _architecture(config: PretrainedClassifierConfig) -> str:
    """Its name in ARCHITECTURES, by what it is made of."""
    if config.norm != "post" or not config.embedding_norm or config.causal:
        raise UsageError(
            "transformers' classifiers on encoders have post-norm blocks, a norm on the embeddings and no "
            "causal mask, and this one has not; export it with --format onnx"
        )
    if config.first_position:
        return "roberta"
    if config.token_types:
        return "bert"
    if config.eps != 1e-12:
        raise UsageError(
            f"eps={config.eps:g}: transformers' DistilBERT has 1e-12; export it with --format onnx"
        )
    return "distilbert"


def _require(config: Any, option: str, value: str, theirs: str, reason: str) -> None:
    if (given := getattr(config, option)) != value:
        raise UsageError(
            f"{option}={given}: transformers' {theirs} {reason}; export it with --format onnx, or train with "
            f"--model.{option} {value}"
        )
