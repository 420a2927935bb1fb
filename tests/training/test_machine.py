"""What a computation runs on, where 'auto' was asked for."""

from collections.abc import Iterator
from itertools import count

import pytest
import torch

from glassformer.tasks.config import MachineConfig
from glassformer.training import machine

AUTO = MachineConfig(device="cpu", threads=1)


@pytest.fixture(autouse=True)
def measured_anew() -> Iterator[None]:
    machine._bf16_is_fast.cache_clear()
    yield
    machine._bf16_is_fast.cache_clear()


@pytest.mark.parametrize(("fp32", "chosen"), [(1.6, "bf16"), (1.4, "fp32"), (0.01, "fp32")])
def test_bf16_is_taken_where_its_products_are_faster_and_measured_once(
    fp32: float, chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[torch.dtype] = []

    def seconds(dtype: torch.dtype) -> float:
        asked.append(dtype)
        return {torch.float32: fp32, torch.bfloat16: 1.0}[dtype]

    monkeypatch.setattr(machine, "_product_seconds", seconds)
    assert [machine.prepare_machine(AUTO).precision for _ in range(3)] == [chosen] * 3
    assert sorted(asked, key=str) == [torch.bfloat16, torch.float32]


@pytest.mark.parametrize(("tick", "products"), [(1.0, 3), (0.03, 4), (0.001, 20)])
def test_slow_products_are_few(tick: float, products: int, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = (tick * step for step in count())
    looks: list[float] = []

    def now() -> float:
        looks.append(next(clock))
        return looks[-1]

    monkeypatch.setattr(machine.time, "perf_counter", now)
    assert machine._product_seconds(torch.float32) == pytest.approx(tick)
    assert len(looks) == 2 * products
