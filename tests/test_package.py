"""The package as a user gets it: built, installed elsewhere, and used from there."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import glassformer

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the built wheel in it; its dependencies are those of this environment."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "-q"]
    options = ["--no-deps", "--no-build-isolation", "--no-index"]
    source = folder / "source"
    source.mkdir()
    for name in ("pyproject.toml", "README.md", "LICENSE", "src"):
        (shutil.copytree if (ROOT / name).is_dir() else shutil.copy)(ROOT / name, source / name)
    subprocess.run([*pip, "wheel", *options, "-w", folder, source], check=True, cwd=folder)
    (wheel,) = folder.glob("glassformer-*.whl")
    subprocess.run([*pip, "install", *options, "--target", folder / "site", wheel], check=True, cwd=folder)
    return folder / "site"


def test_the_wheel_trains_and_predicts(installed: Path, tmp_path: Path) -> None:
    environment = os.environ | {"PYTHONPATH": str(installed), "GLASSFORMER_CACHE": str(tmp_path / "cache")}

    def run(*words: str) -> str:
        done = subprocess.run(
            [sys.executable, "-m", "glassformer", *words],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    where = subprocess.run(
        [sys.executable, "-c", "import glassformer; print(glassformer.__file__)"],
        cwd=tmp_path, env=environment, capture_output=True, text=True, check=True,
    ).stdout  # fmt: skip
    assert where.startswith(str(installed))
    assert "parity" in run("tasks")
    sizes = ["--data.bits", "6", "--data.strings", "64", "--fit.epochs", "1", "--threads", "1"]
    assert "run folder: run" in run("train", "parity", *sizes, "--run-dir", "run")
    assert run("predict", "run", "010101").startswith(("even", "odd"))


def test_import_is_lazy() -> None:
    code = "import sys, glassformer, glassformer.nn; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_public_names_are_there() -> None:
    assert all(getattr(glassformer, name) for name in glassformer.__all__)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = glassformer.nothing
