"""The options of the experiments, as frozen dataclasses. No NumPy, so that --help answers at once."""

from dataclasses import dataclass
from typing import Annotated

from tyro.conf import UseAppendAction, arg

from glassformer.errors import UsageError
from glassformer.models.configs import require_positive


@dataclass(frozen=True, kw_only=True)
class BackpropConfig:
    """What is compared on what, and how the network is trained."""

    data: Annotated[str, arg(metavar="NAME|FILE")] = "digits-parity"
    """digits-parity, breast-cancer, or a FILE (.csv, .tsv, .jsonl, .parquet) of numbers, with --target."""
    target: Annotated[str | None, arg(metavar="COLUMN")] = None
    """COLUMN of the label in that file: two classes, words or numbers. The other columns are the features."""
    ignore: Annotated[UseAppendAction[tuple[str, ...]], arg(metavar="COLUMN")] = ()
    """COLUMN that is no feature; may be given several times."""
    features: Annotated[tuple[str, str] | None, arg(metavar="COLUMN COLUMN")] = None
    """The two features of the decision regions. Default: those that correlate most with the label."""
    balance: bool = False
    """Draw rows of the larger class until both are equally frequent, and leave out the others."""
    hidden: int | None = None
    """Neurons of the hidden layer. Default: as many as features."""
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
