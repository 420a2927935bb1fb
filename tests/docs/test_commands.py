"""What the pages tell a reader to type is understood: read against the real options, and not run."""

import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import tyro
from tests.helpers import commands_in

from glassformer import cli
from glassformer.commands import train

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
COMMANDS = sorted({command for page in PAGES for command in commands_in(page.read_text(encoding="utf-8"))})


class Understood(BaseException):
    """Raised where a command has read what was typed; no handler of failures takes it for one."""


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 30
    told = {shlex.split(command)[1] for command in COMMANDS}
    assert {
        "train",
        "pretrain",
        "evaluate",
        "predict",
        "show",
        "backprop",
        "smallest",
        "verify-board",
        "compare",
        "tune",
        "diagram",
        "explain",
    } <= told


@pytest.fixture(autouse=True)
def only_read(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    parse = tyro.cli

    def parse_and_stop(*words: Any, **more: Any) -> None:
        parse(*words, **more)
        raise Understood

    def stop(*words: Any) -> None:
        raise Understood

    monkeypatch.setattr(tyro, "cli", parse_and_stop)
    # these two have no options to parse
    monkeypatch.setattr(train, "import_fit", stop)
    monkeypatch.setattr("glassformer.experiments.board.verify", stop)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "RUN").mkdir()
    for config in ("RUN/config.yaml", "best.yaml"):
        (tmp_path / config).write_text("model:\n  layers: 1\n", encoding="utf-8")


def _read(command: str) -> int:
    """0 where the command is understood, else the exit status."""
    words = shlex.split(command)[1:]
    try:
        return cli.main(["imdb" if word == "TASK" else word for word in words])
    except Understood:
        return 0
    except SystemExit as stop:  # --help
        return int(stop.code or 0)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(command: str) -> None:
    assert _read(command) == 0


@pytest.mark.parametrize(
    "command",
    ["glassformer train parity --model.layer 1", "glassformer predikt RUN x", "glassformer train imbd"],
)
def test_slips_are_not(command: str) -> None:
    assert _read(command) == 2


def test_python_of_the_api_runs() -> None:
    page = (ROOT / "docs" / "api" / "index.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    names: dict[str, Any] = {}
    exec(code, names)
    assert names["y"].shape == (2, 100, 64)
