"""Pretraining on the texts of a task: film reviews without labels, or a file of your own."""

import sys
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Annotated, Any, Literal

from tyro.conf import arg

from glassformer.cache import cache_key
from glassformer.errors import DataError, UsageError, nearest
from glassformer.models.configs import require_positive, require_share
from glassformer.models.encoder_config import MaskedLanguageModelConfig
from glassformer.options import unset
from glassformer.paths import user_path
from glassformer.tasks.base import Prepared, Preset, Report
from glassformer.tasks.config import FitConfig, OptimConfig, TrainConfig
from glassformer.tasks.corpus import (
    Corpus,
    hold_out,
    source_of,
    token_counts,
    without_unseen,
)
from glassformer.tasks.imdb import NEIGHBOURS, ImdbTask
from glassformer.tasks.masked_language import MaskedLanguage
from glassformer.tasks.text import TextTask, UserTextData
from glassformer.tasks.text_classification import TextData
from glassformer.tasks.text_sources import TOKENS_FORMAT, Source, encoded_file, learned_tokenizer

if TYPE_CHECKING:
    from glassformer.data.files import TextFile


@dataclass(frozen=True)
class MaskedTextData:
    """How texts become pieces with tokens left out."""

    validation_share: float = 0.02
    """Share of the texts held out to judge on, where no validation file is given."""
    fraction: float = 1.0
    """Share of the training texts that are learned from; validation stays whole."""
    tokenizer: Literal["word", "bpe", "wordpiece"] = "wordpiece"
    """How texts are cut into tokens: whole words, byte-pair merges, or BERT's word pieces."""
    vocab: int = 16000
    """Entries of the trained vocabulary at most, tokens."""
    max_tokens: int = 256
    """Longer texts are cut into pieces of this many tokens at most; all of them are read."""
    masked: float = 0.3
    """Share of a piece's tokens that are to be guessed."""

    def __post_init__(self) -> None:
        require_positive(self, "vocab", "max_tokens")
        for name, value in (("validation_share", self.validation_share), ("masked", self.masked)):
            if not 0 < value < 1:
                raise UsageError(f"{name}={value} is no share between none and all; choose 0 < {name} < 1")
        if not 0 < self.fraction <= 1:
            raise UsageError(f"fraction={self.fraction} is not a share of the rows; choose 0 < fraction <= 1")


@dataclass(frozen=True)
class MaskedImdbData(MaskedTextData):
    """Which reviews are learned from, and how they become pieces with tokens left out."""

    labelled: bool = False
    """Learn from the labelled reviews too that `train imdb` learns from with the same seed."""


@dataclass(frozen=True)
class MaskedUserData(MaskedTextData):
    """The files and their columns, and how texts become pieces with tokens left out."""

    validation_share: float = 0.1
    """Share of the texts held out to judge on, where no validation file is given; as in `train text`."""
    train: Annotated[str, unset("FILE", "required")] = ""
    """FILE of texts to learn from (.csv, .tsv, .jsonl, .parquet)."""
    validation: Annotated[str, unset("FILE", "default: texts held out of train")] = ""
    """FILE of texts to judge on."""
    test: Annotated[str, unset("FILE", "default: see --data.label")] = ""
    """FILE that is not learned from, since fine-tuning is judged on it."""
    text: Annotated[str, arg(metavar="COLUMN")] = "text"
    """COLUMN of the text."""
    label: Annotated[str, arg(metavar="COLUMN")] = "label"
    """COLUMN of the label, if there is one: what `train text` would hold out by it is not learned from."""
    test_share: float = 0.2
    """Share of the labelled texts that `train text` holds out for test, where no test file is given."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_share(self, "test_share")


class Pretraining(MaskedLanguage):
    """From files of texts to pieces, without the texts that must stay unseen; see `corpus`."""

    def corpus(self, config: TrainConfig[Any, Any]) -> Corpus:
        """Which texts are for what."""
        raise NotImplementedError

    def prepare(self, config: TrainConfig[Any, Any], report: Report) -> Prepared:
        """Leaves out what must stay unseen, learns the tokeniser from the rest, encodes, cuts."""
        import numpy as np

        from glassformer.baselines.cache import SplitSource
        from glassformer.data.masking import pieces
        from glassformer.data.tokenizer import LEFT_OUT

        corpus, notes = without_unseen(self.corpus(config), config)
        files = dict.fromkeys(each.file for each in (*corpus.learned, corpus.validation))
        sums = {file: file.checksum() for file in files}
        of_train = cache_key(*(f"{sums[each.file]} {each.digest}" for each in corpus.learned))
        data = config.data
        key = cache_key("masked", TOKENS_FORMAT, of_train, data.tokenizer, data.vocab)
        tokenizer = learned_tokenizer(corpus.learned, key, data, report, [LEFT_OUT])
        whole = sys.maxsize  # all of every text; it is cut into pieces below
        encoded = {file: encoded_file(file, sums[file], tokenizer, key, whole, report) for file in files}
        sources = {"train": corpus.learned, "validation": [corpus.validation]}
        examples = {
            split: pieces(
                [(encoded[each.file], each.rows) for each in of_split],
                config.data.max_tokens,
                tokenizer.get_vocab_size(),
            )
            for split, of_split in sources.items()
        }
        for split, of_split in examples.items():
            if not len(of_split):
                raise DataError(f"the {split} texts hold no known word; give more or longer texts")
        validation = examples["validation"]
        judged = cache_key(key, sums[corpus.validation.file], corpus.validation.digest)

        def left_out() -> Any:
            batches = list(self.batches(validation, config, train=False))
            tokens = [batch["labels"].flatten()[batch["places"]].numpy() for batch in batches]
            counts = [np.bincount(b["places"] // b["ids"].shape[1], minlength=len(b["ids"])) for b in batches]
            order = self.batches(validation, config, train=False).order
            return np.concatenate(tokens), np.repeat(validation.hashes[order], np.concatenate(counts))

        return Prepared(
            tokenizer=tokenizer,
            class_names=[],
            examples=examples,
            checksums={"train": of_train, "validation": judged},
            notes=notes,
            inputs={
                "train": SplitSource(key, lambda: (token_counts(examples["train"]), ())),
                "validation": SplitSource(judged, left_out),
            },
        )


class MaskedImdbTask(Pretraining):
    """Film reviews without labels: 50,000 that come with the data set for this."""

    name = "masked-imdb"
    summary = "tokens left out of film reviews without labels (Maas et al. 2011)"
    presets = {
        "cpu": Preset(
            cost="""glassformer pretrain imdb --data-dir DATA
0.335 of the tokens left out are guessed, perplexity 60 where frequencies alone have 900;
64 minutes and 7.8 GiB on two cores of an AMD EPYC with bf16, 2026-11-26""",
            config=TrainConfig(
                model=MaskedLanguageModelConfig(layers=2, attention="tiled", dropout=0.0),
                data=MaskedImdbData(),
                optim=OptimConfig(name="muon", learning_rate=1e-3, weight_decay=0.01, warmup=0.05),
                fit=FitConfig(epochs=2, batch_size=16),
            ),
        ),
    }
    default_preset = {"masked-lm": "cpu"}

    def with_absolute_paths(self, config: TrainConfig[Any, Any]) -> TrainConfig[Any, Any]:
        """The folder of the data sets, also where the environment names it."""
        return ImdbTask().with_absolute_paths(config)

    def corpus(self, config: TrainConfig[Any, Any]) -> Corpus:
        """Held out are reviews without labels, film by film as they lie there.

        Never learned from are those of test and, by the same seed, those that `train imdb` holds out. By
        default no review with a label is learned from, so that any seed may fine-tune.
        """
        from glassformer.data.imdb import imdb_file

        unlabelled = imdb_file("unsupervised", config.data_dir)
        kept, held_out = hold_out(unlabelled, config, NEIGHBOURS)
        labelled, _ = ImdbTask().sources(replace(config, data=TextData()))
        learned = [source_of(unlabelled, kept)]
        if config.data.labelled:
            learned.append(labelled["train"])
        return Corpus(learned, source_of(unlabelled, held_out), [labelled["validation"], labelled["test"]])


class MaskedTextTask(Pretraining):
    """Your own texts, labelled or not."""

    name = "masked-text"
    summary = "tokens left out of your own texts (CSV, JSONL or Parquet)"
    presets = {
        "cpu": Preset(
            cost="""glassformer pretrain text --data.train FILE
imdb's preset on your file; not measured""",
            config=replace(MaskedImdbTask.presets["cpu"].config, data=MaskedUserData()),
        ),
    }
    learns_from = ("a file", "FILE")
    default_preset = {"masked-lm": "cpu"}

    def require_data(self, config: TrainConfig[Any, Any]) -> None:
        """There are files, and they have the texts' column, and train that of labels where one is named."""
        super().require_data(config)
        from glassformer.data.files import open_columns

        named = [config.data.label] if config.data.label != MaskedUserData().label else []
        for split, path in self.given_paths(config).items():
            columns = [config.data.text, *(named if split == "train" else [])]
            open_columns(user_path(path), columns, ("text", "label"))

    def corpus(self, config: TrainConfig[Any, Any]) -> Corpus:
        """Learned from is what `train text` with the same file, options and seed trains on, judged what it
        chooses the best epoch on; never learned from are its test and the files given as validation and test.

        That takes a column of labels. Without one, texts held out by the seed are judged, and what
        fine-tuning on another file is judged on is not known: a note says so.
        """
        import numpy as np

        from glassformer.data.files import TextFile

        data, paths = config.data, self.given_paths(config)
        train = TextFile(user_path(paths["train"]), data.text, data.label)
        given = {
            split: source_of(file, np.arange(file.count_rows()))
            for split, path in paths.items()
            if split != "train"
            for file in [TextFile(user_path(path), data.text, data.label)]
        }
        splits, notes = _splits_of_fine_tuning(train, config)
        if not splits:
            kept = np.arange(train.count_rows())
            if "validation" not in given:
                kept, held_out = hold_out(train, config)
                splits["validation"] = source_of(train, held_out)
            splits["train"] = source_of(train, kept)
            if len(given) == 2:
                notes = []
        splits |= given
        never = [splits["test"]] if "test" in splits else []
        return Corpus([splits["train"]], splits["validation"], never, notes)


def _splits_of_fine_tuning(
    train: "TextFile", config: TrainConfig[Any, Any]
) -> tuple[dict[str, Source], list[str]]:
    """The splits that `train text` makes of this file, none where it cannot; and what to say of that."""
    from glassformer.data.files import open_file

    data, usual = config.data, MaskedUserData()
    columns = open_file(train.path, data.text, data.label).schema.names
    if data.label not in columns and data.label != usual.label:
        raise UsageError(f"{train.path} has no column {data.label!r}; {nearest(data.label, columns)}")
    why = f"{train.path.name} has no column {data.label!r}"
    if data.label in columns:
        # a file that is given as a split takes nothing away from train, and may itself be without labels
        path, given = str(train.path), [split for split in ("validation", "test") if getattr(data, split)]
        same = UserTextData(
            train=path,
            validation=path if "validation" in given else "",
            test=path if "test" in given else "",
            text=data.text,
            label=data.label,
            validation_share=data.validation_share,
            test_share=data.test_share,
        )
        try:
            splits, _ = TextTask().sources(replace(config, data=same))
        except DataError as error:
            why = str(error).partition(";")[0]
        else:
            made = {split: source for split, source in splits.items() if split not in ("train", *given)}
            held_out = " and ".join(f"{len(made[split].rows):,} of {split}" for split in made)
            notes = [
                f"{held_out} are left for glassformer train text to judge on: the same file, columns, shares "
                f"and seed {config.seed}"
            ]
            return {"train": splits["train"], **made}, notes if made else []
    return {}, [
        f"{why}: what fine-tuning will be judged on in other files is not known here; give these files as "
        "--data.validation and --data.test"
    ]
