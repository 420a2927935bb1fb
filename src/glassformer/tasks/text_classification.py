"""What the tasks on labelled texts share: from files to encoded splits, model, loss."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from glassformer.cache import cache_key
from glassformer.errors import UsageError
from glassformer.models.configs import require_fraction, require_positive, require_share
from glassformer.paths import user_path
from glassformer.tasks.base import PRETRAINED, Prepared, Report, evenly
from glassformer.tasks.classification import Classification
from glassformer.tasks.config import TrainConfig
from glassformer.tasks.text_sources import TOKENS_FORMAT, Source, encoded_file, learned_tokenizer

if TYPE_CHECKING:
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from glassformer.baselines.cache import SplitSource
    from glassformer.data.batches import TextBatches
    from glassformer.data.encoded import Encoded, Examples
    from glassformer.data.files import TextFile

JUDGED_AT_ONCE = 256
"""Examples at most in a batch without gradients."""

MOST_ENTRIES = 10_000_000
"""Of a vocabulary; the library that learns one takes memory for all of them at once."""


@dataclass(frozen=True)
class TextData:
    """How texts become examples."""

    validation_share: float = 0.1
    """Share of the training rows held out to choose the best epoch, where no validation file is given."""
    fraction: float = 1.0
    """Share of the training rows that are trained on; validation and test stay whole."""
    tokenizer: Literal["word", "bpe", "wordpiece"] = "bpe"
    """How texts are cut into tokens: whole words, byte-pair merges, or BERT's word pieces. A pretrained model
    brings its own tokeniser."""
    vocab: int = 30000
    """Entries of the trained vocabulary at most, tokens."""
    max_tokens: int = 1024
    """A text is cut after this many tokens."""
    token_dropout: float = 0.5
    """In training, leave each entry of the vocabulary out of a batch with this probability."""

    def __post_init__(self) -> None:
        require_positive(self, "vocab", "max_tokens")
        if self.vocab > MOST_ENTRIES:
            raise UsageError(f"vocab={self.vocab} is out of range; choose 1 to {MOST_ENTRIES:,}")
        if not 0 < self.fraction <= 1:
            raise UsageError(f"fraction={self.fraction} is not a share of the rows; choose 0 < fraction <= 1")
        require_share(self, "validation_share")
        require_fraction(self, "token_dropout")


class TextClassification(Classification):
    """A task whose examples are texts, each in one of several classes."""

    input_word = "texts"
    has_tokenizer = True
    file_columns = ("text", "label")
    baseline_names = ("majority", "tfidf_lr", "nb_bigrams_lr")

    def sources(self, config: TrainConfig[Any, Any]) -> tuple[dict[str, Source], list[str]]:
        """The three splits and the names of the classes."""
        raise NotImplementedError

    def prepare(self, config: TrainConfig[Any, Any], report: Report) -> Prepared:
        """Reads the files' labels, splits, trains the tokeniser on the training texts, encodes all."""
        from glassformer.data.encoded import Examples
        from glassformer.data.splits import count_shared

        sources, class_names = self._kept_sources(config)
        train = sources["train"]
        of_file = {file: file.checksum() for file in dict.fromkeys(s.file for s in sources.values())}
        sums = {split: of_file[source.file] for split, source in sources.items()}

        tokenizer, tokenizer_key = self._tokenizer(train, sums["train"], config, report)
        encoded: dict[TextFile, Encoded] = {}
        examples = {}
        for split, source in sources.items():
            if source.file not in encoded:
                encoded[source.file] = encoded_file(
                    source.file, sums[split], tokenizer, tokenizer_key, config.data.max_tokens, report
                )
            examples[split] = Examples(encoded[source.file], source.rows, source.labels)

        notes = [
            *_notes_on_labels(class_names),
            *_notes_on_texts(examples),
            *self._cut(examples["train"], config, "train texts"),
        ]
        for first, second in (("train", "validation"), ("train", "test"), ("validation", "test")):
            if shared := count_shared(examples[first].hashes, examples[second].hashes):
                notes.append(f"{shared:,} of {len(examples[second]):,} {second} texts stand in {first} too")
        return Prepared(
            tokenizer=tokenizer,
            class_names=class_names,
            examples=examples,
            checksums=sums,
            notes=notes,
            inputs={
                split: _text_source(source, sums[split], class_names) for split, source in sources.items()
            },
        )

    def _kept_sources(self, config: TrainConfig[Any, Any]) -> tuple[dict[str, Source], list[str]]:
        """The splits with as much of the training rows as is trained on."""
        from glassformer.data.splits import stratified_fraction

        sources, class_names = self.sources(config)
        train = sources["train"]
        kept = stratified_fraction(train.labels, config.data.fraction, config.seed)
        sources["train"] = Source(train.file, train.rows[kept], train.labels[kept])
        return sources, class_names

    def sizes(self, config: TrainConfig[Any, Any], report: Report) -> dict[str, int]:
        """The facts of the training texts, of which none is encoded."""
        if type(self).sources is TextClassification.sources:  # a task that makes its own texts
            return super().sizes(config, report)
        sources, class_names = self._kept_sources(config)
        train = sources["train"]
        tokenizer, _ = self._tokenizer(train, train.file.checksum(), config, report)
        return self.facts(tokenizer, class_names, config)

    def example(self, config: TrainConfig[Any, Any], report: Report) -> dict[str, Any]:
        """Two short texts of padding: shapes do not depend on what is written."""
        import torch

        tokens = min(4, self.longest(config))
        return {
            "ids": torch.zeros(2, tokens, dtype=torch.int64),
            "mask": None,
            "labels": torch.zeros(2, dtype=torch.int64),
        }

    def facts(
        self, tokenizer: "Tokenizer | None", class_names: list[str], config: TrainConfig[Any, Any]
    ) -> dict[str, int]:
        """The sizes of vocabulary and classes and, for a transformer, the longest sequence."""
        assert tokenizer is not None
        facts = {"classes": len(class_names)}
        if config.model.name == PRETRAINED:
            return facts
        facts["vocab"] = tokenizer.get_vocab_size()
        if config.model.name == "transformer":
            facts["max_tokens"] = self.longest(config)
        return facts

    def require_published_fit(self, config: TrainConfig[Any, Any]) -> None:
        """Refuses texts that are cut later than the encoder has positions."""
        if config.data.max_tokens > config.model.max_tokens:
            raise UsageError(
                f"data.max_tokens={config.data.max_tokens} is more than the {config.model.max_tokens} "
                f"positions that {config.model.pretrained} has learned; choose {config.model.max_tokens} or "
                "less"
            )

    def longest(self, config: TrainConfig[Any, Any]) -> int:
        """Tokens of the longest input."""
        return config.data.max_tokens

    def build_model(self, model: Any) -> "nn.Module":
        """A model with fresh weights."""
        if model.name == "recurrent":
            from glassformer.models.recurrent import RecurrentClassifier

            return RecurrentClassifier(model)
        if model.name == PRETRAINED:
            from glassformer.models.encoder import EncoderClassifier

            return EncoderClassifier(model)
        from glassformer.models.text_classifier import TextClassifier

        return TextClassifier(model)

    def batches(self, examples: "Examples", config: TrainConfig[Any, Any], *, train: bool) -> "TextBatches":
        """Batches of like length; tokens are dropped in training alone."""
        from glassformer.data.batches import TextBatches

        if not train:
            return TextBatches(examples, JUDGED_AT_ONCE)
        return TextBatches(
            examples,
            config.fit.batch_size,
            shuffle=True,
            token_dropout=getattr(config.data, "token_dropout", 0.0),
            seed=config.seed,
        )

    def logits(self, model: "nn.Module", batch: dict[str, Any]) -> "Tensor":
        """(examples classes) of one batch."""
        logits: Tensor = model(batch["ids"], batch["mask"])
        return logits

    def encode(
        self, inputs: list[str], tokenizer: "Tokenizer | None", config: TrainConfig[Any, Any]
    ) -> tuple["Examples", list[str]]:
        """Texts to predict as examples, and a note on those that are cut."""
        import numpy as np

        from glassformer.data.encoded import Examples, encode_in_memory

        assert tokenizer is not None
        texts = [self.check_input(text, config) for text in inputs]
        encoded = encode_in_memory(texts, tokenizer, self.longest(config))
        examples = Examples(encoded, np.arange(len(texts)), np.zeros(len(texts), dtype=np.int64))
        return examples, self._cut(examples, config)

    def _cut(self, examples: "Examples", config: TrainConfig[Any, Any], what: str = "texts") -> list[str]:
        """A note on texts that are as long as one can be, if there are such."""
        most = getattr(config.data, "max_tokens", None)
        if most is None or not (count := int((examples.lengths >= most).sum())):
            return []
        return [f"{count:,} of {len(examples):,} {what} reach {most:,} tokens, after which a text is cut"]

    def check_input(self, text: str, config: TrainConfig[Any, Any]) -> str:
        """The text in the form to encode: any but an empty one. Raises UsageError where there is none."""
        if not text.strip():
            raise UsageError("an empty text cannot be predicted; give at least one word")
        return text

    def other_test(
        self,
        config: TrainConfig[Any, Any],
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        file: str,
        columns: dict[str, str],
    ) -> tuple["Examples", "SplitSource", list[str]]:
        """Labelled texts in a file of the user's, with the classes of the run."""
        import numpy as np

        from glassformer.data.encoded import Examples
        from glassformer.data.files import TextFile

        assert tokenizer is not None
        own = {name: getattr(config.data, name, name) for name in ("text", "label")} | columns
        given = TextFile(user_path(file), own["text"], own["label"])
        labels = self.label_numbers(given.labels(), class_names, given.path)
        checksum = given.checksum()
        key = cache_key(tokenizer.to_str())
        encoded = encoded_file(given, checksum, tokenizer, key, config.data.max_tokens, lambda line: None)
        rows = np.arange(len(labels))
        source = _text_source(Source(given, rows, labels), checksum, class_names)
        examples = Examples(encoded, rows, labels)
        return examples, source, [*_notes_on_texts({"test": examples}), *self._cut(examples, config)]

    def some_examples(
        self, prepared: Prepared, config: TrainConfig[Any, Any], count: int
    ) -> list[tuple[str, str]]:
        """Texts and the names of their classes."""
        import numpy as np

        texts, labels = prepared.inputs["validation"].read()
        given, numbers = list(texts), np.asarray(labels).tolist()
        return [(str(given[i]), prepared.class_names[numbers[i]]) for i in evenly(len(given), count)]

    def _tokenizer(
        self, train: Source, checksum: str, config: TrainConfig[Any, Any], report: Report
    ) -> tuple["Tokenizer", str]:
        data = config.data
        if config.model.name == PRETRAINED:
            return self._published_tokenizer(config)
        key = cache_key("tokenizer", TOKENS_FORMAT, checksum, train.digest, data.tokenizer, data.vocab)
        return learned_tokenizer([train], key, data, report), key

    def _published_tokenizer(self, config: TrainConfig[Any, Any]) -> tuple["Tokenizer", str]:
        """That of the published model, or of the run once there is one."""
        from glassformer.pretrained.tokenizers import read_tokenizer

        tokenizer = read_tokenizer(Path(config.model.tokenizer_folder), config.model.vocab)
        special = tokenizer.num_special_tokens_to_add(is_pair=False)
        if config.data.max_tokens <= special:
            raise UsageError(
                f"data.max_tokens={config.data.max_tokens} leaves no room beside the {special} tokens that "
                f"the tokeniser puts around a text; choose {special + 1} or more, such as 128"
            )
        if special and config.data.token_dropout:
            raise UsageError(
                f"data.token_dropout={config.data.token_dropout} would leave out [CLS] and [SEP], or what "
                "else the tokeniser puts around a text, and the model has never seen one without; choose 0"
            )
        return tokenizer, cache_key("published", tokenizer.to_str())


def _notes_on_labels(class_names: list[str]) -> list[str]:
    """What may be one class, written in two ways."""
    alike: dict[str, list[str]] = {}
    for name in class_names:
        alike.setdefault(name.casefold(), []).append(name)
    pairs = [names for names in alike.values() if len(names) > 1]
    return [f"classes that differ in capitals alone: {', '.join(names)}" for names in pairs]


def _notes_on_texts(examples: "dict[str, Examples]") -> list[str]:
    """How many texts have nothing in them."""
    from glassformer.data.encoded import text_hash

    empty = sum(int((each.hashes == text_hash("")).sum()) for each in examples.values())
    if not empty:
        return []
    return [f"{empty:,} of {sum(map(len, examples.values())):,} texts {'are' if empty > 1 else 'is'} empty"]


def _text_source(source: Source, checksum: str, class_names: list[str]) -> "SplitSource":
    from glassformer.baselines.cache import SplitSource

    return SplitSource(
        cache_key(checksum, source.digest, *class_names),
        lambda: ([text for batch in source.texts() for text in batch], source.labels),
    )
