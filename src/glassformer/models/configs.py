"""The frozen dataclass of each model. No torch here, so that `--help` stays fast.

The fields in FACTS are facts about the data, hidden from the command line: the task fills them in with
`dataclasses.replace` before the model is built.
"""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Suppress

from glassformer.errors import UsageError

FACTS = ("vocab", "classes", "max_tokens")

Positions = Literal["none", "sinusoidal", "learned", "rotary", "alibi"]
Pool = Literal["mean", "cls", "max"]


def require_positive(config: object, *fields: str) -> None:
    """Raises UsageError for the first of these fields that is not at least 1."""
    for field in fields:
        value = getattr(config, field)
        if value < 1:
            raise UsageError(f"{field}={value} is not a size; choose 1 or more")


def require_fraction(config: object, *fields: str) -> None:
    """Raises UsageError for the first of these fields that is not in [0, 1)."""
    for field in fields:
        value = getattr(config, field)
        if not 0 <= value < 1:
            raise UsageError(f"{field}={value} is not a probability below 1; choose 0 <= {field} < 1")


@dataclass(frozen=True)
class TextClassifierConfig:
    """A transformer encoder, pooled to one vector, and a linear classifier."""

    name: Literal["transformer"] = "transformer"
    """Which model: transformer or recurrent, the rival (`--model.name recurrent --help` has its options)."""
    layers: int = 2
    """Number of encoder blocks."""
    heads: int = 4
    """Attention heads a block; divides d_model."""
    d_model: int = 128
    """Width of a token's vector, in features."""
    d_ff: int = 512
    """Width of the feed-forward layer, in features."""
    positions: Positions = "sinusoidal"
    """How order enters: none, sinusoidal (Vaswani 2017), learned, rotary (Su 2021), alibi (Press 2022)."""
    pool: Pool = "mean"
    """How tokens become one vector: mean or max over the real tokens, or a CLS token put before them."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each sub-layer, or after its residual."""
    activation: Literal["relu", "gelu"] = "gelu"
    """Non-linearity of the feed-forward layer."""
    attention: Literal["explicit", "tiled", "fused"] = "explicit"
    """The attention function: written out, tiled with an online softmax, PyTorch's kernel. Equal results."""
    dropout: float = 0.0
    """Dropout after each sub-layer, a probability."""
    embedding_dropout: float = 0.0
    """Dropout on the embedded tokens, a probability."""
    embedding_std: float = 0.1
    """Standard deviation of the embedding's initial weights."""
    vocab: Suppress[int] = 0
    classes: Suppress[int] = 0
    max_tokens: Suppress[int] = 0

    def __post_init__(self) -> None:
        require_positive(self, "layers", "heads", "d_model", "d_ff")
        require_fraction(self, "dropout", "embedding_dropout")
        if self.embedding_std <= 0:
            raise UsageError(f"embedding_std={self.embedding_std} is not positive; choose 0.02 to 1")
        divisors = [h for h in range(1, self.d_model + 1) if self.d_model % h == 0]
        if self.heads not in divisors:
            raise UsageError(
                f"heads={self.heads} does not divide d_model={self.d_model}; "
                f"choose one of {', '.join(map(str, divisors))}"
            )
        if self.positions == "rotary" and (self.d_model // self.heads) % 2:
            raise UsageError(
                f"positions=rotary turns pairs of features, but d_model/heads = {self.d_model // self.heads} "
                f"is odd; choose other sizes or positions=alibi"
            )


@dataclass(frozen=True)
class RecurrentClassifierConfig:
    """The rival: a recurrent network over the tokens, pooled in the same ways, and a linear classifier."""

    name: Literal["recurrent"] = "recurrent"
    """Which model: recurrent or transformer."""
    cell: Literal["lstm", "gru"] = "gru"
    """Recurrent cell."""
    layers: int = 1
    """Number of stacked recurrent layers."""
    d_model: int = 64
    """Width of a token's embedding, in features."""
    d_hidden: int = 64
    """Width of the recurrent state in one direction, in features."""
    bidirectional: bool = True
    """Read the tokens in both directions."""
    pool: Literal["mean", "last", "max"] = "mean"
    """How states become one vector: mean or max over the real tokens, or the last state of each direction."""
    dropout: float = 0.0
    """Dropout between layers and before the classifier, a probability."""
    embedding_dropout: float = 0.0
    """Dropout on the embedded tokens, a probability."""
    embedding_std: float = 0.1
    """Standard deviation of the embedding's initial weights."""
    vocab: Suppress[int] = 0
    classes: Suppress[int] = 0

    def __post_init__(self) -> None:
        require_positive(self, "layers", "d_model", "d_hidden")
        require_fraction(self, "dropout", "embedding_dropout")
        if self.embedding_std <= 0:
            raise UsageError(f"embedding_std={self.embedding_std} is not positive; choose 0.02 to 1")
