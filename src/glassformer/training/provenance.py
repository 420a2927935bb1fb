"""Where a result comes from: the command, the versions, the machine, the revision of the code."""

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from glassformer.training.run_folder import SCHEMA_VERSION

PACKAGES = ("glassformer", "torch", "lightning", "tokenizers", "numpy", "scikit-learn", "safetensors")


def versions() -> dict[str, str]:
    """Of Python and of the packages that decide the numbers."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            found[package] = "not installed"
    return found


def machine() -> dict[str, Any]:
    """Processor, cores and memory (bytes)."""
    facts: dict[str, Any] = {
        "system": platform.system(),
        "processor": processor_name(),
        "cores": os.cpu_count(),
    }
    if hasattr(os, "sysconf") and "SC_PHYS_PAGES" in os.sysconf_names:
        facts["memory_bytes"] = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return facts


def processor_name() -> str:
    """The processor's model, where the system tells it."""
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.is_file():
        for line in cpuinfo.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def git_revision() -> str | None:
    """The commit of the checkout that this package is run from, '+changes' if it has any; None elsewhere."""
    here = Path(__file__).resolve().parent
    try:
        run = lambda *words: subprocess.run(  # noqa: E731
            ["git", "-C", str(here), *words], capture_output=True, text=True, timeout=10, check=True
        ).stdout.strip()
        if not run("ls-files", Path(__file__).name):
            return None  # installed inside somebody else's repository
        return run("rev-parse", "HEAD") + ("+changes" if run("status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def peak_host_bytes() -> int | None:
    """The most memory this process has held at once; None where the system does not tell (Windows)."""
    try:
        import resource
    except ImportError:
        return None
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def provenance(task: str, seed: int, checksums: dict[str, str], choices: dict[str, Any]) -> dict[str, Any]:
    """The content of provenance.json."""
    return {
        "schema_version": SCHEMA_VERSION,
        "command": " ".join(sys.argv),
        "task": task,
        "seed": seed,
        "date": datetime.now(UTC).isoformat(timespec="seconds"),
        "versions": versions(),
        "machine": machine(),
        "choices": choices,
        "data_sha256": checksums,
        "git_revision": git_revision(),
    }
