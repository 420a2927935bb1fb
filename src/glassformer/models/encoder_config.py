"""The frozen dataclasses of the encoders that published weights run in. No torch here."""

from dataclasses import dataclass, fields
from typing import Literal

from tyro.conf import Suppress

from glassformer.errors import UsageError
from glassformer.models.configs import require_fraction, require_heads, require_positive


def require_frozen(frozen: int, layers: int) -> None:
    """Raises UsageError for a number of frozen blocks that cannot be; layers: 0 where not yet known."""
    if frozen < -1:
        raise UsageError(f"frozen={frozen} is not a number of blocks; choose 0, 1, 2, ... or -1 for all")
    if layers and frozen > layers:
        raise UsageError(
            f"frozen={frozen} is more than the model's {layers} blocks; choose up to {layers}, or -1 for all"
        )


def require_start(start: str, frozen: int) -> None:
    """Raises UsageError where random weights would never learn."""
    if start == "random" and frozen:
        raise UsageError(
            f"frozen={frozen} keeps random weights as they are; choose frozen=0 with start=random"
        )


@dataclass(frozen=True)
class EncoderShape:
    """The sizes and the wiring of an encoder: facts of a checkpoint, not choices."""

    layers: Suppress[int] = 0
    heads: Suppress[int] = 0
    d_model: Suppress[int] = 0
    d_ff: Suppress[int] = 0
    vocab: Suppress[int] = 0
    max_tokens: Suppress[int] = 0
    token_types: Suppress[int] = 0
    first_position: Suppress[int] = 0
    norm: Suppress[Literal["pre", "post"]] = "post"
    embedding_norm: Suppress[bool] = True
    causal: Suppress[bool] = False
    activation: Suppress[Literal["relu", "gelu", "gelu_tanh"]] = "gelu"
    eps: Suppress[float] = 1e-12

    def require_whole(self) -> None:
        """Raises UsageError where a size is missing or does not fit, ValueError for what is no size."""
        for field in fields(EncoderShape):
            value, default = getattr(self, field.name), field.default
            if type(value) is not type(default):
                raise ValueError(f"{field.name}={value!r} is no {type(default).__name__}")
        if self.norm not in ("pre", "post") or self.activation not in ("relu", "gelu", "gelu_tanh"):
            raise ValueError(f"norm={self.norm!r} or activation={self.activation!r} is unknown")
        require_positive(self, "layers", "heads", "d_model", "d_ff", "vocab", "max_tokens")
        require_heads(self.heads, self.d_model)


@dataclass(frozen=True)
class EncoderConfig(EncoderShape):
    """An encoder, and how it is computed and trained."""

    attention: Literal["explicit", "tiled", "fused"] = "explicit"
    """The attention function: written out, tiled with an online softmax, PyTorch's kernel. Equal results."""
    dropout: float = 0.1
    """Dropout on the embedded tokens and after each sub-layer, a probability."""

    def __post_init__(self) -> None:
        require_fraction(self, "dropout")


@dataclass(frozen=True)
class MaskedLanguageModelConfig(EncoderConfig):
    """An encoder that guesses the tokens that were left out; its sizes are the user's choice."""

    name: Literal["masked-lm"] = "masked-lm"
    """Which model: masked-lm."""
    layers: int = 4
    """Number of encoder blocks."""
    heads: int = 4
    """Attention heads a block; divides d_model."""
    d_model: int = 256
    """Width of a token's vector, in features."""
    d_ff: int = 1024
    """Width of the feed-forward layer, in features."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each sub-layer, or after its residual, as in BERT."""
    activation: Literal["relu", "gelu", "gelu_tanh"] = "gelu"
    """Non-linearity of the feed-forward layer and of the head."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_positive(self, "layers", "heads", "d_model", "d_ff")
        require_heads(self.heads, self.d_model)


@dataclass(frozen=True)
class PretrainedClassifierConfig(EncoderConfig):
    """A published encoder, pooled to one vector, and a new classifier."""

    name: Literal["pretrained"] = "pretrained"
    """Which model: pretrained, chosen by `--model.pretrained` too."""
    pretrained: str = ""
    """FOLDER or hub NAME[@REVISION] of the published model, or a RUN of `glassformer pretrain`."""
    pool: Literal["mean", "cls", "max", "last"] = "mean"
    """How tokens become one vector: mean or max over the real tokens, the first or the last of them."""
    head: Literal["linear", "tanh", "relu"] = "linear"
    """The classifier: a linear map, or before it a dense layer with tanh (BERT's) or relu (DistilBERT's)."""
    start: Literal["published", "random"] = "published"
    """Begin with the published weights or, to see what they are worth, with random ones of that size."""
    frozen: int = 0
    """Lowest blocks, and with them the embeddings, that do not learn; -1 all of them."""
    unknown: Suppress[int] = 1
    tokenizer_folder: Suppress[str] = ""
    classes: Suppress[int] = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        require_start(self.start, self.frozen)
        require_frozen(self.frozen, self.layers)
