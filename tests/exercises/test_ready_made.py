"""Attention of somebody else gives nothing, however it is reached; one's own is never taken for it."""

import ast
import time

import pytest
import torch

from glassformer.checking.usage import Usage
from glassformer.checking.zygote import Zygote
from glassformer.exercises.marking import Mark, mark
from glassformer.exercises.sheets import SHEETS
from glassformer.exercises.submissions import Submission
from glassformer.exercises.tracing import File, Trace

TITLE = "scaled dot-product attention"
USES = "def scaled_dot_product_attention(q, k, v, mask=None):\n    return attend(q, k, v, mask)\n"
WRITTEN = (
    "def attend(q, k, v, mask=None):\n"
    "    s = q @ k.transpose(-2, -1) / k.shape[-1] ** 0.5\n"
    "    if mask is not None:\n"
    "        s = s.masked_fill(~mask, float('-inf'))\n"
    "    return (s.softmax(-1) @ v).nan_to_num()\n"
)
FROM_TORCH = "from torch.nn.functional import scaled_dot_product_attention as attend\n"
FROM_HOUSE = "from glassformer.nn import explicit_attention as attend\n"
DECOY = f"{WRITTEN}if len('decoy') == 5:\n    {FROM_HOUSE}"


def judged(zygote: Zygote | None, **files: str) -> Mark:
    texts = {f"{name}.py": text.encode() for name, text in files.items()}
    marks = mark(SHEETS["attention"], Submission("eve", texts), zygote=zygote)
    return next(each for each in marks.marks if each.criterion == TITLE)


@pytest.mark.parametrize(
    "files",
    [
        {"attention": "from glassformer.nn import *\n" + USES.replace("attend(", "explicit_attention(")},
        {"attention": "from torch.nn.functional import *\n" + USES.replace("attend(", "flex_attention(")},
        {"attention": f"if True:\n    {FROM_HOUSE}{USES}"},
        {"attention": f"try:\n    {FROM_TORCH}except ImportError:\n    pass\n{USES}"},
        {"attention": f"import contextlib\nwith contextlib.nullcontext():\n    {FROM_HOUSE}{USES}"},
        {"attention": DECOY + USES},
        {"attention": f"import torch.nn as n\nattend, _ = n.functional.flex_attention, 1\n{USES}"},
        {"attention": "if True:\n    " + FROM_HOUSE + "    " + USES.replace("\n  ", "\n      ")},
        {"attention": USES.replace("    return", f"    {FROM_HOUSE}    return")},
        {"attention": "from helper import attend\n" + USES, "helper": FROM_HOUSE},
        {"attention": "from pk.helper import attend\n" + USES, "pk/helper": FROM_HOUSE},
        {"attention": "from pk import helper\n" + USES.replace("return ", "return helper."),
         "pk/helper": FROM_HOUSE, "pk/__init__": ""},
        {"attention": "from pk import attend\n" + USES, "pk/__init__": "from .helper import attend\n",
         "pk/helper": FROM_HOUSE},
        {"attention": "from pk.helper import *\n" + USES, "pk/helper": FROM_HOUSE},
        {"attention": "import pk.helper\n" + USES.replace("return attend", "return pk.helper.attend"),
         "pk/helper": FROM_TORCH},
        {"attention": "from test_helper import attend\n" + USES, "test_helper": FROM_HOUSE},
        {"attention": "from helper import attend\n" + USES, "helper": WRITTEN, "other/helper": FROM_TORCH},
        {"attention": "from .helper import attend\n" + USES, "helper": FROM_TORCH},
        {"attention": "from pk.helper import attend\n" + USES, "pk/helper": "from . import attend\n",
         "pk/__init__": FROM_HOUSE},
        {"attention": f"def bring():\n    global attend\n    {FROM_HOUSE}bring()\n{USES}"},
        {"attention": "from torch._higher_order_ops.flex_attention import math_attention as attend\n" + USES},
        {"attention": "from torch.nn.attention.flex_attention import *\n" + USES},
        {"attention": USES.replace("attend", "__import__('torch').nn.functional.scaled_dot_product_attention")
         .replace("scaled_dot_product_attention(q, k, v, mask=None)", "ScaledDotProductAttention(q, k, v)")},
        {"attention": f"import importlib\nattend = importlib.import_module('glassformer.nn').attend\n{USES}"},
        {"attention": "from torch.nn import functional as F\n"
         + USES.replace("attend", "getattr(F, 'scaled_dot_product_attention')")},
        {"attention": "from torch.nn import functional as F\n"
         + USES.replace("attend", "vars(F)['scaled_dot_product_attention']")},
        {"attention": "from torch.nn import functional as F\n"
         + USES.replace("attend", "F.__dict__['scaled_dot_product_attention']")},
    ],
)  # fmt: skip
def test_however_it_is_reached(files: dict[str, str]) -> None:
    found = judged(None, **files)
    assert (found.got, found.word) == (0, "incorrect"), found
    assert [each["id"] for each in found.mistakes] == ["ready-made-attention"]
    assert "line" in found.message


@pytest.mark.parametrize(
    "body",
    [
        "getattr(torch.nn.functional, 'scaled_dot_' + 'product_attention')(q, k, v, attn_mask=mask)",
        "getattr(__import__('glassformer' + '.nn').nn, 'explicit' + '_attention')(q, k, v)",
        "getattr(torch.onnx.ops, 'atten' + 'tion')(q[None], k[None], v[None])[0][0]",
    ],
)
def test_what_only_shows_when_it_computes(body: str, zygote: Zygote | None) -> None:
    found = judged(zygote, attention=f"import torch\n{USES.replace('attend(q, k, v, mask)', body)}")
    assert (found.got, found.word) == (0, "incorrect"), found
    assert [each["id"] for each in found.mistakes] == ["ready-made-attention"]
    assert "attention.py, line 3" in found.message


HIDDEN = "getattr(torch.nn.functional, 'scaled_dot_' + 'product_attention')"
OVERRIDDEN = "torch.overrides.handle_torch_function(lambda *a: {0}(*a), (q,), q, k, v, mask)"
WRAPPED = "inner = torch.overrides.wrap_torch_function(lambda *a: a)(lambda *a: {0}(*a))\n"
SUBCLASS = """
class Hides(torch.Tensor):
    @classmethod
    def __torch_function__(cls, func, types, args=(), kwargs=None):
        with torch._C.DisableTorchFunctionSubclass():
            return args[0].hidden()

    @classmethod
    def of(cls, q, hidden):
        made = q.as_subclass(cls)
        made.hidden = hidden
        return made

"""
CUSTOM = """
@torch.library.custom_op("eve::a", mutates_args=())
def inner(q: torch.Tensor, k: torch.Tensor, v: torch.Tensor) -> torch.Tensor:
    return {0}(q, k, v).clone()


"""
THREAD = """
from concurrent.futures import ThreadPoolExecutor

POOL = ThreadPoolExecutor(1)
POOL.submit(int).result()


def inner(q, k, v):
    return POOL.submit(lambda: {0}(q, k, v)).result()


"""
TRACED = "inner = torch.jit.trace(lambda q, k, v: {0}(q, k, v), (torch.ones(1, 2, 2),) * 3)\n"


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("", OVERRIDDEN),
        (WRAPPED, "inner(q, k, v, mask)"),
        (SUBCLASS, "Hides.of(q, lambda: {0}(q, k, v, mask)).exp()"),
        (CUSTOM, "inner(q, k, v) if mask is None else {1}(q, k, v, mask)"),
        (THREAD, "inner(q, k, v) if mask is None else {1}(q, k, v, mask)"),
        (TRACED, "inner(q, k, v) if mask is None else {1}(q, k, v, mask)"),
    ],
)
def test_however_it_hides_its_kernels_are_seen(text: str, body: str, zygote: Zygote | None) -> None:
    text = f"import torch\nimport torch.overrides\n{WRITTEN}\n" + text.format(HIDDEN)
    body = body.format(HIDDEN, "attend")
    found = judged(zygote, attention=text + USES.replace("attend(q, k, v, mask)", body))
    assert (found.got, found.word) == (0, "incorrect"), found
    assert [each["id"] for each in found.mistakes] == ["ready-made-attention"]


OURS = "getattr(__import__('glassformer' + '.nn').nn, 'explicit' + '_attention')"


@pytest.mark.parametrize(
    ("text", "body"),
    [
        ("", OVERRIDDEN),
        (WRAPPED, "inner(q, k, v, mask)"),
        (SUBCLASS, "Hides.of(q, lambda: {0}(q, k, v, mask)).exp()"),
    ],
)
def test_what_runs_in_place_of_torch_s_functions_is_for_a_person(
    text: str, body: str, zygote: Zygote | None
) -> None:
    text = "import torch\nimport torch.overrides\n" + text.format(OURS)
    found = judged(zygote, attention=text + USES.replace("attend(q, k, v, mask)", body.format(OURS)))
    assert (found.got, found.word) == (0, "inconclusive"), found
    assert "functions of one's own run there" in found.message
    assert "attention.py, line" in found.message


def test_but_only_where_it_is_right(zygote: Zygote | None) -> None:
    own = OVERRIDDEN.format("(lambda q, k, v, mask: q * 2)")
    text = "import torch\nimport torch.overrides\n" + USES.replace("attend(q, k, v, mask)", own)
    found = judged(zygote, attention=text)
    assert (found.got, found.word) == (0, "incorrect")
    assert "functions of one's own" not in found.message


HONEST = """
import torch
from torch import nn


class Weights(nn.Module):
    def __init__(self):
        super().__init__()
        self.w = nn.Parameter(torch.eye(3))
        self.turn = nn.utils.parametrizations.orthogonal(nn.Linear(3, 3, bias=False))


def attend(q, k, v, mask=None):
    w, one = WEIGHTS.w, torch.ones(1, 3)
    w.T, w.mT, w.shape, w.data, w.t(), w.detach(), list(w)
    WEIGHTS.turn(one.to(w.dtype)), nn.Linear(2, 2), nn.LazyLinear(2)(one)
    s = torch.vmap(lambda one: one / k.shape[-1] ** 0.5)(q @ k.transpose(-2, -1))
    if mask is not None:
        s = s.masked_fill(~mask, float("-inf"))
    s = torch.utils.checkpoint.checkpoint(lambda x: x.softmax(-1), s, use_reentrant=False)
    return (s @ v).nan_to_num()


WEIGHTS = Weights()
"""


def test_the_look_at_kernels_prints_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    watch = Usage(("scaled_dot_product_attention",), ())
    with watch:
        torch.ones(2, 3).softmax(-1)
    assert capfd.readouterr() == ("", "")
    assert watch.seen == {}
    with watch:
        torch.nn.functional.scaled_dot_product_attention(*[torch.ones(1, 2, 3)] * 3)
    assert set(watch.seen) == {"scaled_dot_product_attention"}


def test_what_torch_itself_puts_in_place_is_no_hiding(zygote: Zygote | None) -> None:
    found = judged(zygote, attention=HONEST + USES)
    assert (found.got, found.word) == (1, "correct"), found


def test_leaving_before_it_is_asked_gains_nothing(zygote: Zygote | None) -> None:
    leaves = "(None if q.dtype != torch.bfloat16 else os._exit(0)) or attend(q, k, v, mask)"
    text = "import os\nimport torch\n" + WRITTEN + USES.replace("attend(q, k, v, mask)", leaves)
    assert judged(zygote, attention=text).got == 0


def test_a_helper_that_cannot_be_read_is_not_trusted() -> None:
    found = judged(None, attention="from helper import attend\n" + USES, helper="# " + "x" * 10 + "\0")
    assert found.got == 0
    assert "it imports what cannot be read: helper.py" in found.message


OWN = "import torch\nfrom torch import nn\n" + WRITTEN + USES


@pytest.mark.parametrize(
    "extra",
    [
        # a comparison beside it, with names that its functions use for something else
        "s = nn.MultiheadAttention(8, 1)\nx = torch.randn(2, 3, 8)\ns = s(x, x, x)[0]\n",
        "def test_it():\n    from torch.nn.functional import scaled_dot_product_attention as theirs\n",
        "if __name__ == '__main__':\n    attend = nn.functional.scaled_dot_product_attention\n",
        "from torchvision import datasets\n",
        "def attend(q, k, v):\n    return q, nn.Transformer.generate_square_subsequent_mask(3)\n",
        "class Encoder(nn.TransformerEncoder):\n    pass\n",
        "def compare(q):\n    from torch.nn.functional import scaled_dot_product_attention as attend\n"
        "    return attend(q, q, q)\n",
        "if __name__ == '__main__':\n"
        "    from torch.nn.functional import scaled_dot_product_attention as attend\n",
    ],
)
def test_what_stands_beside_it_is_not_its_own(extra: str) -> None:
    assert Trace((file := File("attention.py", ast.parse(OWN + extra)),)).follow(file, "attend").found is None


@pytest.mark.parametrize(
    "text",
    [
        "class A:\n def scaled_dot_product_attention(self, q): return q\n"
        " def forward(self, q): return self.scaled_dot_product_attention(q)\n",
        "import mine\nclass A:\n def forward(self, q): return mine.scaled_dot_product_attention(q)\n",
        "from mine import *\nclass A:\n def forward(self, q): return scaled_dot_product_attention(q)\n",
        "from .mine import scaled_dot_product_attention\nA = scaled_dot_product_attention\n",
        "from . import mine\nclass A:\n def f(self, q): return mine.scaled_dot_product_attention(q)\n",
        "class A:\n def __init__(self): self.Transformer = 1\n def f(self): return self.Transformer\n",
        "class A:\n 'Like MultiheadAttention'\n def f(self): 'MultiheadAttention'; return 1\n",
        "def A(q): raise ValueError('scaled_dot_product_attention')\n",
        "KINDS = {'flex_attention': 1}\ndef A(kind='flex_attention'): return KINDS['flex_attention']\n",
        "import importlib\nm = importlib.import_module('mine')\n"
        "def A(q): return m.scaled_dot_product_attention(q)\n",
        "import mine\ndef A(q):\n m = mine\n return m.scaled_dot_product_attention(q)\n",
        "import mine\ndef A(q): return getattr(mine, 'scaled_dot_product_attention')(q)\n",
        "from torch import nn\ndef A(q: 'MultiheadAttention', k: nn.MultiheadAttention) -> nn.Transformer:\n"
        " n: nn.Transformer = 1\n return isinstance(q, (nn.MultiheadAttention, nn.Transformer))\n",
    ],
)
def test_ones_own_by_the_same_name_is_ones_own(text: str) -> None:
    other = File("mine.py", ast.parse("def scaled_dot_product_attention(q): return q\n"))
    file = File("attention.py", ast.parse(text))
    assert Trace((file, other)).follow(file, "A").found is None


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("from torch.utils import data\nclass A(data.Dataset): pass\n", "data.py"),
        ("import torch.nn.functional as F\ndef A(s): return F.softmax(s, -1)\n", "functional.py"),
        ("from torch import nn\nclass A(nn.Module): pass\n", "old/nn.py"),
        ("import torch\ndef A(s): return torch.softmax(s, -1)\n", "torch.py"),
        ("import pk.mine\nA = pk.mine.f\n", "old/mine.py"),
    ],
)
def test_a_file_that_nothing_imports_need_not_be_read(text: str, other: str) -> None:
    file = File("attention.py", ast.parse(text))
    assert Trace((file, File(other, why="it is broken"))).follow(file, "A").unread is None


@pytest.mark.parametrize(
    ("text", "other"),
    [
        ("import pk.mine\nA = pk.mine.f\n", "pk/mine.py"),
        ("import pk.mine as m\nA = m.f\n", "ada/pk/mine.py"),
        ("from pk import mine\nA = mine.f\n", "pk/mine.py"),
        ("def A():\n from .mine import f\n return f\n", "mine.py"),
        ("from . import mine\nA = mine.f\n", "mine.py"),
    ],
)
def test_a_file_that_is_imported_has_to_be_read(text: str, other: str) -> None:
    file = File("attention.py", ast.parse(text))
    assert Trace((file, File(other, why="it is broken"))).follow(file, "A").unread is not None


def test_a_statement_that_names_much_is_read_once() -> None:
    names = ",".join(f"a{n}" for n in range(8000))
    file = File("attention.py", ast.parse(f"{names} = {names}\ndef f(): return a0\n"))
    started = time.thread_time()
    assert len(Trace((file,)).follow(file, "f").names) == 8001
    assert time.thread_time() - started < 5


def test_own_attention_has_its_point(zygote: Zygote | None) -> None:
    files = {"attention": "from pk import attend\n" + USES, "pk/__init__": "from .mine import *\n"}
    assert judged(zygote, **files, **{"pk/mine": "import torch\n" + WRITTEN}).got == 1
