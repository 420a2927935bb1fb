import subprocess
import sys

import pytest
import torch

from glassformer.errors import UsageError
from glassformer.models.configs import TextClassifierConfig
from glassformer.models.text_classifier import TextClassifier
from glassformer.tasks import find_task
from glassformer.tasks.config import OptimConfig
from glassformer.training.module import follow, rate_factor
from glassformer.training.optimizers import make_optimizer, orthogonalized, parameter_groups


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
    groups = parameter_groups(model, OptimConfig(weight_decay=0.3, embedding_weight_decay=0.7)).values()
    decay_of = {id(p): group["weight_decay"] for group in groups for p in group["params"]}
    assert sum(len(group["params"]) for group in groups) == len(list(model.parameters())) == len(decay_of)
    for name, parameter in model.named_parameters():
        expected = 0.7 if "embedding" in name else 0.3 if parameter.ndim > 1 else 0.0
        assert decay_of[id(parameter)] == expected, name


def test_one_cycle_is_torchs() -> None:
    steps, warmup, peak = 97, 0.3, 0.7
    optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
    oracle = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, peak, total_steps=steps, pct_start=round(warmup * steps) / steps, cycle_momentum=False
    )
    for step in range(steps):
        ours = peak * rate_factor(step, steps, OptimConfig(warmup=warmup, decay="one-cycle"))
        assert ours == pytest.approx(oracle.get_last_lr()[0], rel=1e-6), step
        optimizer.step()
        if step + 1 < steps:
            oracle.step()


def tiny_model() -> TextClassifier:
    torch.manual_seed(0)
    return TextClassifier(
        TextClassifierConfig(d_model=8, heads=2, d_ff=12, layers=2, vocab=5, classes=2, max_tokens=3)
    )


def train_steps(model, optimizer, count: int) -> None:
    ids = torch.tensor([[1, 2, 3], [4, 1, 2]])
    for _ in range(count):
        optimizer.zero_grad()
        model(ids).square().sum().backward()
        optimizer.step()


@pytest.mark.parametrize("shape", [(8, 12), (12, 8), (9, 9)])
@pytest.mark.parametrize(("dtype", "tolerance"), [(torch.bfloat16, 0.03), (torch.float32, 0.03)])
def test_orthogonalized_is_torchs(shape: tuple[int, int], dtype: torch.dtype, tolerance: float) -> None:
    matrices = torch.randn(3, *shape, generator=torch.Generator().manual_seed(0))
    coefficients = (3.4445, -4.7750, 2.0315)
    ours = orthogonalized(matrices.to(dtype), coefficients, 5)
    assert ours.dtype == dtype
    for matrix, direction in zip(matrices, ours.float(), strict=True):
        theirs = torch.optim._muon._zeropower_via_newtonschulz(matrix, coefficients, 5, 1e-7).float()
        torch.testing.assert_close(direction, theirs, atol=tolerance, rtol=0)
        singular = torch.linalg.svdvals(direction)
        assert 0.5 < singular.min() < singular.max() < 1.3


def test_muon_takes_the_matrices_of_the_blocks_and_adamw_the_rest(monkeypatch: pytest.MonkeyPatch) -> None:
    # torch multiplies in bfloat16, whose rounding differs from machine to machine: the steps around the
    # products are compared exactly, and the products on their own above
    monkeypatch.setattr(
        "torch.optim._muon._zeropower_via_newtonschulz",
        lambda matrix, coefficients, steps, _: orthogonalized(matrix[None], coefficients, steps)[0],
    )
    optim = OptimConfig(name="muon", learning_rate=0.01, muon_learning_rate=0.03, weight_decay=0.1)
    # float64, since the bias of the keys has no gradient but rounding, and AdamW makes steps of that
    ours, theirs = tiny_model().double(), tiny_model().double()
    optimizer = make_optimizer(ours, optim, torch.float64)
    names = {id(p): name for name, p in ours.named_parameters()}
    by_muon = {names[id(p)] for p in optimizer.parts[0].param_groups[0]["params"]}
    assert by_muon == {
        name for name, p in ours.named_parameters() if name.startswith("blocks") and p.ndim == 2
    }
    everywhere = [id(p) for group in optimizer.param_groups for p in group["params"]]
    assert sorted(everywhere) == sorted(names)

    # two layers, so that matrices of one shape are stacked; wide, upright and square ones
    of = dict(theirs.named_parameters())
    muon = torch.optim.Muon([of[name] for name in sorted(by_muon)], lr=0.03, weight_decay=0.1)
    decay = {True: [], False: []}
    for name, parameter in of.items():
        if name not in by_muon:
            decay[parameter.ndim > 1 and "embedding" not in name].append(parameter)
    groups = [{"params": decay[True], "weight_decay": 0.1}, {"params": decay[False], "weight_decay": 0.0}]
    groups[1]["params"].remove(of["embed.embedding.weight"])
    groups.append({"params": [of["embed.embedding.weight"]], "weight_decay": optim.embedding_weight_decay})
    adamw = torch.optim.AdamW(groups, lr=0.01, betas=optim.betas)
    train_steps(ours, optimizer, 3)
    for _ in range(3):
        ids = torch.tensor([[1, 2, 3], [4, 1, 2]])
        theirs.zero_grad()
        theirs(ids).square().sum().backward()
        muon.step()
        adamw.step()
    for name, parameter in ours.named_parameters():
        torch.testing.assert_close(parameter, of[name], msg=name)


def test_muon_goes_on_from_a_checkpoint() -> None:
    optim = OptimConfig(name="muon")
    whole, stopped = tiny_model(), tiny_model()
    optimizer = make_optimizer(whole, optim)
    train_steps(whole, optimizer, 5)
    first = make_optimizer(stopped, optim)
    train_steps(stopped, first, 2)
    second = make_optimizer(stopped, optim)
    second.load_state_dict(first.state_dict())
    train_steps(stopped, second, 3)
    for (name, a), b in zip(whole.named_parameters(), stopped.parameters(), strict=True):
        assert torch.equal(a, b), name


def test_muon_needs_blocks() -> None:
    with pytest.raises(UsageError, match="choose adamw"):
        make_optimizer(torch.nn.Linear(2, 3), OptimConfig(name="muon"))


def test_the_average_follows_the_formula() -> None:
    averaged, current = (torch.nn.Linear(1, 1, bias=False) for _ in range(2))
    expected = 0.0
    for steps in range(30):
        torch.nn.init.constant_(current.weight, steps + 1.0)
        follow(averaged, current, 0.5, steps)
        decay = 0.0 if steps == 0 else min(0.5, (1 + steps) / (10 + steps))
        expected = decay * expected + (1 - decay) * (steps + 1)
        assert averaged.weight.item() == pytest.approx(expected, rel=1e-6)


def test_the_average_has_the_newest_buffers() -> None:
    averaged, current = torch.nn.BatchNorm1d(2), torch.nn.BatchNorm1d(2)
    current(torch.randn(5, 2) + 3)
    follow(averaged, current, 0.5, 7)
    assert current.running_mean.abs().min() > 0.01
    torch.testing.assert_close(averaged.running_mean, current.running_mean)
    assert averaged.num_batches_tracked == 1


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


COMPILED = """
import torch
from dataclasses import replace
from functools import partial
from types import SimpleNamespace
from glassformer.tasks import find_task
from glassformer.training.module import TrainingModule

graphs = []
def kept(graph, examples):
    graphs.append(graph.code)
    return graph

torch.set_num_threads(1)
torch.compile = partial(torch.compile, backend=kept, fullgraph=True)
task = find_task("digits")
preset = task.preset(None, None)
preset = replace(preset, data=replace(preset.data, early_scale=0.5))
facts = {"channels": 1, "height": 8, "width": 8, "classes": 10, "layers": 1, "positions": POSITIONS}
sizes, labels = (torch.randn(5, 1, 4, 4), torch.randn(5, 1, 8, 8)), torch.arange(5)
TrainingModule.log = lambda *args, **kwargs: None
TrainingModule.trainer = SimpleNamespace(optimizers=[SimpleNamespace(param_groups=[{"lr": 1.0}])])
gradients = []
for compile in (False, True):
    torch.manual_seed(0)
    model = task.build_model(replace(preset.model, **facts))
    torch.nn.init.normal_(model.head.weight)
    fit = replace(preset.fit, compile=compile, average=0.9)
    module = TrainingModule(task, model, replace(preset, fit=fit), 10)
    assert list(module.model.state_dict()) == list(task.build_model(model.config).state_dict())
    assert all(name.startswith(("model.", "averaged.")) for name in module.state_dict())
    assert not [name for name in module.state_dict() if "_orig_mod" in name]
    for images in sizes:
        module.zero_grad()
        module.training_step({"images": images, "labels": labels}, 0).backward()
        gradients.append([p.grad.clone() for p in model.parameters()])
for plain, compiled in zip(gradients[:2], gradients[2:], strict=True):
    for one, other in zip(plain, compiled, strict=True):
        torch.testing.assert_close(one, other)
assert "linear" in graphs[0] and not [code for code in graphs if "arange" in code]
print(len(graphs))
"""


@pytest.mark.parametrize("positions", ["rotary", "sinusoidal", "learned"])
def test_a_compiled_training_is_the_same_training(positions) -> None:
    """No graph breaks, one graph for each size of image, the weights keep their names, equal gradients.

    Nor is a table of positions in the graph, to be computed anew at each step: it is a constant there.
    In a process of its own: the checks of types and shapes that these tests run under cannot be compiled.
    """
    script = COMPILED.replace("POSITIONS", repr(positions))
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]
    assert int(done.stdout) == 2
