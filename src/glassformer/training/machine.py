"""What a computation runs on: device, number format, threads, and the allocator's settings."""

import ctypes
import os
import sys
import time
from dataclasses import dataclass
from functools import cache

import torch

from glassformer.errors import UsageError
from glassformer.tasks.config import MachineConfig

BF16_WORTH_IT = 1.5
"""bf16 is taken where its products are at least this many times faster than fp32's."""

_M_TRIM_THRESHOLD, _M_TOP_PAD, _M_MMAP_THRESHOLD = -1, -2, -3
_KEEP_BYTES = 1 << 30


@dataclass(frozen=True)
class Machine:
    """The choices made, none of them 'auto'."""

    device: torch.device
    precision: str
    threads: int


def prepare_machine(config: MachineConfig) -> Machine:
    """Turns 'auto' into choices and sets the process up for them. Raises UsageError for a missing device."""
    threads = config.threads or available_cores()
    torch.set_num_threads(threads)
    keep_freed_memory()
    device = _device(config.device)
    precision = config.precision
    if precision == "auto":
        precision = "bf16" if _bf16_is_fast(device) else "fp32"
    return Machine(device, precision, threads)


def keep_freed_memory() -> bool:
    """Tells glibc to keep large freed blocks for the next step instead of giving them back.

    A training step frees and takes the same large blocks over and over; returned to the system, each costs
    its page faults anew, about half of a step's time. Elsewhere than on glibc (macOS, Windows, musl) this
    does nothing: their allocators have no such switch, and steps run at the system's own pace.
    Returns whether it was set.
    """
    if not sys.platform.startswith("linux"):
        return False
    try:
        mallopt = ctypes.CDLL("libc.so.6").mallopt
    except (OSError, AttributeError):
        return False
    # mallopt takes C ints, so the largest power of two below 2 GiB
    return bool(mallopt(_M_MMAP_THRESHOLD, _KEEP_BYTES) and mallopt(_M_TRIM_THRESHOLD, _KEEP_BYTES))


def available_cores() -> int:
    """Cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _device(name: str) -> torch.device:
    there = {"cpu": True, "cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available()}
    if name == "auto":
        return torch.device(next(kind for kind in ("cuda", "mps", "cpu") if there[kind]))
    if not there[name]:
        usable = ", ".join(kind for kind, found in there.items() if found)
        raise UsageError(f"device={name} is not there on this machine; choose auto or {usable}")
    return torch.device(name)


@cache
def _bf16_is_fast(device: torch.device) -> bool:
    """Measured once in a process, so that all its trainings have one answer."""
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type == "mps":
        return False
    return _product_seconds(torch.float32) > BF16_WORTH_IT * _product_seconds(torch.bfloat16)


def _product_seconds(dtype: torch.dtype) -> float:
    """Of the fastest of some products: on a busy machine others wait for a core, and say nothing of it.

    Three suffice where they take long: one in bf16 takes up to a hundred times fp32's where it is slow.
    """
    a = torch.ones(1024, 256, dtype=dtype)
    b = torch.ones(256, 512, dtype=dtype)
    seconds: list[float] = []
    while len(seconds) < 3 or (len(seconds) < 20 and sum(seconds) < 0.1):
        start = time.perf_counter()
        a @ b
        seconds.append(time.perf_counter() - start)
    return min(seconds)
