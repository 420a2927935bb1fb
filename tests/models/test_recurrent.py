from dataclasses import replace

import pytest
import torch
from torch import nn

from glassformer.models.configs import RecurrentClassifierConfig
from glassformer.models.recurrent import RecurrentClassifier

CONFIG = RecurrentClassifierConfig(layers=2, d_model=7, d_hidden=11, vocab=41, classes=5)


def model_of(**changes) -> RecurrentClassifier:
    return RecurrentClassifier(replace(CONFIG, **changes)).double().eval()


def inputs() -> tuple[torch.Tensor, torch.Tensor]:
    mask = torch.arange(13) < torch.tensor([5, 13, 2])[:, None]
    return torch.randint(1, 41, mask.shape) * mask, mask


@pytest.mark.parametrize("cell", ["lstm", "gru"])
@pytest.mark.parametrize("bidirectional", [False, True])
@pytest.mark.parametrize("pool", ["mean", "max", "last"])
def test_padding_is_never_seen(cell, bidirectional, pool) -> None:
    model = model_of(cell=cell, bidirectional=bidirectional, pool=pool)
    ids, mask = inputs()
    together = model(ids, mask)
    assert together.shape == (3, 5)
    for i, length in enumerate(mask.sum(1).tolist()):
        alone = model(ids[i : i + 1, :length])
        torch.testing.assert_close(alone, together[i : i + 1], rtol=1e-10, atol=1e-10)


def test_last_is_the_last_real_state_of_each_direction() -> None:
    model = model_of(pool="last", layers=1, cell="gru")
    ids, _ = inputs()
    states, _ = model.recurrent(model.embed(ids[1:2]))
    by_hand = torch.cat([states[:, -1, :11], states[:, 0, 11:]], dim=-1)
    torch.testing.assert_close(model(ids[1:2]), model.head(by_hand), rtol=1e-10, atol=1e-10)
    wrong = torch.cat([states[:, -1, :11], states[:, -1, 11:]], dim=-1)
    assert not torch.allclose(model(ids[1:2]), model.head(wrong))


@pytest.mark.parametrize("cell", ["lstm", "gru"])
def test_one_batch_overfits(cell) -> None:
    model = RecurrentClassifier(replace(CONFIG, cell=cell, layers=1))
    ids, mask = inputs()
    labels = torch.tensor([0, 3, 1])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    for _ in range(60):
        loss = nn.functional.cross_entropy(model(ids, mask), labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05
