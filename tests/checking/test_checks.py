"""From a file or an object to a verdict: the words, the JSON, and what cannot be run."""

import inspect
import json
import random
import re
import unicodedata
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from glassformer.checking import assert_correct, check, check_file
from glassformer.checking.telling import told
from glassformer.checking.zygote import Zygote
from glassformer.cli import main
from glassformer.errors import UsageError
from tests.checking.seeded import attention as seeded

CORRECT = Path(__file__).parent / "correct"
FIELDS = {
    "schema_version", "target", "contract", "verdict", "mistakes", "remarks", "checks", "points", "found",
    "seconds",
}  # fmt: skip
MORE = {"fits", "guessed", "located", "not_tried", "printed", "question", "understood"}


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
    assert set(answer) == FIELDS | MORE
    assert answer["verdict"] == "incorrect"
    (mistake,) = answer["mistakes"]
    assert {"id", "family", "title", "explanation", "line"} < set(mistake)
    assert mistake["id"] == "no-scale"
    for shown in (mistake["hint"], mistake["see"], mistake["code"]):
        assert shown
        assert " ".join(shown.split()[:5]) in " ".join(printed.split()), (
            "what the terminal shows stands in it"
        )
    assert set(answer["found"]) == {"arguments", "parameters", "batch_first", "mask_true_means"}
    assert all(set(each) == {"name", "passed", "detail"} for each in answer["checks"])


def test_an_object_of_this_process_and_what_it_leaves_alone() -> None:
    torch.manual_seed(5)
    wanted = torch.rand(3)
    np.random.seed(5)  # noqa: NPY002
    drawn = np.random.rand()  # noqa: NPY002
    random.seed(5)
    torch.manual_seed(5)
    np.random.seed(5)  # noqa: NPY002
    python = random.getstate()
    mine = nn.MultiheadAttention(24, 3)
    before = {key: value.clone() for key, value in mine.state_dict().items()}
    torch.manual_seed(5)
    assert check(mine, "multi-head attention").correct
    assert all(torch.equal(value, before[key]) for key, value in mine.state_dict().items())
    assert torch.equal(torch.rand(3), wanted)
    assert np.random.rand() == drawn  # noqa: NPY002

    def attention(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        random.random()
        return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v

    assert check(attention).correct
    assert random.getstate() == python


class Plain:
    def __call__(self, q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
        return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v


class Uncalled:
    """A network that is trained by a method, with the cross-entropy as its loss."""

    def __init__(self, features: int, hidden: int, output: int) -> None:
        self.W1, self.b1 = np.ones((features, hidden)), np.zeros(hidden)
        self.W2, self.b2 = np.ones((hidden, output)), np.zeros(output)

    def forward(self, X: np.ndarray) -> np.ndarray:
        self.X, self.A1 = X, 1 / (1 + np.exp(-(X @ self.W1 + self.b1)))
        self.A2 = 1 / (1 + np.exp(-(self.A1 @ self.W2 + self.b2)))
        return self.A2

    def backward(self, y: np.ndarray) -> dict[str, np.ndarray]:
        d2 = (self.A2 - y) / len(y)
        d1 = d2 @ self.W2.T * self.A1 * (1 - self.A1)
        return {"W1": self.X.T @ d1, "b1": d1.sum(0), "W2": self.A1.T @ d2, "b2": d2.sum(0)}


def test_an_instance_of_a_plain_class() -> None:
    assert check(Plain(), "attention").correct
    verdict = check(Uncalled(3, 4, 1), "numpy-backward")
    assert (verdict.word, verdict.target) == ("correct", "Uncalled")
    with pytest.raises(UsageError, match="3 cannot be checked"):
        check(3, "attention")


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


# ------------------------------------------------------------------ what a newcomer reads

SQUARED = """
import torch
from torch import nn


class SelfAttention(nn.Module):
    def __init__(self, d_model, num_heads):
        super().__init__()
        self.num_heads = num_heads
        self.q, self.k, self.v, self.out = (nn.Linear(d_model, d_model) for _ in range(4))

    def heads(self, t):
        return t.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)

    def forward(self, x, mask=None, cache=None, need_weights=False):
        q, k, v = self.heads(self.q(x)), self.heads(self.k(x)), self.heads(self.v(x))
        scores = q @ k.transpose(-1, -2) / q.shape[-1] ** 0.5
        weights = torch.softmax(scores, -1)
        weights = weights**2
        return self.out((weights @ v).transpose(1, 2).flatten(2))
"""


def written(path: Path, text: str) -> str:
    path.write_text(text, encoding="utf-8")
    return str(path)


def test_of_an_unknown_mistake_it_is_said_where_it_begins(tmp_path: Path, zygote: Zygote | None) -> None:
    verdict = check_file(written(tmp_path / "mine.py", SQUARED), zygote=zygote, patience=0.1)
    (mistake,) = verdict.mistakes
    assert (mistake.id, mistake.line, mistake.code) == ("unknown", None, ""), "an innocent line is not shown"
    located = verdict.to_json()["located"]
    assert (located["right"], located["differs"]) == ("weights", "context")
    assert located["code"] == "weights = torch.softmax(scores, -1)"
    lines = told(verdict).splitlines()
    assert "    still right: the weights, line 18: weights = torch.softmax(scores, -1)" in lines
    assert all("weights" not in line for line in lines if "FAIL" in line)


def test_what_was_not_tried_is_said(tmp_path: Path, zygote: Zygote | None) -> None:
    verdict = check_file(written(tmp_path / "mine.py", SQUARED), zygote=zygote, patience=0.1)
    assert [each.partition(":")[0] for each in verdict.left_out] == [
        "argument `mask`", "argument `cache`", "argument `need_weights`", "gradients",
    ]  # fmt: skip
    assert "argument `cache`: nothing the checker knows fits it" in told(verdict)
    assert "1 of 2 passed; 4 not tried" in told(verdict)
    text = SQUARED.replace("weights**2", "weights").replace("mask=None, ", "")
    right = check_file(written(tmp_path / "right.py", text), zygote=zygote)
    assert right.correct
    assert not any("gradients" in each for each in right.left_out)


def test_a_line_is_only_probable(tmp_path: Path, zygote: Zygote | None) -> None:
    path = written(tmp_path / "mine.py", seeded.source("multihead_separate", "softmax-over-queries"))
    assert re.search(r"^  probably line \d+: .*softmax", told(check_file(path, zygote=zygote)), re.M)


def test_a_line_of_a_notebook_is_one_of_its_cell(tmp_path: Path, zygote: Zygote | None) -> None:
    head = "import math"
    body = "def attention(q, k, v):\n    scores = q @ k.mT\n    return scores.softmax(-1) @ v"
    cells = [{"cell_type": "markdown", "source": ["x"]}]
    cells += [{"cell_type": "code", "source": each.splitlines(keepends=True)} for each in (head, body)]
    path = written(tmp_path / "mine.ipynb", json.dumps({"cells": cells, "nbformat": 4}))
    (mistake,) = check_file(path, zygote=zygote).to_json()["mistakes"]
    assert (mistake["cell"], mistake["line"], mistake["code"]) == (3, 2, "scores = q @ k.mT")


def test_torchs_warnings_are_not_shown_as_the_codes_own(tmp_path: Path, zygote: Zygote | None) -> None:
    text = (
        "import warnings\nimport torch\nfrom torch import nn\nclass MultiHeadAttention(nn.Module):\n"
        " def __init__(self, d_model, heads):\n"
        "  super().__init__()\n  warnings.warn('my own')\n"
        "  layer = nn.TransformerEncoderLayer(d_model, heads, batch_first=True)\n"
        "  self.used = nn.TransformerEncoder(layer, 1).layers[0].self_attn\n"
        " def forward(self, x): return self.used(x, x, x)[0]"
    )
    verdict = check_file(written(tmp_path / "mine.py", text), zygote=zygote)
    assert "my own" in verdict.printed
    assert "enable_nested_tensor" not in verdict.printed


PATCHIFY = """
def patchify(images, patch_size):
    b, c, h, w = images.shape
    return images.reshape(b, (h // patch_size) * (w // patch_size), c * patch_size**2)
"""


@pytest.mark.parametrize("slug", ["transformer-block", "multi-head-attention", "layer-norm"])
def test_a_contract_that_does_not_fit_is_told(slug: str, tmp_path: Path, zygote: Zygote | None) -> None:
    verdict = check_file(written(tmp_path / "mine.py", PATCHIFY), slug, zygote=zygote)
    assert (verdict.word, verdict.mistakes, verdict.fits) == ("inconclusive", (), "patchify")
    assert "does not look like" in told(verdict)
    assert "--as patchify" in told(verdict)
    (looked,) = verdict.to_json()["checks"]
    assert (looked["name"], looked["passed"]) == ("it looks like the contract", False)


def test_a_contract_that_fits_is_kept(tmp_path: Path, zygote: Zygote | None) -> None:
    path = written(tmp_path / "mine.py", SQUARED)
    verdict = check_file(path, "multi-head-attention", zygote=zygote, patience=0.1)
    assert (verdict.word, verdict.fits) == ("incorrect", "")


def test_accents_may_be_typed_either_way(tmp_path: Path, zygote: Zygote | None) -> None:
    text = "def größe(q, k, v):\n    return (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v\nx = 1\n"
    for typed, kept in (("NFC", "NFD"), ("NFD", "NFC")):
        written(tmp_path / f"{unicodedata.normalize(kept, 'übung')}.py", text)
        said = unicodedata.normalize(typed, f"{tmp_path}/übung.py:größe")
        verdict = check_file(said, "attention", zygote=zygote)
        assert verdict.correct
        assert verdict.target.endswith(unicodedata.normalize("NFC", ":größe"))
        assert verdict.target.count("größe") == 1


def test_a_helper_that_only_its_argument_makes_attention_is_no_candidate(
    tmp_path: Path, zygote: Zygote | None
) -> None:
    text = "import math\ndef sigmoid(z):\n    return 1 / (1 + (-z).exp())\n" + PATCHIFY
    assert check_file(written(tmp_path / "mine.py", text), zygote=zygote).contract == "patchify"


def test_what_the_words_say_of_a_mask_is_a_check_that_fails(tmp_path: Path, zygote: Zygote | None) -> None:
    text = (
        'def mean_pool(x, padding_mask):\n    """padding_mask: True where a token is padding"""\n'
        "    m = padding_mask.unsqueeze(-1).float()\n    return (x * m).sum(1) / m.sum(1)\n"
    )
    verdict = check_file(written(tmp_path / "mine.py", text), zygote=zygote)
    assert [each.id for each in verdict.mistakes] == ["padding-inverted"]
    assert not all(each.passed for each in verdict.checks)


ATTENTION = """import math

def attention(q, k, v):
    {}
    return (q @ k.transpose(-2, -1) / math.sqrt(q.shape[-1])).softmax(-1) @ v
"""


@pytest.mark.parametrize(
    ("line", "failed"),
    [
        ("q = q * 1.0", set()),
        ("q = q.bfloat16().to(q.dtype) if q.dtype.itemsize == 4 else q", {"float32"}),
        ("q = 2 * q if q.dtype.itemsize == 2 else q", {"bfloat16", "float16"}),
    ],
)
def test_every_number_format_is_held_against_its_own_rounding(
    line: str, failed: set[str], tmp_path: Path
) -> None:
    file = tmp_path / "attention.py"
    file.write_text(ATTENTION.format(line))
    verdict = check_file(file)
    assert {each.name for each in verdict.checks if not each.passed} == failed
    assert verdict.correct == (not failed)
    told = {each.name: each for each in verdict.checks}
    assert "of its size" in told["autocast (information)"].detail
    assert "torch.compile (information)" not in told


def test_what_torch_compile_makes_of_it_is_told_where_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "attention.py"
    file.write_text(ATTENTION.format("print(q)"))
    verdict = check_file(file, compiles=True)
    assert verdict.correct
    (told,) = (each for each in verdict.checks if each.name == "torch.compile (information)")
    assert told.passed
    assert told.detail.startswith("does not run: Unsupported")


@pytest.mark.parametrize(
    ("line", "word"), [("", "correct"), ("x = x if self.heads > 1 else 2 * x", "incorrect")]
)
def test_one_head_is_looked_at_too(line: str, word: str, tmp_path: Path) -> None:
    text = (Path(__file__).parent / "correct" / "multihead_sdpa.py").read_text(encoding="utf-8")
    file = tmp_path / "mha.py"
    file.write_text(text.replace("        context = x if", f"        {line}\n        context = x if"))
    verdict = check_file(file)
    assert verdict.word == word
    assert [each.passed for each in verdict.checks if each.name == "one head"] == [word == "correct"]


GROUPED = """from torch import nn


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, n_heads, n_kv_heads):
        super().__init__()
        self.heads, self.kv, d_head = n_heads, n_kv_heads, d_model // n_heads
        self.wq, self.wo = nn.Linear(d_model, d_model), nn.Linear(d_model, d_model)
        self.wk, self.wv = nn.Linear(d_model, n_kv_heads * d_head), nn.Linear(d_model, n_kv_heads * d_head)

    def forward(self, x):
        q = self.wq(x).unflatten(-1, (self.heads, -1)).transpose(1, 2)
        k, v = (w(x).unflatten(-1, (self.kv, -1)).transpose(1, 2) for w in (self.wk, self.wv))
        k, v = (each.repeat_interleave(self.heads // self.kv, 1) for each in (k, v))
        y = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return self.wo(y.transpose(1, 2).flatten(2))
"""


def test_what_it_was_built_with_is_told_and_that_groups_of_queries_were_not(tmp_path: Path) -> None:
    file = tmp_path / "grouped.py"
    file.write_text(GROUPED)
    answer = told(check_file(file))
    assert "CORRECT" in answer
    assert "built with: d_model=24, n_heads=3, n_kv_heads=3" in answer
    assert "not tried: `n_kv_heads` other than the number of heads" in answer


def test_a_mask_whose_name_says_what_it_means_is_held_to_it(tmp_path: Path) -> None:
    file = tmp_path / "attention.py"
    file.write_text(
        "def attention(q, k, v, blocked=None):\n"
        "    s = q @ k.transpose(-2, -1) / q.shape[-1] ** 0.5\n"
        "    s = s if blocked is None else s.masked_fill(~blocked, -1e9)\n"
        "    return s.softmax(-1) @ v\n"
    )
    assert "padding-inverted" in {id for each in check_file(file).mistakes for id in each.family}


def test_right_code_with_an_argument_that_was_never_given_is_right_with_a_reservation(tmp_path: Path) -> None:
    file = tmp_path / "attention.py"
    file.write_text(ATTENTION.replace("q, k, v)", "q, k, v, cache=None)").format("q = q * 1.0"))
    assert "CORRECT in what was looked at; never given: cache" in told(check_file(file))


REFUSES = """from torch import nn


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, heads, bias=True):
        super().__init__()
        {refuses}
        self.heads = heads
        self.wq, self.wv, self.wo = (nn.Linear(d_model, d_model, bias=bias) for _ in range(3))
        self.wk = nn.Linear(d_model, d_model, bias={key_bias})

    def forward(self, x):
        {slow}
        q, k, v = (w(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        y = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return self.wo(y.transpose(1, 2).flatten(2))
"""


def refusing(tmp_path: Path, refuses: str = "", slow: str = "", key_bias: str = "bias") -> Path:
    file = tmp_path / "mha.py"
    file.write_text(REFUSES.format(refuses=refuses, slow=slow, key_bias=key_bias))
    return file


def test_code_that_refuses_one_head_is_right_with_several(tmp_path: Path) -> None:
    verdict = check_file(refusing(tmp_path, 'assert heads > 1, "use SelfAttention"'))
    assert verdict.correct
    (look,) = (each for each in verdict.checks if each.name.startswith("one head"))
    assert "use SelfAttention" in look.detail


def test_of_slow_code_one_head_is_not_looked_at(tmp_path: Path) -> None:
    verdict = check_file(refusing(tmp_path, slow="__import__('time').sleep(0.2)"), budget=9.0)
    assert verdict.correct
    (look,) = (each for each in verdict.checks if each.name.startswith("one head"))
    assert "too long" in look.detail


def test_a_key_bias_that_lacks_is_a_remark(tmp_path: Path) -> None:
    verdict = check_file(refusing(tmp_path, key_bias="False"))
    assert verdict.correct
    assert [each.id for each in verdict.remarks] == ["missing-bias"]


ROTARY = """import torch
from torch import nn


class MultiHeadAttention(nn.Module):
    def __init__(self, d_model, heads):
        super().__init__()
        self.heads = heads
        self.wq, self.wk, self.wv, self.wo = (nn.Linear(d_model, d_model) for _ in range(4))

    def {turn}(self, x):
        angle = torch.arange(x.shape[-2])[:, None] * 100.0 ** -torch.linspace(0, 1, x.shape[-1] // 2)
        a, b = x.chunk(2, -1)
        return torch.cat([a * angle.cos() - b * angle.sin(), b * angle.cos() + a * angle.sin()], -1)

    def forward(self, x):
        q, k, v = (w(x).unflatten(-1, (self.heads, -1)).transpose(1, 2) for w in (self.wq, self.wk, self.wv))
        q, k = self.{turn}(q), self.{turn}(k)
        y = (q @ k.mT / q.shape[-1] ** 0.5).softmax(-1) @ v
        return self.wo(y.transpose(1, 2).flatten(2))


class MyBlock(nn.Module):
    def __init__(self, dim, n_heads, hidden_dim):
        super().__init__()
        self.attention = MultiHeadAttention(dim, n_heads)
        self.norm1, self.norm2 = nn.LayerNorm(dim), nn.LayerNorm(dim)
        self.ff1, self.ff2 = nn.Linear(dim, hidden_dim), nn.Linear(hidden_dim, dim)

    def forward(self, x):
        x = x + self.attention(self.norm1(x))
        return x + self.ff2(self.ff1(self.norm2(x)).relu())
"""


@pytest.mark.parametrize("target", ["MultiHeadAttention", "MyBlock"])
@pytest.mark.parametrize(("turn", "word"), [("apply_rope", "inconclusive"), ("apply_europe", "incorrect")])
def test_what_no_contract_has_is_said_and_blamed_for_nothing(
    target: str, turn: str, word: str, tmp_path: Path
) -> None:
    file = tmp_path / "mha.py"
    file.write_text(ROTARY.format(turn=turn))
    verdict = check_file(f"{file}:{target}", patience=0.2)
    assert verdict.contract == {"MyBlock": "transformer-block"}.get(target, "multi-head-attention")
    assert verdict.word == word
    assert ("rotary positions" in told(verdict)) == (word == "inconclusive")
    if target == "MyBlock" and word == "incorrect":
        assert "That transformer block is meant was guessed" in told(verdict)
        assert "was guessed. If" not in told(
            check_file(f"{file}:{target}", "transformer-block", patience=0.2)
        )
