"""The published architectures that run in Glassformer's parts, and how their config.json is read. No torch.

What stands where in their files is in `glassformer.pretrained.tables`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from glassformer.errors import DataError, nearest
from glassformer.models.encoder_config import EncoderShape
from glassformer.models.vision_config import VisionShape

Head = Literal["none", "classifier", "masked-lm", "causal-lm"]
Shape = EncoderShape | VisionShape

ACTIVATIONS = {
    "relu": "relu",
    "gelu": "gelu",
    "gelu_python": "gelu",
    "gelu_new": "gelu_tanh",
    "gelu_pytorch_tanh": "gelu_tanh",
    "gelu_fast": "gelu_tanh",
}
"""What config.json calls an activation -> what the models call it."""

HEADS: dict[str, Head] = {
    "Model": "none",
    "ForSequenceClassification": "classifier",
    "ForImageClassification": "classifier",
    "ForMaskedLM": "masked-lm",
    "ForPreTraining": "masked-lm",
    "LMHeadModel": "causal-lm",
}
"""How the class that config.json names ends -> what stands on the encoder."""


@dataclass(frozen=True)
class Architecture:
    """title: for people. word: what its classes are called in transformers. shape: config.json -> sizes.

    heads: what may stand on its encoder. head: the form that its published classifiers have.
    """

    title: str
    word: str
    shape: Callable[["Fields"], Shape]
    heads: tuple[Head, ...]
    head: Literal["linear", "tanh", "relu"] = "linear"


class Fields:
    """The fields of a config.json, each asked for with what it has to be."""

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.config = config

    def size(self, name: str, default: int | None = None) -> int:
        """A size, 1 or more."""
        value = self.config.get(name, default)
        if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value < 2**31:
            raise DataError(f"config.json says {name}={value!r}, which is no size; it is not whole")
        return value

    def pair(self, name: str) -> tuple[int, int]:
        """(height, width): two sizes, or one for both."""
        value = self.config.get(name)
        if not isinstance(value, list):
            return self.size(name), self.size(name)
        if len(value) != 2:
            raise DataError(f"config.json says {name}={value!r}, which is no height and width")
        height, width = (Fields({name: each}).size(name) for each in value)
        return height, width

    def number(self, name: str, default: float) -> float:
        """A number between 0 and 1."""
        value = self.config.get(name, default)
        if not isinstance(value, int | float) or not 0 < value < 1:
            raise DataError(f"config.json says {name}={value!r}, which is no number between 0 and 1")
        return float(value)

    def activation(self, name: str) -> Any:
        """An activation that the feed-forward layers have."""
        value = self.config.get(name, "gelu")
        if not isinstance(value, str) or value not in ACTIVATIONS:
            raise DataError(f"config.json says {name}={value!r}; {nearest(str(value), list(ACTIVATIONS))}")
        return ACTIVATIONS[value]

    def require(self, name: str, wanted: Any, what: str) -> None:
        """Raises DataError where a field is there and says otherwise."""
        if (value := self.config.get(name, wanted)) != wanted:
            raise DataError(f"config.json says {name}={value!r}: {what} do not run here; known is {wanted!r}")


def _bert(config: Fields, first_position: int = 0) -> EncoderShape:
    config.require("position_embedding_type", "absolute", "other positions")
    config.require("is_decoder", False, "decoders")
    return EncoderShape(
        layers=config.size("num_hidden_layers"),
        heads=config.size("num_attention_heads"),
        d_model=config.size("hidden_size"),
        d_ff=config.size("intermediate_size"),
        vocab=config.size("vocab_size"),
        max_tokens=config.size("max_position_embeddings") - first_position,
        token_types=config.size("type_vocab_size", 2),
        first_position=first_position,
        activation=config.activation("hidden_act"),
        eps=config.number("layer_norm_eps", 1e-12),
    )


def _roberta(config: Fields) -> EncoderShape:
    # places are counted from the number of the padding token on
    padding = config.config.get("pad_token_id", 1)
    most = config.size("max_position_embeddings")
    if not isinstance(padding, int) or isinstance(padding, bool) or not 0 <= padding < most - 1:
        raise DataError(f"config.json says pad_token_id={padding!r}, from which places cannot be counted")
    return _bert(config, padding + 1)


def _distilbert(config: Fields) -> EncoderShape:
    return EncoderShape(
        layers=config.size("n_layers"),
        heads=config.size("n_heads"),
        d_model=config.size("dim"),
        d_ff=config.size("hidden_dim"),
        vocab=config.size("vocab_size"),
        max_tokens=config.size("max_position_embeddings"),
        activation=config.activation("activation"),
    )


def _gpt2(config: Fields) -> EncoderShape:
    config.require("scale_attn_weights", True, "unscaled scores")
    config.require("scale_attn_by_inverse_layer_idx", False, "scores scaled by the layer")
    config.require("add_cross_attention", False, "decoders with an encoder")
    d_model = config.size("n_embd")
    return EncoderShape(
        layers=config.size("n_layer"),
        heads=config.size("n_head"),
        d_model=d_model,
        d_ff=4 * d_model if config.config.get("n_inner") is None else config.size("n_inner"),
        vocab=config.size("vocab_size"),
        max_tokens=config.size("n_positions"),
        norm="pre",
        embedding_norm=False,
        causal=True,
        activation=config.activation("activation_function"),
        eps=config.number("layer_norm_epsilon", 1e-5),
    )


def _vit(config: Fields) -> VisionShape:
    config.require("qkv_bias", True, "projections without biases")
    height, width = config.pair("image_size")
    return VisionShape(
        layers=config.size("num_hidden_layers"),
        heads=config.size("num_attention_heads"),
        d_model=config.size("hidden_size"),
        d_ff=config.size("intermediate_size"),
        patch=config.size("patch_size"),
        channels=config.size("num_channels", 3),
        height=height,
        width=width,
        activation=config.activation("hidden_act"),
        eps=config.number("layer_norm_eps", 1e-12),
    )


MASKED: tuple[Head, ...] = ("none", "classifier", "masked-lm")
ARCHITECTURES = {
    "bert": Architecture(
        "BERT (Devlin et al. 2019), MiniLM and others of its shape", "Bert", _bert, MASKED, "tanh"
    ),
    "distilbert": Architecture("DistilBERT (Sanh et al. 2019)", "DistilBert", _distilbert, MASKED, "relu"),
    "roberta": Architecture("RoBERTa (Liu et al. 2019)", "Roberta", _roberta, MASKED, "tanh"),
    "gpt2": Architecture("GPT-2 (Radford et al. 2019)", "GPT2", _gpt2, ("none", "causal-lm")),
    "vit": Architecture("ViT (Dosovitskiy et al. 2021)", "ViT", _vit, ("none", "classifier")),
}
"""model_type in config.json -> the architecture."""


def architecture_of(config: Mapping[str, Any]) -> str:
    """Its name in ARCHITECTURES. Raises DataError for one that is not there."""
    name = config.get("model_type")
    if not isinstance(name, str) or name not in ARCHITECTURES:
        raise DataError(
            f"config.json says model_type={name!r}, an architecture that does not run here; those that do: "
            f"{', '.join(ARCHITECTURES)}"
        )
    return name


def head_of(config: Mapping[str, Any]) -> Head:
    """What stands on the encoder, by the class that config.json names. Raises DataError for another."""
    known = ARCHITECTURES[architecture_of(config)]
    named = config.get("architectures") or [f"{known.word}Model"]
    name = named[0] if isinstance(named, list) else named
    running = {f"{known.word}{ending}": head for ending, head in HEADS.items() if head in known.heads}
    if not isinstance(name, str) or name not in running:
        raise DataError(
            f"config.json says architectures={named!r}; those that run here: {', '.join(running)}"
        )
    return running[name]


def shape_of(config: Mapping[str, Any]) -> Shape:
    """The sizes that config.json gives. Raises DataError where one is missing, or not to be had here."""
    if config.get("quantization_config"):
        raise DataError(
            "config.json has a quantization_config: the weights are no plain numbers; take others"
        )
    shape = ARCHITECTURES[architecture_of(config)].shape(Fields(config))
    if shape.d_model % shape.heads:
        raise DataError(f"config.json has {shape.heads} heads, which do not share d_model={shape.d_model}")
    return shape
