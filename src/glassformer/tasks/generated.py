"""What the tasks on generated sequences share: drawing them, dealing them out, judging all that exist."""

from abc import abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glassformer.errors import UsageError
from glassformer.models.configs import require_share
from glassformer.tasks.base import Prepared, Report
from glassformer.tasks.config import TrainConfig
from glassformer.tasks.sequence_to_sequence import SequenceToSequence

if TYPE_CHECKING:
    import numpy as np

MOST = 1 << 62
"""Sequences that may exist at most: they are drawn by number."""
MANY = 1 << 22
"""Sequences that are drawn at most: they are held in memory."""


@dataclass(frozen=True)
class GeneratedData:
    """Which sequences are seen, and which are judged."""

    sequences: int = 5000
    """Distinct sequences drawn to learn from, half of those that exist at most; the others stay unseen."""
    validation_share: float = 0.1
    """Share of the drawn sequences that is not trained on, but held out to choose the best epoch."""
    judged: int = 65536
    """Unseen sequences judged on at most; where no more exist, every one is."""

    def __post_init__(self) -> None:
        if not 1 <= self.judged <= MANY:
            raise UsageError(f"judged={self.judged} is out of range; choose 1 to {MANY}")
        if not 4 <= self.sequences <= MANY:
            raise UsageError(f"sequences={self.sequences} is out of range; choose 4 to {MANY}")
        require_share(self, "validation_share")


class GeneratedTask(SequenceToSequence):
    """A task that knows the answer to every sequence of a finite number."""

    @abstractmethod
    def exist(self, config: TrainConfig[Any, Any]) -> int:  # never None here
        """How many sequences there are."""

    @abstractmethod
    def symbols(self, config: TrainConfig[Any, Any]) -> tuple[list[str], bool]:
        """The alphabet, and whether its symbols are single characters that stand without blanks."""

    @abstractmethod
    def pairs(
        self, numbers: "np.ndarray", config: TrainConfig[Any, Any]
    ) -> tuple["np.ndarray", "np.ndarray"]:
        """Sources and targets of these numbers below `exist`: (numbers, tokens), symbols counted from 0.

        Behind the end of a row stands -1.
        """

    def sizes(self, config: TrainConfig[Any, Any], report: Report) -> dict[str, int]:
        """The facts of the symbols; no sequence is drawn."""
        from glassformer.data.tokenizer import sequence_tokenizer

        symbols, characters = self.symbols(config)
        return self.facts(sequence_tokenizer(symbols, characters=characters), [], config)

    def prepare(self, config: TrainConfig[Any, Any], report: Report) -> Prepared:
        """Draws sequences by the seed to train and to choose on; all others are unseen."""
        from hashlib import sha256

        import numpy as np

        from glassformer.baselines.cache import SplitSource
        from glassformer.data.pairs import Pairs
        from glassformer.data.splits import draw_distinct
        from glassformer.data.tokenizer import SPECIAL, sequence_tokenizer

        data, exist = config.data, self.exist(config)
        if not 8 <= exist <= MOST:
            raise UsageError(
                f"{exist:,} sequences exist, {'too few' if exist < 8 else 'too many'}; choose other sizes"
            )
        drawn = min(data.sequences, exist // 2)
        held_out = max(1, round(drawn * data.validation_share))
        if held_out >= drawn:
            raise UsageError(
                f"{drawn} sequences with validation_share={data.validation_share} leave none to train on; "
                "choose a smaller share"
            )
        numbers = draw_distinct(np.random.default_rng(config.seed), exist, drawn + data.judged)
        dealt = {
            "train": numbers[held_out:drawn],
            "validation": numbers[:held_out],
            "test": numbers[drawn:],
        }
        examples, sums = {}, {}
        for split, chosen in dealt.items():
            # symbols follow the special tokens, and padding is 0
            sources, targets = (
                np.where(part < 0, 0, part + len(SPECIAL)).astype(np.int32)
                for part in self.pairs(chosen, config)
            )
            examples[split] = Pairs(sources, targets, chosen.astype(np.uint64))
            sums[split] = sha256(sources.tobytes() + targets.tobytes()).hexdigest()
        unseen = exist - drawn
        note = (
            f"every one of the {exist:,} sequences that exist is judged, {unseen:,} of them unseen"
            if len(numbers) == exist
            else f"{exist:,} sequences exist; of the {unseen:,} unseen ones {len(dealt['test']):,} are judged"
        )
        symbols, characters = self.symbols(config)
        return Prepared(
            class_names=[],
            examples=examples,
            checksums=sums,
            notes=[note],
            tokenizer=sequence_tokenizer(symbols, characters=characters),
            inputs={
                split: SplitSource(sums[split], lambda part=part: (part.sources, part.targets))
                for split, part in examples.items()
            },
        )

    def other_test(self, *args: Any, **kwargs: Any) -> Any:
        """Sequences are generated, so there is no file to give."""
        raise UsageError(
            f"{self.name} makes its own sequences and takes no --data.test file; evaluate the run without"
        )
