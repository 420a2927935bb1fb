"""Your own pairs: a CSV, TSV, JSONL or Parquet file with a source and a target column.

a row "colour,color" at the level of characters: c o l o u r -> c o l o r
"""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from glassformer.errors import DataError, UsageError
from glassformer.models.configs import EncoderDecoderConfig, require_positive, require_share
from glassformer.options import unset
from glassformer.paths import user_path
from glassformer.tasks.base import Prepared, Preset, Report
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.sequence_to_sequence import SequenceToSequence

if TYPE_CHECKING:
    from tokenizers import Tokenizer

    from glassformer.baselines.cache import SplitSource
    from glassformer.data.pairs import Pairs

COLUMNS = ("source", "target")
Rows = list[tuple[str, str]]


@dataclass(frozen=True)
class PairsData:
    """Files and columns, and how texts become tokens."""

    train: Annotated[str, unset("FILE", "required")] = ""
    """FILE to train on (.csv, .tsv, .jsonl, .parquet)."""
    validation: Annotated[str, unset("FILE", "default: rows held out of train")] = ""
    """FILE to choose the best epoch on."""
    test: Annotated[str, unset("FILE", "default: rows held out of train")] = ""
    """FILE to judge the result on."""
    source: Annotated[str, arg(metavar="COLUMN")] = "source"
    """COLUMN of the source, what is read."""
    target: Annotated[str, arg(metavar="COLUMN")] = "target"
    """COLUMN of the target, what is to be written."""
    level: Literal["character", "word"] = "character"
    """What a token is: a character, blanks included, or a word between blanks."""
    vocab: int = 10000
    """Tokens known at most, the most frequent ones of train."""
    max_tokens: int = 128
    """Tokens of a source or a target at most; a longer one is refused."""
    validation_share: float = 0.1
    """Share of the rows held out to choose the best epoch, where no validation file is given."""
    test_share: float = 0.1
    """Share of the rows held out to judge the result on, where no test file is given."""
    fraction: float = 1.0
    """Share of the training rows that are trained on; validation and test stay whole."""

    def __post_init__(self) -> None:
        require_positive(self, "vocab", "max_tokens")
        require_share(self, "validation_share", "test_share")
        if not 0 < self.fraction <= 1:
            raise UsageError(f"fraction={self.fraction} is not a share of the rows; choose 0 < fraction <= 1")


class PairsTask(SequenceToSequence):
    """From one text to another, learned from pairs."""

    name = "pairs"
    summary = "your own pairs of texts, source and target (CSV, JSONL or Parquet)"
    file_columns = COLUMNS
    judged_splits = ("validation", "test")
    input_word = "sources"
    baseline_names = ("majority",)
    presets = {
        "cpu": Preset(
            cost="""glassformer train pairs --data.train FILE
not measured""",
            config=TrainConfig(
                model=EncoderDecoderConfig(d_model=128, d_ff=256, dropout=0.1),
                data=PairsData(),
                optim=OptimConfig(learning_rate=1e-3),
                fit=FitConfig(epochs=30, batch_size=64, patience=5),
                precision="fp32",
            ),
        ),
    }
    learns_from = ("a file", "FILE")
    default_preset = {"encoder-decoder": "cpu"}

    def require_data(self, config: TrainConfig[Any, Any]) -> None:
        """There are files; every row has a source and a target, none too long; and the rows suffice."""
        super().require_data(config)
        if type(self).prepare is PairsTask.prepare:  # else it may know what to do with what is refused here
            self._splits(config)

    def prepare(self, config: TrainConfig[Any, Any], report: Report) -> Prepared:
        """Reads the files, splits, and makes a vocabulary of the training rows."""
        import numpy as np

        from glassformer.data.splits import count_shared, stratified_fraction
        from glassformer.data.tokenizer import sequence_tokenizer

        data = config.data
        rows, sums = self._splits(config)
        alike = np.zeros(len(rows["train"]), dtype=np.int64)
        kept = stratified_fraction(alike, data.fraction, config.seed)
        rows["train"] = [rows["train"][row] for row in kept]

        characters = data.level == "character"
        tokenizer = sequence_tokenizer(
            vocabulary(rows["train"], characters=characters, most=data.vocab), characters=characters
        )
        examples = {split: self._encoded(part, tokenizer) for split, part in rows.items()}
        notes = []
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            if shared := count_shared(examples[first].hashes, examples[second].hashes):
                notes.append(f"{shared:,} of {len(examples[second]):,} {second} sources stand in {first} too")
        for split in ("train", "validation", "test"):
            notes += _unknown_targets(examples[split], f"{split} targets", config)
        return Prepared(
            class_names=[],
            examples=examples,
            checksums=sums,
            notes=notes,
            tokenizer=tokenizer,
            inputs={split: _source(part, sums[split]) for split, part in examples.items()},
        )

    def longest(self, config: TrainConfig[Any, Any]) -> tuple[int, int]:
        """As many tokens on both sides."""
        return config.data.max_tokens, config.data.max_tokens

    def source_tokens(self, text: str, config: TrainConfig[Any, Any]) -> str:
        """Any text that is not empty and not too long."""
        count = len(text) if config.data.level == "character" else len(text.split())
        if not text.strip():
            raise UsageError("an empty source cannot be answered; give at least one token")
        if count > config.data.max_tokens:
            raise UsageError(
                f"{self.shown(text)!r} has {count} {config.data.level}s, the run takes "
                f"{config.data.max_tokens}; shorten it, or train one with --data.max-tokens {count}"
            )
        return text

    def encode(
        self, inputs: list[str], tokenizer: "Tokenizer | None", config: TrainConfig[Any, Any]
    ) -> tuple["Pairs", list[str]]:
        """Inputs to answer; refuses one with a token that training never saw."""
        from glassformer.data.tokenizer import SPECIAL

        assert tokenizer is not None
        for text in inputs:
            code = tokenizer.encode(self.source_tokens(text, config), add_special_tokens=False)
            if unknown := [place for place, number in enumerate(code.ids) if number < len(SPECIAL)]:
                begin, end = code.offsets[unknown[0]]
                raise UsageError(
                    f"{text[begin:end]!r} in {self.shown(text)!r} is not in the vocabulary of the run; leave "
                    "it out, or train on pairs that have it often enough for --data.vocab"
                )
        return super().encode(inputs, tokenizer, config)

    def source_text(self, tokens: list[str], config: TrainConfig[Any, Any]) -> str:
        """As the sources of the file are written."""
        return ("" if config.data.level == "character" else " ").join(tokens)

    def written(self, tokens: list[str], given: str, config: TrainConfig[Any, Any]) -> str:
        """As the targets of the file are written."""
        return ("" if config.data.level == "character" else " ").join(tokens)

    def other_test(
        self,
        config: TrainConfig[Any, Any],
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        file: str,
        columns: dict[str, str],
    ) -> tuple["Pairs", "SplitSource", list[str]]:
        """Pairs in another file of the user's."""
        assert tokenizer is not None
        rows, checksum = self._read(file, replace(config, data=replace(config.data, **columns)))
        examples = self._encoded(rows, tokenizer)
        return examples, _source(examples, checksum), _unknown_targets(examples, "targets", config)

    def _splits(self, config: TrainConfig[Any, Any]) -> tuple[dict[str, Rows], dict[str, str]]:
        """The rows of each split, and the checksum of the file that they stand in."""
        import numpy as np

        from glassformer.data.splits import stratified_split

        data, paths = config.data, self.given_paths(config)
        rows, sums = {}, {}
        rows["train"], sums["train"] = self._read(paths["train"], config)
        kept = np.arange(len(rows["train"]))
        alike = np.zeros(len(kept), dtype=np.int64)
        for split, share in (("test", data.test_share), ("validation", data.validation_share)):
            if path := paths.get(split):
                rows[split], sums[split] = self._read(path, config)
                continue
            if len(kept) < 3:
                raise DataError(f"{data.train} has too few rows to hold out a {split} split; give more rows")
            stay, held_out = stratified_split(alike[kept], share, config.seed, ["pair"])
            rows[split] = [rows["train"][row] for row in kept[held_out]]
            sums[split] = sums["train"]
            kept = kept[stay]
        rows["train"] = [rows["train"][row] for row in kept]
        return rows, sums

    def _read(self, path: str, config: TrainConfig[Any, Any]) -> tuple[Rows, str]:
        from glassformer.data.files import TextFile, open_columns
        from glassformer.data.tokenizer import SPECIAL

        data, file = config.data, user_path(path)
        open_columns(file, [data.source, data.target], COLUMNS)
        both = []
        for column in (data.source, data.target):
            texts = [text for batch in TextFile(file, text=column).texts() for text in batch]
            for number, text in enumerate(texts, start=1):
                if not text.strip():
                    raise DataError(f"{path}: row {number} has no {column!r}; fill it or delete the row")
                if data.level == "word" and (taken := [word for word in text.split() if word in SPECIAL]):
                    raise DataError(
                        f"{path}: row {number} has {taken[0]!r} in {column!r}, a token of the model's own; "
                        "write it differently"
                    )
                count = len(text) if data.level == "character" else len(text.split())
                if count > data.max_tokens:
                    raise DataError(
                        f"{path}: row {number} has {count} {data.level}s in {column!r}, more than "
                        f"max_tokens={data.max_tokens}; shorten it, or give --data.max-tokens {count}"
                    )
            both.append(texts)
        if not both[0]:
            raise DataError(f"{path} has no rows; give a file with at least three pairs")
        checksum = TextFile(file, data.source, data.target).checksum()
        return list(zip(*both, strict=True)), checksum

    def _encoded(self, rows: Rows, tokenizer: "Tokenizer") -> "Pairs":
        import numpy as np

        from glassformer.data.encoded import text_hash
        from glassformer.data.pairs import Pairs, padded

        sources, targets = (
            padded([code.ids for code in tokenizer.encode_batch_fast(list(texts), add_special_tokens=False)])
            for texts in zip(*rows, strict=True)
        )
        hashes = np.array([text_hash(source) for source, _ in rows], dtype=np.uint64)
        return Pairs(sources, targets, hashes)


def _unknown_targets(examples: "Pairs", what: str, config: TrainConfig[Any, Any]) -> list[str]:
    from glassformer.data.tokenizer import UNK

    unknown = int((examples.targets == UNK).any(1).sum())
    told = f"{unknown:,} of {len(examples):,} {what} hold a token outside the vocabulary of at most "
    return [f"{told}{config.data.vocab:,}, so no answer to them is right"] if unknown else []


def vocabulary(rows: Rows, *, characters: bool, most: int) -> list[str]:
    """The most frequent characters or words of sources and targets, equals by the alphabet."""
    from collections import Counter

    counts: Counter[str] = Counter()
    for pair in rows:
        for text in pair:
            counts.update(text if characters else text.split())
    ordered = sorted(counts.items(), key=lambda item: (-item[1], item[0]))
    return [token for token, _ in ordered[:most]]


def _source(examples: "Pairs", checksum: str) -> "SplitSource":
    from glassformer.baselines.cache import SplitSource

    return SplitSource(checksum, lambda: (examples.sources, examples.targets))
