"""The speed run trains what its recipes say, and what the presets of `cifar10` are."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.nn import functional

from glassformer.tasks import find_task
from glassformer.tasks.config import MachineConfig
from glassformer.training.machine import prepare_machine


@pytest.fixture(scope="module")
def script() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        yield importlib.import_module("vit_speedrun")


def student(script: Any, recipe: Any) -> Any:
    images = torch.randint(256, (6, 3, 32, 32), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))
    pixels = {split: (images, torch.arange(6)) for split in ("learned", "judged")}
    machine = prepare_machine(MachineConfig(device="cpu", precision="fp32", threads=1))
    return script.Student(recipe, pixels, machine)


def test_the_gpu_preset_is_the_recipe_that_passed_90(script: Any) -> None:
    recipe, preset = script.RECIPES["cuda"][0.9], find_task("cifar10").preset("gpu", None)
    assert recipe == script.Recipe(
        "gpu", preset.fit.epochs, preset.fit.batch_size, preset.optim.muon_learning_rate
    )
    augmentation = student(script, recipe).augmentation
    assert (augmentation.mixup, augmentation.cutmix, augmentation.erase) == (0.8, 1.0, 0.0)


def test_augmentation_may_be_left_out(script: Any) -> None:
    whole = student(script, script.Recipe("best", 1, 2, 0.02)).augmentation
    left = student(script, script.Recipe("best", 1, 2, 0.02, without=("erase", "rand_augment"))).augmentation
    assert (whole.erase, whole.rand_augment, whole.mixup) == (0.25, 2, 0.8)
    assert (left.erase, left.rand_augment, left.mixup) == (0, 0, 0.8)


def test_a_step_goes_down_the_gradient_of_the_smoothed_loss(script: Any) -> None:
    one = student(script, script.Recipe("gpu", 1, 6, 0.02))
    one.model.eval()  # no stochastic depth
    torch.nn.init.normal_(one.model.head.weight)
    images, labels = torch.rand(6, 3, 32, 32), torch.arange(6)
    functional.cross_entropy(one.model(images), labels, label_smoothing=0.1).backward()
    for parameter, gradient in zip(one.model.parameters(), one.gradients(images, labels), strict=True):
        torch.testing.assert_close(gradient, parameter.grad)


def test_a_run_trains_all_epochs_from_the_seeds_weights(script: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    one = student(script, script.Recipe("cpu", 2, 3, 0.02, early_epochs=1))
    sizes = []
    gradients = one.gradients

    def watched(images: torch.Tensor, truth: torch.Tensor) -> tuple[torch.Tensor, ...]:
        sizes.append(images.shape[2])
        return gradients(images, truth)

    monkeypatch.setattr(one, "gradients", watched)
    first = one.run(2, seed=0)
    weights = [parameter.clone() for parameter in one.model.parameters()]
    assert sizes == [24, 24, 32, 32]
    assert one.run(2, seed=0)["accuracy"] == first["accuracy"]
    assert all(map(torch.equal, weights, one.model.parameters()))
    one.run(2, seed=1)
    assert not all(map(torch.equal, weights, one.model.parameters()))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="graphs are CUDA's")
def test_what_is_replayed_is_computed_anew(script: Any) -> None:
    replayed = script.Replayed(lambda x: (x * x,))
    for _ in range(3):
        x = torch.randn(5, device="cuda")
        torch.testing.assert_close(replayed(x)[0], x * x)
