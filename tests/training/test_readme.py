"""What the README tells a reader to type is typed here."""

import re
import shlex
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jaxtyping
import pytest
from tests.helpers import cifar10_folder, commands_in, image_folder, reviews, write_csv, write_jsonl
from tests.pretrained.published import tiny_bert

from glassformer import cli
from glassformer.commands import train

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
COMMANDS = commands_in(README)


def test_there_are_commands() -> None:
    assert len(COMMANDS) > 8
    assert {shlex.split(command)[1] for command in COMMANDS} == set(cli.COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_commands_are_understood(
    command: str, text_run: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Trainings are parsed and checked but not run; everything else is done."""
    monkeypatch.chdir(tmp_path)
    trained: list[Any] = []
    fit = SimpleNamespace(train=lambda *words, **more: trained.append(words) or text_run)
    monkeypatch.setattr(train, "import_fit", lambda: fit)
    rows = list(zip(*reviews(30), strict=True))
    write_csv(tmp_path / "reviews.csv", rows, header=("body", "mood"))
    write_jsonl(tmp_path / "others.jsonl", [(text, ("bad", "good")[label]) for text, label in rows])
    if "others.jsonl" in command:  # the run at hand was trained on columns of other names
        command = command.replace("--data.text body --data.label mood", "--data.text text --data.label label")
    attention = ROOT / "tests" / "checking" / "correct" / "multihead_einsum.py"
    (tmp_path / "attention.py").write_text(attention.read_text(encoding="utf-8"), encoding="utf-8")
    (tmp_path / "submissions" / "ada").mkdir(parents=True)
    (tmp_path / "submissions" / "ada" / "attention.py").write_text("def attention(q, k, v):\n    return v\n")
    image_folder(tmp_path / "pets", {"cat": 12, "dog": 12})
    rows = [(f"pets/{kind}/{i}.png", kind) for kind in ("cat", "dog") for i in range(3)]
    write_csv(tmp_path / "pets.csv", rows, header=("file", "kind"))
    write_csv(tmp_path / "words.csv", [("mouse", "mice")] * 5, header=("singular", "plural"))
    if "FOLDER" in command:
        tiny_bert(tmp_path / "FOLDER", "a film")
    cifar10_folder(tmp_path / "DATA")
    if "smallest" in command:  # searched in a moment, and then there is a board to verify
        monkeypatch.setattr("glassformer.experiments.smallest.ON_ITS_WAY", {})
        sizes = "--above 0.1 --steps 4 --seeds 2 --d-model 4 --d-ff 4"
        command = command.replace("--above 0.95 --budget 10", sizes)
        if "verify-board" in command:
            assert cli.main(shlex.split(f"smallest parity --data.bits 8 {sizes}")) == 0
    words = shlex.split(command.replace("RUN", str(text_run)))[1:]
    # sizes are symbols where a model is traced; the checks of shapes want numbers
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", words[0] == "export")
    assert cli.main(words) == 0
    assert len(trained) == (words[0] in ("train", "pretrain"))


def test_python_runs(text_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code,) = re.findall(r"```python\n(.*?)```", README, flags=re.S)
    names: dict[str, Any] = {}
    exec(code.replace("runs/imdb/my-run", str(text_run)), names)
    assert names["y"].shape == (2, 100, 64)
    assert len(capsys.readouterr().out.splitlines()) == 2


def test_python_of_the_page_on_runs_runs(text_run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = (ROOT / "docs" / "how-to" / "runs.md").read_text(encoding="utf-8")
    (code,) = re.findall(r"```python\n(.*?)```", page, flags=re.S)
    exec(code.replace('"RUN"', repr(str(text_run))), {})
    assert len(capsys.readouterr().out.splitlines()) == 2
