"""What the tasks of guessing tokens that were left out share: loss, figures, baseline, how a text is asked.

Source: Devlin et al. 2019, section 3.1, task 1.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, cast

from glassformer.errors import UsageError
from glassformer.tasks.base import Report, Task
from glassformer.tasks.config import TrainConfig

if TYPE_CHECKING:
    import numpy as np
    from tokenizers import Tokenizer
    from torch import Tensor, nn

    from glassformer.baselines.cache import SplitSource
    from glassformer.data.batches import TextBatches
    from glassformer.data.masking import Asked, Pieces

PREFIX = "masked-"
"""What the names of these tasks' runs begin with."""
JUDGED_AT_ONCE = 64
"""Pieces at most in a batch without gradients: a number for each entry of the vocabulary at each place."""
LIKELIEST = 5


@dataclass(frozen=True)
class Filled:
    """A text with its [MASK] filled in by the likeliest tokens. masks: for each, token -> probability."""

    input: str
    output: str
    masks: list[dict[str, float]]


class MaskedLanguage(Task):
    """A task whose examples are pieces of texts in which tokens are left out and guessed."""

    input_word = "texts"
    has_tokenizer = True
    judged_splits = ("validation",)
    kept_by_loss = True
    counted = "tokens left out"
    headings = ("guessed", ("perplexity", "perplexity"))
    baseline_names = ("unigram",)

    def command(self, name: str) -> str:
        """pretrain imdb, of masked-imdb; train, of a class from outside, which `pretrain` does not know."""
        return f"pretrain {name.removeprefix(PREFIX)}" if name.startswith(PREFIX) else super().command(name)

    def require_answers(self, doing: str) -> None:
        """Texts have no classes and no test split here."""
        raise UsageError(
            f"{doing} is for runs with a test split, and pretraining has none; fine-tune it with glassformer "
            "train TASK --model.pretrained RUN, or ask it with glassformer predict RUN 'a [MASK] film'"
        )

    def facts(
        self, tokenizer: "Tokenizer | None", class_names: list[str], config: TrainConfig[Any, Any]
    ) -> dict[str, int]:
        """The sizes of the vocabulary and of the longest piece."""
        assert tokenizer is not None
        return {"vocab": tokenizer.get_vocab_size(), "max_tokens": config.data.max_tokens}

    def with_facts(self, config: TrainConfig[Any, Any], facts: dict[str, int]) -> TrainConfig[Any, Any]:
        """With both sizes: who starts from the encoder builds it by config.yaml alone."""
        return replace(config, model=replace(config.model, **facts))

    def example(self, config: TrainConfig[Any, Any], report: Report) -> dict[str, Any]:
        """Two short texts of padding, a token to guess in each: shapes do not depend on what is written."""
        import torch

        from glassformer.data.pairs import NO_LABEL

        tokens = min(4, config.data.max_tokens)
        labels = torch.full((2, tokens), NO_LABEL)
        labels[:, 0] = 0
        return {
            "ids": torch.zeros(2, tokens, dtype=torch.int64),
            "mask": None,
            "labels": labels,
            "places": torch.tensor([0, tokens]),
        }

    def build_model(self, model: Any) -> "nn.Module":
        """A model with fresh weights."""
        from glassformer.models.language_model import MaskedLanguageModel

        return MaskedLanguageModel(model)

    def batches(
        self, examples: "Pieces | Asked", config: TrainConfig[Any, Any], *, train: bool
    ) -> "TextBatches":
        """Batches of like length with tokens left out; of texts that were asked, just as they are."""
        from glassformer.data.masking import Asked, AskedBatches, MaskedBatches

        if isinstance(examples, Asked):
            return AskedBatches(examples, JUDGED_AT_ONCE)
        size = config.fit.batch_size if train else JUDGED_AT_ONCE
        return MaskedBatches(examples, size, share=config.data.masked, shuffle=train, seed=config.seed)

    def loss(
        self, model: "nn.Module", batch: dict[str, Any], label_smoothing: float
    ) -> tuple["Tensor", "Tensor", int]:
        """(mean loss a token left out, tokens guessed, tokens left out) of one batch.

        Cross-entropy in fp32, of the places that were chosen alone: logits of the others are not computed.
        """
        from torch.nn.functional import cross_entropy

        places = batch["places"]
        logits = model(batch["ids"], batch["mask"], places).float()
        labels = batch["labels"].flatten()[places]
        loss = cross_entropy(logits, labels, label_smoothing=label_smoothing)
        return loss, (logits.argmax(1) == labels).sum(), len(places)

    def answers(self, model: Any, batch: dict[str, Any]) -> "np.ndarray":
        """Of what is judged (pieces, 3): tokens left out, guessed, and the sum of -ln p of the true ones.

        Of texts that were asked (texts, max_tokens, likeliest, 2): numbers and probabilities of the likeliest
        tokens for each [MASK] in order, NaN behind the last.
        """
        import numpy as np
        import torch

        if "asked" in batch:
            return _likeliest(model, batch)
        places = batch["places"]
        pieces, width = batch["ids"].shape
        logits = model(batch["ids"], batch["mask"], places).float()
        labels = batch["labels"].flatten()[places]
        nats = torch.nn.functional.cross_entropy(logits, labels, reduction="none")
        piece = (places // width).cpu().numpy()
        each = (torch.ones_like(nats), logits.argmax(1) == labels, nats)
        return np.stack(
            [np.bincount(piece, part.cpu().double().numpy(), minlength=pieces) for part in each], axis=1
        )

    def figures(
        self,
        answers: "np.ndarray",
        examples: "Pieces",
        class_names: list[str],
        tokenizer: "Tokenizer | None",
    ) -> dict[str, Any]:
        """See `glassformer.guesses.guesses_report`."""
        from glassformer.guesses import guesses_report

        counts, correct, nats = answers.T
        return guesses_report(correct, counts, nats, examples.hashes)

    def remarks(self, metrics: dict[str, Any]) -> list[str]:
        """What the interval is of."""
        texts = metrics["validation"]["texts"]
        return [
            f"the interval is of {texts:,} texts, drawn whole: the tokens of one text are not independent"
        ]

    def baseline_figures(
        self,
        train: "SplitSource",
        splits: Mapping[str, "SplitSource"],
        class_names: list[str],
        seed: int,
        report: Report,
    ) -> dict[str, dict[str, dict[str, Any]]]:
        """unigram: the most frequent token; p(token) is its share of the training tokens, plus one."""
        import numpy as np

        from glassformer.guesses import guesses_report

        counts = np.asarray(cast(Any, train.read()[0]))
        nats = np.log(counts.sum() + len(counts)) - np.log(counts + 1)
        found = {}
        for split, source in splits.items():
            tokens, texts = (np.asarray(cast(Any, each)) for each in source.read())
            right = tokens == counts.argmax()
            found[split] = guesses_report(right, np.ones(len(tokens)), nats[tokens], texts)
        return {"unigram": found}

    def encode(
        self, inputs: list[str], tokenizer: "Tokenizer | None", config: TrainConfig[Any, Any]
    ) -> tuple["Asked", list[str]]:
        """Texts with one [MASK] or more, without notes."""
        import numpy as np

        from glassformer.data.encoded import encode_in_memory
        from glassformer.data.masking import Asked
        from glassformer.data.tokenizer import LEFT_OUT, MASK

        assert tokenizer is not None
        longest = config.data.max_tokens
        for text in inputs:
            ids = tokenizer.encode(text, add_special_tokens=False).ids
            if MASK not in ids:
                raise UsageError(
                    f"{self.shown(text)!r} leaves nothing out; write {LEFT_OUT} for a token to be guessed"
                )
            if len(ids) > longest:
                raise UsageError(
                    f"{self.shown(text)!r} has {len(ids):,} tokens, and the run reads {longest:,}; shorten it"
                )
        rows = np.arange(len(inputs))
        return Asked(encode_in_memory(inputs, tokenizer, longest), rows, np.zeros_like(rows)), []

    def predictions(
        self,
        given: list[str],
        answers: "np.ndarray",
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        config: TrainConfig[Any, Any],
    ) -> list[Filled]:
        """Each text with the likeliest tokens for every [MASK]."""
        import numpy as np

        from glassformer.data.tokenizer import LEFT_OUT

        assert tokenizer is not None
        found = []
        for text, of_text in zip(given, answers, strict=True):
            asked = of_text[~np.isnan(of_text[:, 0, 0])]
            masks = [
                {str(tokenizer.id_to_token(int(token))): float(p) for token, p in likeliest}
                for likeliest in asked
            ]
            output = text
            for mask in masks:
                output = output.replace(LEFT_OUT, next(iter(mask)), 1)
            found.append(Filled(text, output, masks))
        return found

    def told(self, prediction: Filled) -> str:
        """The text, and a small table of the likeliest tokens for each [MASK]."""
        lines = [self.shown(prediction.input)]
        for number, mask in enumerate(prediction.masks, start=1):
            if len(prediction.masks) > 1:
                lines.append(f"  [MASK] {number} of {len(prediction.masks)}")
            width = max(map(len, mask))
            lines += [f"    {token:<{width}}  {p:.4f}" for token, p in mask.items()]
        return "\n".join(lines)

    def other_test(
        self,
        config: TrainConfig[Any, Any],
        class_names: list[str],
        tokenizer: "Tokenizer | None",
        file: str,
        columns: dict[str, str],
    ) -> tuple[Any, "SplitSource", list[str]]:
        """None."""
        raise UsageError(
            "a run of pretrain is judged on the texts that were held out of it; leave out --data.test"
        )


def _likeliest(model: Any, batch: dict[str, Any]) -> "np.ndarray":
    import numpy as np

    places = batch["asked"]
    texts, width = batch["ids"].shape
    p = model(batch["ids"], batch["mask"], places).float().softmax(-1)
    top = p.topk(min(LIKELIEST, p.shape[-1]))
    of_place = np.stack([top.indices.cpu().double().numpy(), top.values.cpu().double().numpy()], axis=-1)
    text = (places // width).cpu().numpy()
    number = np.arange(len(text)) - np.searchsorted(text, text)
    found = np.full((texts, model.config.max_tokens, *of_place.shape[1:]), np.nan)
    found[text, number] = of_place
    return found
