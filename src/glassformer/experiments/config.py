"""The options of the experiments, as frozen dataclasses. Light to import, so that --help answers at once."""

from dataclasses import dataclass
from typing import Annotated, Generic, Literal

from tyro.conf import UseAppendAction, arg

from glassformer.errors import UsageError
from glassformer.models.configs import Pool, Positions, require_positive
from glassformer.options import unset
from glassformer.tasks.config import Data


@dataclass(frozen=True, kw_only=True)
class BackpropConfig:
    """What is compared on what, and how the network is trained."""

    data: Annotated[str, arg(metavar="NAME|FILE")] = "digits-parity"
    """digits-parity, breast-cancer, or a FILE (.csv, .tsv, .jsonl, .parquet) of numbers, with --target."""
    target: Annotated[str | None, unset("COLUMN", "default: none")] = None
    """COLUMN of the label in that file: two classes, words or numbers. The other columns are the features."""
    ignore: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="COLUMN")] = ()
    """COLUMN that is no feature; may be given several times."""
    features: Annotated[
        tuple[str, str] | None, unset("COLUMN COLUMN", "default: those that correlate most with the label")
    ] = None
    """The two features of the decision regions."""
    balance: bool = False
    """Draw rows of the larger class until both are equally frequent, and leave out the others."""
    hidden: Annotated[int | None, unset("INT", "default: as many as features")] = None
    """Neurons of the hidden layer."""
    learning_rate: float = 0.5
    """Length of a step of gradient descent, η."""
    batch_size: int = 64
    """Rows a step."""
    epochs: int = 3000
    """Passes over the training rows at most; training ends earlier, once the loss no longer falls."""
    threads: int = 1
    """CPU threads; 0 takes every core. The products are small: more threads seldom help."""
    seed: int = 0
    """Seed of the split, the balance, the initial weights and the batches."""

    def __post_init__(self) -> None:
        require_positive(self, "batch_size", "epochs", *([] if self.hidden is None else ["hidden"]))
        if not 0 < self.learning_rate < float("inf"):
            raise UsageError(f"learning_rate={self.learning_rate} is not a positive number; try 0.5")
        if self.threads < 0:
            raise UsageError(f"threads={self.threads} is negative; choose 0 (all cores) or more")
        if not 0 <= self.seed < 2**32:
            raise UsageError(f"seed={self.seed} is out of range; choose 0 to {2**32 - 1}")
        if self.features and self.features[0] == self.features[1]:
            raise UsageError(f"--features {self.features[0]!r} is given twice; name two features")


@dataclass(frozen=True, kw_only=True)
class SmallestConfig(Generic[Data]):
    """Which models are tried, how hard, and for how long. Every combination of the sizes is one model."""

    data: Data
    above: float = 0.95
    """Share of all sequences, and of the unseen ones, that a model has to get right: more than this."""
    budget: float = 10.0
    """Minutes; a trial that began is finished."""
    layers: tuple[int, ...] = (1,)
    """Numbers of blocks, of an encoder-decoder on either side."""
    heads: tuple[int, ...] = (1,)
    """Numbers of heads; those that do not divide d_model are left out."""
    d_model: tuple[int, ...] = (3, 4)
    """Widths of a token's vector."""
    d_ff: tuple[int, ...] = (1, 2, 3, 4, 5, 6, 8, 12, 16)
    """Widths of the feed-forward layer."""
    positions: tuple[Positions, ...] = ("none",)
    """Kinds of positions; rotary ones are not tried."""
    pool: tuple[Pool, ...] = ("mean",)
    """Kinds of pooling, of a classifier."""
    activation: tuple[Literal["relu", "gelu"], ...] = ("relu",)
    """Non-linearities of the feed-forward layer."""
    optimiser: tuple[Literal["adamw", "sgd"], ...] = ("adamw",)
    """Optimisers: AdamW, or stochastic gradient descent with a momentum of 0.9."""
    learning_rate: tuple[float, ...] = (0.01,)
    """Peak learning rates."""
    seeds: int = 16
    """Initial weights tried at once; a second round over what failed tries twice as many."""
    steps: int = 2500
    """Steps of the optimiser; in a second round twice as many."""
    batch_size: int = 256
    """Sequences a step."""
    threads: int = 1
    """CPU threads; 0 takes every core. Models this small seldom gain from a second one."""
    seed: int = 0
    """Seed of the split and the batches; initial weights come from the seeds after it."""

    @classmethod
    def usual(cls, model_name: str, data: Data) -> "SmallestConfig[Data]":
        """What is tried where nothing is said: small classifiers, or small encoder-decoders."""
        if model_name == "transformer":
            return cls(data=data)
        return cls(
            data=data,
            d_model=(4, 6, 8, 12, 16),
            d_ff=(4, 8, 16),
            positions=("sinusoidal",),
            seeds=8,
            batch_size=128,
        )

    def __post_init__(self) -> None:
        require_positive(self, "seeds", "steps", "batch_size")
        for name in ("layers", "heads", "d_model", "d_ff"):
            for size in getattr(self, name):
                if size < 1:
                    raise UsageError(f"{name}={size} is not a size; choose 1 or more")
        sizes = ("layers", "heads", "d_model", "d_ff")
        for name in (*sizes, "positions", "pool", "activation", "optimiser", "learning_rate"):
            if not getattr(self, name):
                raise UsageError(f"{name} is empty; give at least one")
        if not 0 < self.above < 1:
            raise UsageError(f"above={self.above} is not a share below 1; 0.9999 wants all but one in 10,000")
        if self.budget <= 0:
            raise UsageError(f"budget={self.budget} leaves no time; give minutes, such as 10")
        if "rotary" in self.positions:
            raise UsageError("positions=rotary is not tried here; choose none, sinusoidal, learned or alibi")
        if any(rate <= 0 for rate in self.learning_rate):
            raise UsageError(f"learning_rate={min(self.learning_rate)} is not positive; try 0.01")
        if self.threads < 0:
            raise UsageError(f"threads={self.threads} is negative; choose 0 (all cores) or more")
        if not 0 <= self.seed < 2**31:
            raise UsageError(f"seed={self.seed} is out of range; choose 0 to {2**31 - 1}")
