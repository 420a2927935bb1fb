"""What a training run is made of, as frozen dataclasses: the options of `glassformer train TASK`. No torch.

`TrainConfig` is generic in its model and data parts, so that one command line serves every task and model:
`TrainConfig[TextClassifierConfig, ImdbData]`.
"""

from dataclasses import dataclass, field
from typing import Annotated, Generic, Literal, TypeVar

from glassformer.errors import UsageError
from glassformer.models.configs import require_fraction, require_positive
from glassformer.options import unset

Model = TypeVar("Model")
Data = TypeVar("Data")


@dataclass(frozen=True)
class OptimConfig:
    """The optimiser and its schedule."""

    name: Literal["adamw", "muon"] = "adamw"
    """adamw, or muon for the matrices of the blocks with adamw for all else (Jordan et al. 2024)."""
    learning_rate: float = 1e-3
    """Peak learning rate of AdamW."""
    muon_learning_rate: float = 0.02
    """Peak learning rate of Muon, where it is chosen."""
    weight_decay: float = 0.01
    """Decoupled weight decay of matrices (biases and norms have none)."""
    embedding_weight_decay: float = 0.01
    """Decoupled weight decay of the token embedding."""
    betas: tuple[float, float] = (0.9, 0.98)
    """AdamW's decay rates of the first and second moment."""
    warmup: float = 0.1
    """Share of all steps in which the rate rises linearly to its peak."""
    decay: Literal["linear", "cosine", "one-cycle", "constant"] = "linear"
    """How the rate falls after the warm-up, to zero at the last step; one-cycle also rises in a cosine."""
    clip: float = 1.0
    """Gradients are scaled down to this global norm; 0 leaves them."""
    label_smoothing: float = 0.0
    """Share of the target's probability spread over all classes."""
    layer_decay: float = 1.0
    """Learning rate of a block as a share of that of the next above (Howard & Ruder 2018); 1: all alike."""

    @property
    def peak(self) -> float:
        """The peak learning rate of the optimiser that `name` names; Muon leaves AdamW its own."""
        return self.muon_learning_rate if self.name == "muon" else self.learning_rate

    def __post_init__(self) -> None:
        if self.learning_rate <= 0:
            raise UsageError(f"learning_rate={self.learning_rate} is not positive; try 1e-3")
        if self.muon_learning_rate <= 0:
            raise UsageError(f"muon_learning_rate={self.muon_learning_rate} is not positive; try 0.02")
        if self.weight_decay < 0 or self.embedding_weight_decay < 0:
            raise UsageError("weight_decay and embedding_weight_decay cannot be negative; choose 0 or more")
        if not 0 < self.layer_decay <= 1:
            raise UsageError(f"layer_decay={self.layer_decay} is out of range; choose 0 < layer_decay <= 1")
        if self.layer_decay < 1 and self.name == "muon":
            raise UsageError("layer_decay is for adamw; leave it out with optim.name=muon")
        if self.clip < 0:
            raise UsageError(f"clip={self.clip} is negative; choose 0 (no clipping) or more")
        require_fraction(self, "warmup", "label_smoothing")
        if not all(0 <= beta < 1 for beta in self.betas):
            raise UsageError(
                f"betas={self.betas} are not decay rates; choose 0 <= beta < 1, such as 0.9 0.98"
            )


@dataclass(frozen=True)
class FitConfig:
    """How long and in what batches the model is trained."""

    epochs: int = 4
    """Passes over the training examples at most."""
    batch_size: int = 32
    """Examples a step."""
    patience: int = 0
    """Stop after this many epochs without a better validation accuracy; 0 runs all epochs."""
    stop_above: float = 0.0
    """Stop once validation accuracy passes this share; 0 runs all epochs."""
    average: float = 0.0
    """Decay a step of the exponential moving average of the weights; 0 trains without one."""
    compile: bool = False
    """Train through torch.compile: a minute at the start, then faster steps. For long runs on a GPU."""

    def __post_init__(self) -> None:
        require_positive(self, "epochs", "batch_size")
        require_fraction(self, "stop_above", "average")
        if self.patience < 0:
            raise UsageError(f"patience={self.patience} is negative; choose 0 (never stop early) or more")


@dataclass(frozen=True)
class MachineConfig:
    """What the computation runs on."""

    device: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Where to compute; auto takes a GPU if there is one."""
    precision: Literal["auto", "fp32", "bf16"] = "auto"
    """Number format of the products; auto measures whether bf16 is the faster one here."""
    threads: int = 0
    """CPU threads; 0 takes every core this process may use."""

    def __post_init__(self) -> None:
        if self.threads < 0:
            raise UsageError(f"threads={self.threads} is negative; choose 0 (all cores) or more")


@dataclass(frozen=True, kw_only=True)
class TrainConfig(MachineConfig, Generic[Model, Data]):
    """Everything that is needed to repeat a run."""

    model: Model
    data: Data
    optim: OptimConfig = field(default_factory=OptimConfig)
    fit: FitConfig = field(default_factory=FitConfig)
    seed: int = 0
    """Seed of the split, the initial weights, the batches and the dropout."""
    data_dir: Annotated[str | None, unset("DIR", "default: GLASSFORMER_DATA, else the hub")] = None
    """Folder with local copies of the public data sets (DIR/imdb/train.parquet, test.parquet and so on)."""
    baselines: bool = True
    """Fit the cheap rivals on the same split and print them beside the model."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed={self.seed} is out of range; choose 0 to {2**32 - 1}")
