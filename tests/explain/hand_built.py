"""A classifier whose mechanism is known: one head looks for one token, and that token alone decides."""

import torch
from torch import nn

from glassformer.explain.questions import TextQuestion, ask
from glassformer.models.configs import TextClassifierConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.tasks import find_task

MARKED, VOCAB = 9, 12


def marker_classifier(pool: str = "mean") -> TextClassifier:
    """Says 1 where token MARKED is in the text, else 0; all other tokens are alike."""
    model = TextClassifier(
        TextClassifierConfig(
            layers=1,
            heads=1,
            d_model=4,
            d_ff=3,
            positions="none",
            pool=pool,
            vocab=VOCAB,
            max_tokens=8,
            classes=2,
        )
    ).eval()
    attention = model.blocks[0].attention
    with torch.no_grad():
        model.embed.embedding.weight[:] = torch.tensor([1.0, -1.0, 0.0, 0.0])
        model.embed.embedding.weight[MARKED] = torch.tensor([0.0, 0.0, 1.0, -1.0])
        for parameter in [*attention.parameters(), *model.blocks[0].feed_forward.parameters()]:
            nn.init.zeros_(parameter)
        attention.qkv.bias[0] = 8.0  # every query asks for ...
        attention.qkv.weight[4, 2] = 1.0  # ... the feature that only MARKED has,
        attention.qkv.weight[8 + 2, 2] = 1.0  # which the value passes on
        attention.output.weight[2, 2] = 1.0
        model.head.weight[:] = torch.tensor([[0.0, 0.0, -3.0, 0.0], [0.0, 0.0, 3.0, 0.0]])
        model.head.bias[:] = torch.tensor([1.0, -1.0])
        if model.cls is not None:
            model.cls[:] = torch.tensor([1.0, -1.0, 0.0, 0.0])
    return model


def marked_texts(model: TextClassifier, rows: int = 24) -> tuple[TextQuestion, torch.Tensor]:
    """Texts of several lengths, each with MARKED somewhere, and where; padded."""
    generator = torch.Generator().manual_seed(5)
    ids = torch.randint(4, MARKED, (rows, 8), generator=generator)
    lengths = torch.randint(4, 9, (rows,), generator=generator)
    where = (torch.rand(rows, generator=generator) * lengths).long()
    ids[torch.arange(rows), where] = MARKED
    mask = torch.arange(8) < lengths[:, None]
    batch = {"ids": ids.masked_fill(~mask, 0), "mask": mask, "labels": torch.ones(rows, dtype=torch.long)}
    question = ask(find_task("parity"), model, batch)
    assert isinstance(question, TextQuestion)
    assert question.answer.tolist() == [1] * rows
    return question, where
