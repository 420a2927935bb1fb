"""What the tasks from sequences to sequences share: loss, decoding, figures, baselines, predictions."""

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from glassformer.tasks.base import Prepared, Report, Task, evenly
from glassformer.tasks.config import TrainConfig

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from glassformer.baselines.cache import SplitSource
    from glassformer.data.pairs import PairBatches, Pairs


@dataclass(frozen=True)
class Written:
    """What a model writes for one input."""

    input: str
    output: str


class SequenceToSequence(Task):
    """A task whose examples are pairs of sequences; an answer is right where every token of it is."""

    input_word = "sequences"
    has_tokenizer = True
    judged_splits = ("train", "validation", "test")
    headings = ("exact match", ("token accuracy", "token_accuracy"))
    baseline_names = ("majority", "places_lr")

    @abstractmethod
    def longest(self, config: TrainConfig[Any, Any]) -> tuple[int, int]:
        """Tokens of the longest source and of the longest target."""

    @abstractmethod
    def source_tokens(self, text: str, config: TrainConfig[Any, Any]) -> str:
        """An input as the tokeniser takes it. Raises UsageError for one that cannot be answered."""

    def source_text(self, tokens: list[str], config: TrainConfig[Any, Any]) -> str:
        """The tokens of an input, as people write them."""
        return " ".join(tokens)

    @abstractmethod
    def written(self, tokens: list[str], given: str, config: TrainConfig[Any, Any]) -> str:
        """The tokens that a model wrote, as people write them, in the notation of the input."""

    def facts(
        self, tokenizer: "Tokenizer | None", class_names: list[str], config: TrainConfig[Any, Any]
    ) -> dict[str, int]:
        """The sizes of the vocabulary and of the longest sequences, an end token behind each target."""
        assert tokenizer is not None
        sources, targets = self.longest(config)
        return {"vocab": tokenizer.get_vocab_size(), "max_tokens": sources, "max_targets": targets + 1}

    def build_model(self, model: Any) -> "nn.Module":
        """A model with fresh weights."""
        from glassformer.models.encoder_decoder import EncoderDecoder

        return EncoderDecoder(model)

    def example(self, config: TrainConfig[Any, Any], report: Report) -> dict[str, Any]:
        """Two short pairs of padding: shapes do not depend on what is written."""
        import torch

        sources, targets = self.longest(config)
        sources, targets = min(4, sources), min(6, targets + 1)
        return {
            "source": torch.zeros(2, sources, dtype=torch.int64),
            "source_mask": None,
            "target": torch.zeros(2, targets, dtype=torch.int64),
            "labels": torch.zeros(2, targets, dtype=torch.int64),
        }

    def batches(self, examples: "Pairs", config: TrainConfig[Any, Any], *, train: bool) -> "PairBatches":
        """Shuffled for training."""
        from glassformer.data.pairs import PairBatches

        return PairBatches(examples, config.fit.batch_size, shuffle=train, seed=config.seed)

    def loss(
        self, model: "nn.Module", batch: dict[str, Any], label_smoothing: float
    ) -> tuple["Tensor", "Tensor", int]:
        """(mean loss a token, sequences right from start to end, sequences) of one batch, in fp32.

        Each token is predicted from the true ones before it. Where the likeliest one is right every time,
        greedy decoding writes the very same sequence, so the count is that of exact matches.
        """
        from torch.nn.functional import cross_entropy

        from glassformer.data.pairs import NO_LABEL

        labels = batch["labels"]
        logits = model(batch["source"], batch["target"], batch["source_mask"]).float()
        loss = cross_entropy(
            logits.flatten(0, 1), labels.flatten(), ignore_index=NO_LABEL, label_smoothing=label_smoothing
        )
        return loss, wholly_right(logits, labels).sum(), len(labels)

    def answers(self, model: Any, batch: dict[str, Any]) -> "np.ndarray":
        """(examples tokens) written greedily, the end token behind the end."""
        import torch

        from glassformer.data.tokenizer import END, START
        from glassformer.decoding import greedy
        from glassformer.models.encoder_decoder import CachedSteps

        source = batch["source"]
        start = torch.full((len(source), 1), START, device=source.device)
        steps, longest = CachedSteps(model, source, batch["source_mask"]), model.config.max_targets
        found = greedy(steps, start, end=END, max_tokens=longest)
        return torch.nn.functional.pad(found, (0, longest - found.shape[1]), value=END).cpu().numpy()

    def figures(
        self,
        answers: "np.ndarray",
        examples: "Pairs",
        class_names: list[str],
        tokenizer: "Tokenizer | None",
    ) -> dict[str, Any]:
        """See `glassformer.evaluation.sequence_report`."""
        from glassformer.data.pairs import with_labels
        from glassformer.evaluation import sequence_report

        return sequence_report(*with_labels(answers, examples.targets))

    def completed(self, figures: dict[str, Any]) -> dict[str, Any]:
        """`accuracy` is of sequences never trained on, `accuracy_all` of all that were judged."""
        if "train" not in figures:
            return figures
        count = sum(each["count"] for each in figures.values())
        correct = sum(each["accuracy"] * each["count"] for each in figures.values())
        return figures | {
            "test": figures["test"] | {"accuracy_all": round(correct) / count, "count_all": count}
        }

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """What became of the sequences trained on, and of all together."""
        if "train" not in metrics:
            return []

        def exact(name: str, figures: dict[str, Any]) -> str:
            return f"{round(figures['accuracy'] * figures['count']):,} of {figures['count']:,} {name}"

        test = metrics["test"]
        together = {"accuracy": test["accuracy_all"], "count": test["count_all"]}
        return [
            f"exact: {exact('unseen', test)}, {exact('held out', metrics['validation'])}, "
            f"{exact('trained on', metrics['train'])}; {exact('in all', together)}"
        ]

    def baseline_figures(
        self,
        train: "SplitSource",
        splits: Mapping[str, "SplitSource"],
        class_names: list[str],
        seed: int,
        report: Report,
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """Fitted in seconds, each time anew."""
        import numpy as np

        from glassformer.baselines.sequences import fit
        from glassformer.data.pairs import with_labels
        from glassformer.evaluation import sequence_report

        sources, targets = (np.asarray(each) for each in train.read())
        found: dict[str, dict[str, dict[str, Any]]] = {}
        for name in self.baseline_names:
            report(f"{name}: fitting on {len(sources):,} {self.input_word}")
            predict = fit(name, sources, targets)
            found[name] = {}
            for split, source in splits.items():
                asked, wanted = (np.asarray(each) for each in source.read())
                found[name][split] = sequence_report(*with_labels(predict(asked), wanted))
        return found

    def encode(
        self, inputs: list[str], tokenizer: "Tokenizer | None", config: TrainConfig[Any, Any]
    ) -> tuple["Pairs", list[str]]:
        """Inputs to answer as pairs without targets, without notes."""
        import numpy as np

        from glassformer.data.encoded import text_hash
        from glassformer.data.pairs import Pairs, padded

        assert tokenizer is not None
        texts = [self.source_tokens(text, config) for text in inputs]
        sources = padded([code.ids for code in tokenizer.encode_batch_fast(texts, add_special_tokens=False)])
        hashes = np.array([text_hash(text) for text in texts], dtype=np.uint64)
        return Pairs(sources, np.zeros((len(texts), 1), dtype=np.int32), hashes), []

    def predictions(
        self,
        given: list[str],
        answers: "np.ndarray",
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        config: TrainConfig[Any, Any],
    ) -> list[Written]:
        """Each input with what the model writes for it."""
        from glassformer.data.tokenizer import END

        assert tokenizer is not None
        outputs = []
        for text, row in zip(given, answers.tolist(), strict=True):
            ended = row[: row.index(END)] if END in row else row
            tokens = [str(tokenizer.id_to_token(each)) for each in ended]
            outputs.append(self.written(tokens, text, config))
        return [Written(text, output) for text, output in zip(given, outputs, strict=True)]

    def some_examples(
        self, prepared: Prepared, config: TrainConfig[Any, Any], count: int
    ) -> list[tuple[str, str]]:
        """Sources and targets."""
        import numpy as np

        from glassformer.data.tokenizer import SPECIAL, UNK

        tokenizer = prepared.tokenizer
        assert tokenizer is not None
        found = []
        sources, targets = (np.asarray(each) for each in prepared.inputs["validation"].read())
        rows = evenly(len(sources), count)
        for pair in zip(sources[rows], targets[rows], strict=True):
            # padding and the end have low numbers, symbols follow them
            source, target = (
                [str(tokenizer.id_to_token(each)) for each in ids.tolist()
                 if each == UNK or each >= len(SPECIAL)]
                for ids in pair
            )  # fmt: skip
            given = self.source_text(source, config)
            found.append((given, self.written(target, given, config)))
        return found

    def told(self, prediction: Written) -> str:
        """What was written."""
        return prediction.output


def wholly_right(logits: "Tensor", labels: "Tensor") -> "Tensor":
    """(examples,) whether the likeliest token is the true one at every label; an unknown one never is.

    logits: (examples targets vocab); labels: (examples targets).
    """
    from glassformer.data.pairs import NO_LABEL
    from glassformer.data.tokenizer import UNK

    right = ((logits.argmax(-1) == labels) & (labels != UNK)) | (labels == NO_LABEL)
    return right.all(1)
