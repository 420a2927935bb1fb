"""The frozen dataclass of each model. No torch here, so that `--help` stays fast.

The fields in FACTS are facts about the data, hidden from the command line: the task fills them in with
`dataclasses.replace` before the model is built.
"""

import math
from dataclasses import dataclass
from typing import Literal, get_type_hints

from tyro.conf import Suppress

from glassformer.errors import UsageError

FACTS = ("vocab", "classes", "max_tokens", "max_targets", "channels", "height", "width", "tokenizer_folder")

DIVISORS_TOLD = 12
"""Numbers of heads that a refusal names at most, the nearest to the one refused."""

Positions = Literal["none", "sinusoidal", "learned", "rotary", "alibi"]
PatchPositions = Literal["none", "learned", "sinusoidal", "rotary"]
Pool = Literal["mean", "cls", "max"]


def hidden_fields(kind: type) -> set[str]:
    """Fields of a configuration that no option sets: facts of the data, or of a published model."""
    hints = get_type_hints(kind, include_extras=True)
    return {name for name, hint in hints.items() if Suppress in getattr(hint, "__metadata__", ())}


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


def require_share(config: object, *fields: str) -> None:
    """Raises UsageError for the first of these fields that leaves nothing on one side of a split."""
    for field in fields:
        value = getattr(config, field)
        if not 0 < value < 1:
            raise UsageError(f"{field}={value} leaves a split empty; choose 0.05 to 0.5")


def require_heads(heads: int, d_model: int) -> None:
    """Raises UsageError where the heads cannot share d_model evenly."""
    choices = _divisors(d_model)
    if heads not in choices:
        nearest = sorted(sorted(choices, key=lambda each: abs(each - heads))[:DIVISORS_TOLD])
        more = " or another divisor" if len(nearest) < len(choices) else ""
        raise UsageError(
            f"heads={heads} does not divide d_model={d_model}; "
            f"choose one of {', '.join(map(str, nearest))}{more}"
        )


def require_pairs(positions: str, heads: int, d_model: int) -> None:
    """Raises UsageError where rotary positions find a feature without a partner."""
    if positions == "rotary" and (d_model // heads) % 2:
        raise UsageError(
            f"positions=rotary turns pairs of features, but d_model/heads = {d_model // heads} "
            f"is odd; choose other sizes or positions=alibi"
        )


def _divisors(size: int) -> list[int]:
    return [n for n in range(1, size + 1) if size % n == 0]


@dataclass(frozen=True)
class TextClassifierConfig:
    """A transformer encoder, pooled to one vector, and a linear classifier."""

    name: Literal["transformer"] = "transformer"
    """Which model: transformer; recurrent, the rival (`--model.name recurrent --help` has its options); or
    pretrained, a published one (`--model.pretrained FOLDER --help`, of imdb and text)."""
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
        require_heads(self.heads, self.d_model)
        require_pairs(self.positions, self.heads, self.d_model)


@dataclass(frozen=True)
class EncoderDecoderConfig:
    """An encoder over the source, and a decoder that writes the target a token at a time."""

    name: Literal["encoder-decoder"] = "encoder-decoder"
    """Which model: encoder-decoder."""
    encoder_layers: int = 2
    """Number of encoder blocks."""
    decoder_layers: int = 2
    """Number of decoder blocks."""
    heads: int = 4
    """Attention heads a block; divides d_model."""
    d_model: int = 64
    """Width of a token's vector, in features."""
    d_ff: int = 128
    """Width of the feed-forward layers, in features."""
    positions: Positions = "sinusoidal"
    """How order enters: none, sinusoidal (Vaswani 2017), learned, rotary (Su 2021), alibi (Press 2022)."""
    embeddings: Literal["shared", "separate"] = "shared"
    """One embedding for source and target, or one each."""
    tie_output: bool = True
    """Predict the next token by the target's embedding (Press & Wolf 2017), or by a matrix of its own."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each sub-layer, or after its residual."""
    activation: Literal["relu", "gelu"] = "relu"
    """Non-linearity of the feed-forward layers."""
    attention: Literal["explicit", "tiled", "fused"] = "explicit"
    """The attention function: written out, tiled with an online softmax, PyTorch's kernel. Equal results."""
    dropout: float = 0.0
    """Dropout after each sub-layer and on the embedded tokens, a probability."""
    vocab: Suppress[int] = 0
    max_tokens: Suppress[int] = 0
    max_targets: Suppress[int] = 0

    def __post_init__(self) -> None:
        require_positive(self, "encoder_layers", "decoder_layers", "heads", "d_model", "d_ff")
        require_fraction(self, "dropout")
        require_heads(self.heads, self.d_model)
        require_pairs(self.positions, self.heads, self.d_model)


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


@dataclass(frozen=True)
class VisionTransformerConfig:
    """A transformer encoder over the patches of an image, pooled to one vector, and a linear classifier."""

    name: Literal["vit"] = "vit"
    """Which model: vit, the vision transformer; or, of the task images, pretrained, a published one
    (`--model.pretrained FOLDER --help`)."""
    layers: int = 6
    """Number of encoder blocks."""
    heads: int = 3
    """Attention heads a block; divides d_model."""
    d_model: int = 192
    """Width of a patch's vector, in features."""
    d_ff: int = 768
    """Width of the feed-forward layer, in features."""
    patch: int = 4
    """Side of a patch, in pixels; divides the image's height and width."""
    positions: PatchPositions = "learned"
    """How places enter: none, learned (Dosovitskiy 2021), sinusoidal by row and column, rotary (Heo 2024)."""
    pool: Pool = "mean"
    """How patches become one vector: mean or max over them, or a CLS token put before them."""
    norm: Literal["pre", "post"] = "pre"
    """Layer norm before each sub-layer, or after its residual."""
    activation: Literal["relu", "gelu"] = "gelu"
    """Non-linearity of the feed-forward layer."""
    attention: Literal["explicit", "tiled", "fused"] = "explicit"
    """The attention function: written out, tiled with an online softmax, PyTorch's kernel. Equal results."""
    dropout: float = 0.0
    """Dropout after each sub-layer, a probability."""
    embedding_dropout: float = 0.0
    """Dropout on the embedded patches, a probability."""
    stochastic_depth: float = 0.0
    """Probability that an image skips a sub-layer of the last block; falls linearly to 0 at the first."""
    eps: Suppress[float] = 1e-5
    channels: Suppress[int] = 0
    height: Suppress[int] = 0
    width: Suppress[int] = 0
    classes: Suppress[int] = 0

    def __post_init__(self) -> None:
        require_positive(self, "layers", "heads", "d_model", "d_ff", "patch")
        require_fraction(self, "dropout", "embedding_dropout", "stochastic_depth")
        require_heads(self.heads, self.d_model)
        if self.stochastic_depth and self.layers == 1:
            raise UsageError(
                f"stochastic_depth={self.stochastic_depth} rises from 0 at the first block, so layers=1 "
                f"never skips; choose layers=2 or more, or stochastic_depth=0"
            )
        d_head = self.d_model // self.heads
        if self.positions == "rotary" and d_head % 4:
            raise UsageError(
                f"positions=rotary turns pairs of features by the row and by the column, but "
                f"d_model/heads = {d_head} is not a multiple of 4; choose "
                f"{_multiples('d_model', self.d_model, 4 * self.heads)}, or positions=learned"
            )
        if self.positions == "sinusoidal" and self.d_model % 4:
            raise UsageError(
                f"positions=sinusoidal has a sine and a cosine for the row and for the column, but "
                f"d_model={self.d_model} is not a multiple of 4; choose "
                f"{_multiples('d_model', self.d_model, math.lcm(4, self.heads))}, or positions=learned"
            )
        if self.height and self.width:
            require_whole_patches(self.patch, self.height, self.width)


def require_whole_patches(patch: int, height: int, width: int, *, fixed: bool = False) -> None:
    """Refuses a patch that does not divide the image; fixed: the patch cannot be chosen, the image can."""
    if height % patch or width % patch:
        sizes = (height, width)
        below = " x ".join(str(n // patch * patch) for n in sizes)
        above = " x ".join(str(-(-n // patch) * patch) for n in sizes)
        nearest = above if patch > min(sizes) else f"{below} or {above}"
        other = "" if fixed else f"a patch of {', '.join(map(str, _divisors(math.gcd(*sizes))))}, or "
        raise UsageError(
            f"patch={patch} does not divide an image of {height} x {width} pixels; "
            f"choose {other}images of {nearest} pixels"
        )


def _multiples(name: str, size: int, of: int) -> str:
    """The nearest sizes that work."""
    below = size // of * of
    return f"{name}={below} or {below + of}" if below else f"{name}={of}"
