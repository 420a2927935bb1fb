"""What is explained: answers of a model, each about one input that is made of parts.

A question holds some rows. A row is one input and one answer: the class of a text or an image, or one token
of a written sequence, given the tokens before it. Parts are what an explanation points at: the tokens of a
text or of a source, the patches of an image.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, replace
from typing import Any

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from glassformer.data.tokenizer import END, START, UNK
from glassformer.errors import UsageError
from glassformer.models.encoder import EncoderClassifier
from glassformer.models.encoder_decoder import EncoderDecoder
from glassformer.models.recurrent import RecurrentClassifier
from glassformer.models.text_classifier import TextClassifier
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.nn.patches import patchify, unpatchify
from glassformer.tasks.base import Task

WRITTEN_AT_MOST = 8
"""Tokens of a written sequence that a measurement over many sequences asks for."""


@dataclass(frozen=True)
class Question(ABC):
    """Rows of inputs, each with the answer that is asked about.

    real: True at a part, False at padding, which is behind the parts. answer: the class or the token.
    """

    model: Any
    real: Bool[Tensor, "rows parts"]
    answer: Int[Tensor, " rows"]

    def __len__(self) -> int:
        return len(self.answer)

    @abstractmethod
    def logits(self, kept: Bool[Tensor, "rows parts"] | None = None) -> Float[Tensor, "rows answers"]:
        """Of the model, where the parts that are not kept are deleted."""

    @abstractmethod
    def take(self, rows: Any) -> "Question":
        """These rows."""

    @abstractmethod
    def without_content(self, x: Float[Tensor, "rows parts d_model"]) -> Float[Tensor, "rows parts d_model"]:
        """Embedded parts that say nothing, where integrated gradients begin. x: the embedded parts."""

    def zero(self, x: Float[Tensor, "rows parts d_model"]) -> Float[Tensor, "rows parts d_model"]:
        """What gradient x input takes the input from: 0 for tokens."""
        return torch.zeros_like(x)

    def probability(self, kept: Bool[Tensor, "rows parts"] | None = None) -> Float[Tensor, " rows"]:
        """Of the answer."""
        return self.logits(kept).double().softmax(-1).gather(1, self.answer[:, None])[:, 0]

    def log_odds(self) -> Float[Tensor, " rows"]:
        """log(p / (1 - p)) of the answer: it does not saturate as p does, nor know the logits' origin."""
        logits = self.logits()
        logits = logits.to(torch.promote_types(logits.dtype, torch.float32))
        chosen = torch.nn.functional.one_hot(self.answer, logits.shape[1]).bool()
        return logits[chosen] - logits.masked_fill(chosen, -torch.inf).logsumexp(-1)


@dataclass(frozen=True)
class TextQuestion(Question):
    """The class of each text. A deleted token is masked out; of a recurrent network, which knows no mask
    within a text, it becomes the unknown token.
    """

    ids: Int[Tensor, "rows parts"]

    def logits(self, kept: Bool[Tensor, "rows parts"] | None = None) -> Float[Tensor, "rows answers"]:
        """Of the classes."""
        ids, mask = self.ids, self.real
        if kept is not None and isinstance(self.model, RecurrentClassifier):
            ids = ids.masked_fill(~kept, UNK)
        elif kept is not None:
            mask = mask & kept
        return self.model(ids, None if bool(mask.all()) else mask)

    def take(self, rows: Any) -> "TextQuestion":
        """These rows, as wide as they need."""
        real = self.real[rows]
        width = int(real.sum(1).max())
        return replace(self, real=real[:, :width], answer=self.answer[rows], ids=self.ids[rows][:, :width])

    def without_content(self, x: Float[Tensor, "rows parts d_model"]) -> Float[Tensor, "rows parts d_model"]:
        """The unknown token, again and again."""
        return self.model.embed(torch.full_like(self.ids, getattr(self.model.config, "unknown", UNK)))


@dataclass(frozen=True)
class ImageQuestion(Question):
    """The class of each image. A deleted patch becomes that of the mean image."""

    images: Float[Tensor, "rows channels height width"]
    mean: Float[Tensor, "channels height width"]

    def logits(self, kept: Bool[Tensor, "rows parts"] | None = None) -> Float[Tensor, "rows answers"]:
        """Of the classes."""
        if kept is None:
            return self.model(self.images)
        patch = self.model.config.patch
        patches = torch.where(
            kept[:, :, None], patchify(self.images, patch), patchify(self.mean[None], patch)
        )
        return self.model(unpatchify(patches, (self.images.shape[2], self.images.shape[3]), patch))

    def take(self, rows: Any) -> "ImageQuestion":
        """These rows."""
        return replace(self, real=self.real[rows], answer=self.answer[rows], images=self.images[rows])

    def without_content(self, x: Float[Tensor, "rows parts d_model"]) -> Float[Tensor, "rows parts d_model"]:
        """The mean image."""
        return self.model.embed(self.mean[None]).expand_as(x)

    def zero(self, x: Float[Tensor, "rows parts d_model"]) -> Float[Tensor, "rows parts d_model"]:
        """The mean image: a black pixel is as much of a picture as a white one."""
        return self.without_content(x)


@dataclass(frozen=True)
class SequenceQuestion(Question):
    """One written token each, after those before it. Parts: the source; a deleted one is masked out.

    target: the start token and the written ones but the last; place: which of its logits are asked for.
    example: the number of the sequence that the row is of.
    """

    source: Int[Tensor, "rows parts"]
    target: Int[Tensor, "rows targets"]
    place: Int[Tensor, " rows"]
    example: Int[Tensor, " rows"]

    def logits(self, kept: Bool[Tensor, "rows parts"] | None = None) -> Float[Tensor, "rows answers"]:
        """Of the vocabulary."""
        mask = self.real if kept is None else self.real & kept
        logits = self.model(self.source, self.target, None if bool(mask.all()) else mask)
        return logits[torch.arange(len(self), device=logits.device), self.place]

    def take(self, rows: Any) -> "SequenceQuestion":
        """These rows, as wide as they need."""
        real, place = self.real[rows], self.place[rows]
        width, targets = int(real.sum(1).max()), int(place.max()) + 1
        return replace(
            self,
            real=real[:, :width],
            answer=self.answer[rows],
            source=self.source[rows][:, :width],
            target=self.target[rows][:, :targets],
            place=place,
            example=self.example[rows],
        )

    def without_content(self, x: Float[Tensor, "rows parts d_model"]) -> Float[Tensor, "rows parts d_model"]:
        """The unknown token, again and again."""
        return self.model.embed(torch.full_like(self.source, UNK))


def require_explainable(model: nn.Module, task_name: str) -> None:
    """Raises UsageError for a model of another kind than Glassformer's own."""
    known = (TextClassifier, RecurrentClassifier, EncoderClassifier, VisionTransformer, EncoderDecoder)
    if not isinstance(model, known):
        names = ", ".join(kind.__name__ for kind in known)
        raise UsageError(
            f"{task_name} has a {type(model).__name__}, which cannot be looked into; choose a run "
            f"of a {names}"
        )


@torch.no_grad()
def ask(
    task: Task,
    model: nn.Module,
    batch: dict[str, Any],
    *,
    mean: Tensor | None = None,
    seed: int | None = None,
) -> Question:
    """The question why the model answers a batch as it does.

    mean: of images, (channels height width), else grey. Of sequences every written token is asked for, [END]
    left out; with a seed WRITTEN_AT_MOST of each, drawn by it.
    """
    if isinstance(model, EncoderDecoder):
        return _about_sequences(task, model, batch, seed)
    rows = len(batch["labels"])
    none = torch.zeros(rows, dtype=torch.long, device=batch["labels"].device)
    if isinstance(model, VisionTransformer):
        images = batch["images"]
        if mean is None:
            mean = torch.zeros_like(images[0])
        patches = patchify(images[:1], model.config.patch).shape[1]
        real = torch.ones(rows, patches, dtype=torch.bool, device=images.device)
        question: Question = ImageQuestion(model, real, none, images, mean)
    else:
        ids, mask = batch["ids"], batch["mask"]
        question = TextQuestion(
            model, torch.ones_like(ids, dtype=torch.bool) if mask is None else mask, none, ids
        )
    return replace(question, answer=question.logits().argmax(-1))


def _about_sequences(
    task: Task, model: EncoderDecoder, batch: dict[str, Any], seed: int | None
) -> SequenceQuestion:
    source, real = batch["source"], batch["source_mask"]
    real = torch.ones_like(source, dtype=torch.bool) if real is None else real
    written = torch.from_numpy(task.answers(model, batch)).to(source.device).long()
    target = torch.nn.functional.pad(written[:, :-1], (1, 0), value=START)
    generator = None if seed is None else torch.Generator().manual_seed(seed)
    example, place = [], []
    for number, row in enumerate((written != END).long().cumprod(1).sum(1).tolist()):
        places = torch.arange(row)
        if generator is not None:
            places = torch.randperm(row, generator=generator)[:WRITTEN_AT_MOST].sort().values
        example += [number] * len(places)
        place += places.tolist()
    rows, at = torch.tensor(example, device=source.device), torch.tensor(place, device=source.device)
    if not example:
        rows, at = rows.long(), at.long()
    return SequenceQuestion(model, real[rows], written[rows, at], source[rows], target[rows], at, rows)
