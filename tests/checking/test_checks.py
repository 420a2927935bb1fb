"""From a file or an object to a verdict: the words, the JSON, and what cannot be run."""

import inspect
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from glassformer.checking import assert_correct, check, check_file
from glassformer.checking.zygote import Zygote
from glassformer.cli import main
from glassformer.errors import UsageError
from tests.checking.seeded import attention as seeded

CORRECT = Path(__file__).parent / "correct"
FIELDS = {
    "schema_version", "target", "contract", "verdict", "mistakes", "remarks", "checks", "points", "found",
    "seconds",
}  # fmt: skip


class NoScale(nn.Module):
    """x: (batch, tokens, d_model)"""

    def __init__(self, d_model: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.q, self.k, self.v, self.o = (nn.Linear(d_model, d_model) for _ in range(4))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        q, k, v = (f(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for f in (self.q, self.k, self.v))
        return self.o(((q @ k.mT).softmax(-1) @ v).transpose(1, 2).flatten(2))


def test_a_right_file(zygote: Zygote | None) -> None:
    verdict = check_file(CORRECT / "multihead_einsum.py", zygote=zygote)
    assert (verdict.word, verdict.contract, verdict.exit_status) == ("correct", "multi-head-attention", 0)
    assert verdict.target.endswith("multihead_einsum.py:MultiHeadAttention")
    assert verdict.found["mask_true_means"] == "attend"
    assert verdict.seconds > 0


def test_the_command_writes_the_answer(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path, out = tmp_path / "mine.py", tmp_path / "answer.json"
    path.write_text(seeded.source("multihead_separate", "no-scale"), encoding="utf-8")
    assert main(["check", str(path), "--as", "multi-head attention", "--json", str(out)]) == 1
    printed = capsys.readouterr().out
    assert "INCORRECT" in printed
    assert "[no-scale]" in printed
    answer = json.loads(out.read_text(encoding="utf-8"))
    assert set(answer) == FIELDS
    assert answer["verdict"] == "incorrect"
    (mistake,) = answer["mistakes"]
    assert set(mistake) == {"id", "family", "title", "explanation", "line"}
    assert mistake["id"] == "no-scale"
    assert set(answer["found"]) == {"arguments", "parameters", "batch_first", "mask_true_means"}
    assert all(set(each) == {"name", "passed", "detail"} for each in answer["checks"])


def test_an_object_of_this_process_and_what_it_leaves_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    np.random.seed(5)  # noqa: NPY002
    drawn = np.random.rand()  # noqa: NPY002
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    mine = nn.MultiheadAttention(24, 3)
    before = {key: value.clone() for key, value in mine.state_dict().items()}
    torch.manual_seed(5)
    assert check(mine, "multi-head attention").correct
    assert all(torch.equal(value, before[key]) for key, value in mine.state_dict().items())
    assert torch.equal(torch.rand(3), wanted)
    assert np.random.rand() == drawn  # noqa: NPY002


def test_a_failing_assertion_is_the_diagnosis() -> None:
    assert_correct(nn.MultiheadAttention, "multi-head attention")
    with pytest.raises(AssertionError, match=r"INCORRECT[\s\S]*no-scale"):
        assert_correct(NoScale, "multi-head attention")


@pytest.mark.parametrize(
    ("text", "word", "message"),
    [
        ("def attention(q, k, v)\n    return q", "error", "SyntaxError: expected ':'"),
        ("import nosuchlibrary\ndef attention(q, k, v): return q", "error", "line 1: No module named"),
        (
            "def attention(q, k, v):\n    raise NotImplementedError('TODO')",
            "error",
            "line 2: not written yet",
        ),
        ("def attention(q, k, v):\n    return q / undefined", "error", "line 2: NameError"),
        (
            "from torch import nn\nclass MultiHeadAttention(nn.Module):\n"
            " def __init__(self, d_model, heads):\n"
            "  super().__init__()\n def forward(self, a, b, c, d, e): return a",
            "inconclusive",
            "does not know what a, b, c, d and e should be",
        ),
        (
            "from torch import nn\nclass Block(nn.Module):\n def __init__(self, d_model, mixer):\n"
            "  super().__init__()\n  self.mixer = mixer\n def forward(self, x): return x + self.mixer(x)",
            "inconclusive",
            "does not know what mixer should be",
        ),
    ],
)
def test_what_cannot_be_run(
    text: str, word: str, message: str, tmp_path: Path, zygote: Zygote | None
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    verdict = check_file(path, zygote=zygote)
    assert verdict.word == word
    assert message in (verdict.question or verdict.error)
    assert verdict.exit_status == (3 if word == "error" else 1)
    (check,) = [each for each in verdict.to_json()["checks"] if not each["passed"]]
    assert message in check["detail"]


def test_a_word_of_number_is_no_word_on_a_mask() -> None:
    from glassformer.nn import (
        padding_mask,
    )  # "one of `tokens` or more a row without padding" is no meaning of 1

    assert check(padding_mask, "padding-mask").correct


def test_what_it_prints_is_shown_and_costs_nothing(tmp_path: Path, zygote: Zygote | None) -> None:
    path = tmp_path / "mine.py"
    text = (CORRECT / "attention_short.py").read_text(encoding="utf-8")
    path.write_text(
        text + "\nimport sys\nprint('hello')\nprint('oh no', file=sys.stderr)\n", encoding="utf-8"
    )
    verdict = check_file(path, zygote=zygote)
    assert verdict.correct
    assert "hello" in verdict.printed
    assert "oh no" in verdict.printed


@pytest.mark.parametrize(
    ("text", "name", "message"),
    [
        ("x = 1", None, "defines no class and no function"),
        ("def attention(q, k, v): return q", "nope", "no class or function 'nope'"),
        (
            "def attention(q, k, v): return q\ndef sdpa(q, k, v): return q",
            None,
            "2 things in",
        ),
        ("def something(a): return a", None, "says neither by its name nor by its signature"),
    ],
)
def test_nothing_to_check(
    text: str, name: str | None, message: str, tmp_path: Path, zygote: Zygote | None
) -> None:
    path = tmp_path / "mine.py"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(UsageError, match=message):
        check_file(f"{path}:{name}" if name else path, zygote=zygote)


@pytest.mark.parametrize(
    ("builder", "chosen"), [("build_vocab", "MultiHeadAttention"), ("build_multiheadattention",) * 2]
)
def test_a_builder_is_taken_where_it_builds_the_class(
    builder: str, chosen: str, tmp_path: Path, zygote: Zygote | None
) -> None:
    path = tmp_path / "mine.py"
    text = (CORRECT / "multihead_einsum.py").read_text(encoding="utf-8")
    build = f"\n\ndef {builder}(d_model, heads):\n    return MultiHeadAttention(d_model, heads)\n"
    path.write_text(text + build, encoding="utf-8")
    verdict = check_file(path, "multi-head-attention", zygote=zygote)
    assert verdict.target.endswith(f":{chosen}")
    assert verdict.correct


def test_lines_are_those_of_the_class_that_was_given() -> None:
    class Outer:
        class NoScale(nn.MultiheadAttention):
            """A class inside another, of the name of one outside."""

            def forward(self, query, key, value, **options):  # type: ignore[no-untyped-def]
                return super().forward(8 * query, key, value, **options)

    verdict = check(Outer.NoScale, "multi-head attention")
    assert verdict.word == "incorrect"
    of_the_other = range(*_lines_of(NoScale))
    assert not [each.line for each in verdict.mistakes if each.line in of_the_other]


def _lines_of(found: type) -> tuple[int, int]:
    lines, first = inspect.getsourcelines(found)
    return first, first + len(lines)


@pytest.mark.parametrize("words", [["none.py"], ["mine.py", "--as", "nothing"], ["mine.py", "--seed", "-1"]])
def test_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", *words]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_ctrl_c_ends_a_check_in_this_process() -> None:
    calls = []

    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        calls.append(1)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        check(attention, "attention")
    assert len(calls) == 1
