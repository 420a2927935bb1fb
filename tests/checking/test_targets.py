"""What a check can be pointed at, and what it says of anything else."""

import ast
import json
from pathlib import Path

import pytest

from glassformer.checking import targets
from glassformer.checking.guess import contract_named, guesses
from glassformer.checking.names import inner_widths
from glassformer.checking.runner import Runner
from glassformer.checking.targets import CODE_BYTES, target
from glassformer.errors import UsageError


def notebook(path: Path, *cells: tuple[str, str]) -> Path:
    written = [{"cell_type": kind, "source": text.splitlines(keepends=True)} for kind, text in cells]
    path.write_text(json.dumps({"cells": written, "nbformat": 4}), encoding="utf-8")
    return path


def test_a_file_and_a_name(tmp_path: Path) -> None:
    path = tmp_path / "mine.py"
    path.write_text("class A: pass\nB = A\n", encoding="utf-8")
    found = target(f"{path}:A")
    assert (found.name, found.filename, found.defined) == ("A", "mine.py", ("A", "B"))
    assert found.paths == (str(tmp_path),)


def test_a_notebook_keeps_what_defines_and_leaves_out_what_works(tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "n.ipynb",
        ("markdown", "# Attention"),
        ("code", "%matplotlib inline\nimport torch\nd = torch.tensor(4)\n"),
        ("code", "def attention(q, k, v):\n    return q\n"),
        ("code", "train(\n    1)\nx = fit()\n!pip install nothing"),
        ("code", "%%bash\nls"),
    )
    found = target(str(path))
    assert "import torch" in found.text
    assert "torch.tensor(4)" in found.text
    assert "train" not in found.text
    assert "fit" not in found.text
    assert found.left_out == 2
    line = found.text.splitlines().index("    return q") + 1
    assert found.place(line) == "cell 3, line 2"


def test_only_what_ipython_reads_as_a_command_is_left_out_of_a_notebook(tmp_path: Path) -> None:
    path = notebook(
        tmp_path / "n.ipynb",
        ("code", "x = (7  # is it odd?\n     % 2)\ndef f(q):\n    return q  # scaled?\n"),
        ("code", "%matplotlib inline\nnn.Linear?\nfiles = !ls\ny = 1  # why?\n"),
    )
    text = target(str(path)).text
    assert "return q  # scaled?" in text
    assert "     % 2)" in text
    assert "y = 1" in text
    assert "Linear" not in text
    assert "ls" not in text


def test_what_shares_a_line_with_work_stays(tmp_path: Path) -> None:
    cell = (
        "import torch; work('é'); import math\nfor i in range(3):\n    work(\n    ); work()\n"
        "d = 4\nwork(\n); e = 5\n"
    )
    text = target(str(notebook(tmp_path / "n.ipynb", ("code", cell)))).text
    kept = [ast.unparse(each) for each in ast.parse(text).body if not isinstance(each, ast.Pass)]
    assert kept == ["import torch", "import math", "d = 4", "e = 5"]
    assert text.splitlines().index("d = 4") == 4


def test_too_much_code_is_told_in_a_line_and_not_parsed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    long = "x = 1\n" * (CODE_BYTES // 6 + 1)
    (tmp_path / "long.py").write_text(long, encoding="utf-8")
    for said in ("long.py", "long:A"):
        with pytest.raises(UsageError, match=r"long\.py is larger than 512 KiB"):
            target(said)
    with pytest.raises(UsageError, match="more than 512 KiB of code"):
        target(str(notebook(tmp_path / "n.ipynb", ("code", long))))


def test_a_module_is_found_without_running_anything(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "mypackage"
    package.mkdir()
    (package / "__init__.py").write_text("raise SystemExit('it ran')", encoding="utf-8")
    (package / "parts.py").write_text("class A: pass", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    found = target("mypackage.parts:A")
    assert (found.module, found.name, found.paths) == ("mypackage.parts", "A", (str(tmp_path),))


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ("none.py", "there is no file none.py"),
        ("none/mine.py:A", "there is no file none/mine.py"),
        ("folder", "is a folder"),
        ("data.txt", "neither a Python file nor a notebook"),
        ("empty.py", "is empty"),
        ("latin.py", "not UTF-8"),
        ("broken.ipynb", "no notebook that can be read"),
        ("words.ipynb", "has no code"),
        ("latin:A", "not UTF-8"),
        ("nosuchmodule.part:A", "no module 'nosuchmodule'"),
        ("json.nothing:A", "no module 'json.nothing'"),
        ("what is this", "neither a file nor a module"),
        ("empty.py:", "ends in a colon"),
    ],
)
def test_anything_else_is_refused(
    said: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "folder").mkdir()
    (tmp_path / "data.txt").write_text("x", encoding="utf-8")
    (tmp_path / "empty.py").write_text("\n", encoding="utf-8")
    (tmp_path / "latin.py").write_bytes("x = 'é'".encode("latin-1"))
    (tmp_path / "broken.ipynb").write_text("{", encoding="utf-8")
    notebook(tmp_path / "words.ipynb", ("markdown", "only words"))
    with pytest.raises(UsageError) as raised:
        target(said)
    assert message in str(raised.value)
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("text", "slug"),
    [
        ("def scaled_dot_product_attention(q, k, v, mask=None): pass", "attention"),
        ("class MultiHeadAttention:\n def __init__(self, d_model, heads): pass", "multi-head-attention"),
        ("class MHA:\n def __init__(self, config): pass", "multi-head-attention"),
        (
            "from torch import nn\nclass SelfAttention(nn.Module):\n"
            " def __init__(self, d_model, d_k): pass\n def forward(self, x): pass",
            "self-attention",
        ),
        (
            "from torch import nn\nclass SelfAttention(nn.Module):\n"
            " def __init__(self, d_model, num_heads): pass\n def forward(self, x): pass",
            "multi-head-attention",
        ),
        (
            "from torch import nn\nclass LlamaBlock(nn.Module):\n"
            " def __init__(self, dim, n_heads): pass\n def forward(self, x, mask=None): pass",
            "transformer-block",
        ),
        (
            "from torch import nn\nclass LlamaLayer(nn.Module):\n"
            " def __init__(self, dim, n_heads): pass\n def forward(self, x, mask=None): pass",
            "transformer-block",
        ),
        (
            "from torch import nn\nclass FirstLayer(nn.Module):\n"
            " def __init__(self, dim): pass\n def forward(self, x): pass",
            "self-attention",
        ),
        (
            "from torch import nn\nclass CrossBlock(nn.Module):\n"
            " def __init__(self, dim, n_heads): pass\n def forward(self, x, memory): pass",
            "decoder-block",
        ),
        ("class SelfAttention2d:\n def __init__(self, channels): pass", "self-attention-2d"),
        ("def simple_self_attention(x): pass", "parameter-free-self-attention"),
    ],
)
def test_the_contract_is_guessed(text: str, slug: str) -> None:
    offer = Runner().load(text, "f.py")[-1]
    assert guesses(offer)[0][0] == slug


@pytest.mark.parametrize("name", ["AttentionLayer", "AttnBlock", "MyLayer"])
def test_a_layer_may_be_attention_alone(name: str) -> None:
    text = (
        f"from torch import nn\nclass {name}(nn.Module):\n def __init__(self, dim, heads): pass\n"
        " def forward(self, x, context=None): pass"
    )
    slugs = [slug for slug, _ in guesses(Runner().load(text, "f.py")[-1])]
    assert "multi-head-attention" in slugs


@pytest.mark.parametrize(
    ("names", "inner"),
    [
        (["dim", "n_heads", "hidden_dim"], ["hidden_dim"]),
        (["hidden_size", "num_heads", "hidden_dim"], ["hidden_dim"]),
        (["input_dim", "hidden_dim", "heads"], ["hidden_dim"]),
        (["hidden_size", "num_heads", "intermediate_size"], []),
        (["hidden_dim", "n_heads", "ff_dim", "input_dim"], []),
        (["hidden_size", "num_heads"], []),
    ],
)
def test_which_width_is_the_feed_forward_layer_s(names: list[str], inner: list[str]) -> None:
    assert inner_widths(names) == inner


def test_a_contract_by_its_title_or_slug() -> None:
    assert contract_named("Multi-Head Attention") == contract_named("multi-head-attention")
    with pytest.raises(UsageError, match="did you mean multi-head-attention"):
        contract_named("multi-head-atention")


def test_a_cell_that_is_too_large_is_not_parsed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    half = "a," * (CODE_BYTES // 4 + 1) + "0"
    path = notebook(tmp_path / "n.ipynb", ("code", half), ("code", half))
    monkeypatch.setattr(targets, "ast", None)
    with pytest.raises(UsageError, match="more than 512 KiB of code"):
        target(str(path))


def test_a_lower_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = notebook(tmp_path / "n.ipynb", ("code", "x = 1\nwork()\n"))
    assert target(str(path), 15).size == 15
    monkeypatch.setattr(targets, "ast", None)
    with pytest.raises(UsageError):
        target(str(path), 14)
