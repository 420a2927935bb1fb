"""Seeds trained together are the very models that training each alone would give."""

from dataclasses import replace

import pytest
import torch

from glassformer.experiments.ensemble import Ensemble
from glassformer.tasks import find_task
from glassformer.tasks.config import OptimConfig
from glassformer.training.module import rate_factor

SIZES = {
    "parity": ({"layers": 1, "heads": 1, "d_model": 3, "d_ff": 5}, {"bits": 6}),
    "reverse": ({"heads": 1, "d_model": 4, "d_ff": 5}, {"length": 3, "alphabet": 4, "shortest": 1}),
}
OPTIM = OptimConfig(learning_rate=0.01, weight_decay=0.02, clip=0.3, warmup=0.2)


@pytest.fixture(autouse=True)
def doubles():
    """The bias of the keys has no gradient but rounding, and AdamW makes whole steps of that in float32."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


def prepared(name):
    task = find_task(name)
    model, data = SIZES[name]
    config = task.preset(None, None)
    config = replace(
        config,
        model=replace(config.model, **model),
        data=replace(config.data, **data),
        optim=OPTIM,
        fit=replace(config.fit, batch_size=8),
    )
    return task, config, task.prepare(config, lambda line: None)


def alone(task, config, data, seed, batches, total, optimiser):
    facts = task.facts(data.tokenizer, data.class_names, config)
    torch.manual_seed(seed)
    model = task.build_model(replace(config.model, **facts)).eval()
    optimizer = (
        torch.optim.AdamW(model.parameters(), lr=0.01, betas=OPTIM.betas, weight_decay=0.02)
        if optimiser == "adamw"
        else torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=0.02)
    )
    for number, batch in enumerate(batches):
        for group in optimizer.param_groups:
            group["lr"] = 0.01 * rate_factor(number, total, OPTIM)
        loss, *_ = task.loss(model, batch, 0.0)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 0.3)
        optimizer.step()
    return model


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
@pytest.mark.parametrize("name", SIZES)
def test_together_is_as_alone(name, optimiser) -> None:
    task, config, data = prepared(name)
    batches = list(task.batches(data.examples["train"], config, train=True))[:6]
    seeds = [3, 8, 5]
    together = Ensemble(task, data, config, seeds, optimiser)
    for number, batch in enumerate(batches):
        together.step(batch, number, len(batches))
    held_out = list(task.batches(data.examples["test"], config, train=False))
    losses, accuracies = together.judged(held_out)
    for place, seed in enumerate(seeds):
        expected = alone(task, config, data, seed, batches, len(batches), optimiser)
        ours = together.model(place)
        for (what, a), b in zip(ours.named_parameters(), expected.parameters(), strict=True):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=what)
        with torch.no_grad():
            judged = [(*task.loss(expected, batch, 0.0),) for batch in held_out]
        count = sum(each[2] for each in judged)
        assert accuracies[place].item() == pytest.approx(
            sum(int(each[1]) for each in judged) / count, abs=0.02
        )
        mean = sum(float(each[0]) * each[2] for each in judged) / count
        assert losses[place].item() == pytest.approx(mean, rel=1e-3)


@pytest.mark.parametrize("optimiser", ["adamw", "sgd"])
def test_seeds_that_are_kept_go_on_as_if_nothing_had_happened(optimiser) -> None:
    task, config, data = prepared("parity")
    batches = list(task.batches(data.examples["train"], config, train=True))
    whole, cut = (Ensemble(task, data, config, [1, 2, 3], optimiser) for _ in range(2))
    for number, batch in enumerate(batches):
        if number == 2:
            cut.keep(torch.tensor([2, 0]))
        for each in (whole, cut):
            each.step(batch, number, len(batches))
    assert cut.seeds == [3, 1]
    for ours, theirs in ((0, 2), (1, 0)):
        for (what, a), b in zip(
            cut.model(ours).named_parameters(), whole.model(theirs).parameters(), strict=True
        ):
            torch.testing.assert_close(a, b, rtol=1e-4, atol=1e-5, msg=what)


def test_torchs_own_generator_is_left_alone() -> None:
    task, config, data = prepared("parity")
    before = torch.get_rng_state()
    Ensemble(task, data, config, [1, 2])
    assert torch.equal(torch.get_rng_state(), before)
