"""The frozen dataclasses of published vision transformers. No torch here."""

from dataclasses import dataclass
from typing import Literal

from tyro.conf import Suppress

from glassformer.models.configs import VisionTransformerConfig, require_fraction, require_whole_patches
from glassformer.models.encoder_config import require_frozen, require_start


@dataclass(frozen=True)
class VisionShape:
    """The sizes of a vision transformer: facts of a checkpoint, not choices."""

    layers: Suppress[int] = 0
    heads: Suppress[int] = 0
    d_model: Suppress[int] = 0
    d_ff: Suppress[int] = 0
    patch: Suppress[int] = 0
    activation: Suppress[Literal["relu", "gelu"]] = "gelu"
    eps: Suppress[float] = 1e-12
    channels: Suppress[int] = 0
    height: Suppress[int] = 0
    width: Suppress[int] = 0


@dataclass(frozen=True)
class PretrainedVisionConfig(VisionShape):
    """A published vision transformer with a new classifier."""

    name: Literal["pretrained"] = "pretrained"
    """Which model: pretrained, chosen by `--model.pretrained` too."""
    pretrained: str = ""
    """FOLDER or hub NAME[@REVISION] of the published model."""
    start: Literal["published", "random"] = "published"
    """Begin with the published weights or, to see what they are worth, with random ones of that size."""
    frozen: int = 0
    """Lowest blocks, and with them the embeddings, that do not learn; -1 all of them."""
    attention: Literal["explicit", "tiled", "fused"] = "explicit"
    """The attention function: written out, tiled with an online softmax, PyTorch's kernel. Equal results."""
    dropout: float = 0.0
    """Dropout after each sub-layer, a probability."""
    stochastic_depth: float = 0.0
    """Probability that an image skips a sub-layer of the last block; falls linearly to 0 at the first."""
    classes: Suppress[int] = 0

    def __post_init__(self) -> None:
        require_fraction(self, "dropout", "stochastic_depth")
        require_start(self.start, self.frozen)
        require_frozen(self.frozen, self.layers)
        if self.layers:
            require_whole_patches(self.patch, self.height, self.width, fixed=True)
            self.as_vit()  # which refuses sizes that do not fit

    def as_vit(self) -> VisionTransformerConfig:
        """The same as a vision transformer's own configuration."""
        return VisionTransformerConfig(
            layers=self.layers,
            heads=self.heads,
            d_model=self.d_model,
            d_ff=self.d_ff,
            patch=self.patch,
            positions="learned",
            pool="cls",
            activation=self.activation,
            attention=self.attention,
            dropout=self.dropout,
            stochastic_depth=self.stochastic_depth,
            eps=self.eps,
            channels=self.channels,
            height=self.height,
            width=self.width,
            classes=self.classes,
        )
