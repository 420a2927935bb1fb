import pytest
import torch

from glassformer.models.configs import TextClassifierConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.tasks import find_task
from glassformer.tasks.config import OptimConfig
from glassformer.training.module import _moving_average, _parameter_groups, rate_factor


@pytest.mark.parametrize("decay", ["linear", "cosine", "constant"])
def test_the_rate_rises_and_falls(decay) -> None:
    optim = OptimConfig(warmup=0.2, decay=decay)
    factors = [rate_factor(step, 100, optim) for step in range(100)]
    assert all(0 < factor <= 1 for factor in factors)
    assert factors[:21] == sorted(factors[:21])
    assert factors[20] == 1
    assert factors[20:] == sorted(factors[20:], reverse=True)
    assert factors[-1] == 1 if decay == "constant" else factors[-1] < 0.02
    assert rate_factor(60, 100, OptimConfig(warmup=0.2, decay="linear")) == pytest.approx(0.5)
    assert rate_factor(60, 100, OptimConfig(warmup=0.2, decay="cosine")) == pytest.approx(0.5)


def test_each_parameter_has_its_decay_once() -> None:
    model = TextClassifier(
        TextClassifierConfig(d_model=8, heads=2, d_ff=12, layers=1, vocab=5, classes=2, max_tokens=3)
    )
    groups = _parameter_groups(model, OptimConfig(weight_decay=0.3, embedding_weight_decay=0.7))
    decay_of = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters())) == len(decay_of)
    for name, parameter in model.named_parameters():
        expected = 0.7 if "embedding" in name else 0.3 if parameter.ndim > 1 else 0.0
        assert decay_of[id(parameter)] == expected, name


def test_the_average_follows_the_formula() -> None:
    averaged, values = [torch.zeros(3)], [torch.full((3,), float(i)) for i in range(1, 30)]
    expected = 0.0
    update = _moving_average(0.5)
    for steps, value in enumerate(values):
        update(averaged, [value], torch.tensor(steps))
        decay = min(0.5, (1 + steps) / (10 + steps))
        expected = decay * expected + (1 - decay) * float(value[0])
        assert float(averaged[0][0]) == pytest.approx(expected, rel=1e-6)


def test_loss_smooths_labels_and_counts() -> None:
    class Fixed(torch.nn.Module):
        def forward(self, ids, mask):
            return torch.tensor([[2.0, 0.0], [0.0, 1.0]])

    batch = {"ids": None, "mask": None, "labels": torch.tensor([0, 0])}
    loss, correct, count = find_task("parity").loss(Fixed(), batch, 0.2)
    log_p = torch.tensor([[2.0, 0.0], [0.0, 1.0]]).log_softmax(1)
    by_hand = -(0.9 * log_p[:, 0] + 0.1 * log_p[:, 1]).mean()
    torch.testing.assert_close(loss, by_hand)
    assert (int(correct), count) == (1, 2)
