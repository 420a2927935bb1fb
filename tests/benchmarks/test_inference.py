"""The sides of the benchmark of inference compute the same from the same tokens; its batches lose none."""

import importlib
from pathlib import Path
from typing import Any

import pytest
import torch

from glassformer import pretrained
from glassformer.nn.packed import can_pack
from glassformer.training.machine import Machine
from tests.pretrained.published import random_model

ROWS = [[3, 5, 7, 11], [2], [13, 17], [19, 23, 29, 31, 4, 6], [8, 9]]


@pytest.fixture(scope="module")
def script() -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).resolve().parents[2] / "benchmarks"))
        yield importlib.import_module("inference")


def rows_of(batches: list[tuple[Any, Any]]) -> list[list[int]]:
    found = []
    for ids, mask in batches:
        real = torch.ones_like(ids, dtype=torch.bool) if mask is None else mask
        found += [row[of_row].tolist() for row, of_row in zip(ids, real, strict=True)]
    return found


@pytest.mark.parametrize("tokens", [1, 6, 8, 100])
def test_batches_hold_every_review_once(script: Any, tokens: int) -> None:
    batches = script.like_length(ROWS, tokens)
    assert sorted(rows_of(batches)) == sorted(ROWS)
    assert all(ids.numel() <= tokens or len(ids) == 1 for ids, _ in batches)
    assert sorted(rows_of(script.as_shipped(ROWS))) == sorted(ROWS)


def test_all_forms_give_the_same_vectors(script: Any, tmp_path: Path) -> None:
    random_model("bert").save_pretrained(tmp_path)
    machine = Machine(torch.device("cpu"), "fp32", 1)
    ids, mask = script.padded(ROWS)
    left_out = {"compiled"} if can_pack(pretrained.load(str(tmp_path))) else {"compiled", "packed"}
    forms = {name: form for name, form in script.VARIANTS.items() if not left_out & set(form)}
    with torch.no_grad():
        exact = script.build({"side": "newcomer"}, tmp_path, machine)(ids, mask)
        apart = torch.pdist(exact).min()  # of the two reviews that are most alike
        for name, form in forms.items():
            with torch.autocast("cpu", torch.bfloat16, enabled=form.get("precision") == "autocast"):
                vectors = script.build(form, tmp_path, machine)(ids, mask)
            error = (vectors - exact).norm(dim=1).max()
            in_fp32 = form["side"] in ("newcomer", "shipped") or form.get("precision") == "fp32"
            assert error < (1e-4 if in_fp32 else apart / 8), name


@pytest.mark.parametrize("words", [[], ["--data-dir", ".", "--variants", "theirs"]])
def test_slips_are_one_line(
    script: Any, words: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("GLASSFORMER_DATA", raising=False)
    monkeypatch.setattr("sys.argv", ["inference.py", *words])
    with pytest.raises(SystemExit) as stop:
        script.main()
    assert stop.value.code == 2
    assert capsys.readouterr().err.splitlines()[-1].startswith("inference.py: error: ")
