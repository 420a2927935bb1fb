"""Points: none for a skeleton, all for the project's own bodies, some for what is partly right."""

import json
import time
from dataclasses import replace
from typing import Any

import pytest

from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.zygote import Zygote
from glassformer.exercises import marking
from glassformer.exercises.feedback import lines
from glassformer.exercises.folders import _page, reference, skeleton
from glassformer.exercises.marking import Mark, Marks, mark
from glassformer.exercises.sheets import SHEETS, Sheet
from glassformer.exercises.submissions import Submission

GRID = "SelfAttention2d"


def handed_in(**files: str) -> Submission:
    return Submission("ada", {f"{name}.py": text.encode() for name, text in files.items()})


def marked(sheet: str, text: str, zygote: Zygote | None, name: str = "vit") -> Marks:
    return mark(SHEETS[sheet], handed_in(**{name: text}), zygote=zygote)


def marked_only(text: str, target: str, zygote: Zygote | None) -> Marks:
    """By the constructor alone: of the other criteria none is looked at."""
    alone = [each for each in SHEETS["C"].criteria if each.target == target and each.parts]
    return mark(replace(SHEETS["C"], criteria=tuple(alone)), handed_in(vit=text), zygote=zygote)


def of(marks: Marks, title: str) -> Mark:
    return next(each for each in marks.marks if each.criterion == title)


def only(text: str, *names: str) -> str:
    """The file up to and with these definitions."""
    parts = text.split("\n\n\n")
    return "\n\n\n".join(
        [parts[0], *(part for part in parts if any(f" {name}(" in part[:60] for name in names))]
    )


@pytest.mark.parametrize("sheet", SHEETS.values(), ids=SHEETS)
def test_a_skeleton_has_no_points_and_the_reference_all(sheet: Sheet, zygote: Zygote | None) -> None:
    untouched = mark(sheet, handed_in(**{k[:-3]: v for k, v in skeleton(sheet).items()}), zygote=zygote)
    assert (untouched.got, untouched.of, untouched.word) == (0, sheet.of, "incorrect")
    for each in untouched.marks:
        assert "is still a TODO (" in each.message
        assert "docstring" in each.message
    filled = mark(sheet, handed_in(**{k[:-3]: v for k, v in reference(sheet).items()}), zygote=zygote)
    lost = [(each.criterion, each.message, each.text) for each in filled.marks if each.got < each.of]
    assert not lost
    assert (filled.got, filled.word, filled.mistakes) == (sheet.of, "correct", [])


def test_every_contract_is_known_and_belongs_to_an_exercise() -> None:
    asked = {each.contract for sheet in SHEETS.values() for each in sheet.criteria}
    assert asked <= set(CONTRACTS)
    assert set(CONTRACTS) <= asked


def test_points_are_those_of_the_sheet() -> None:
    assert [each.of for each in SHEETS["C"].criteria] == [1, 3, 2, 1, 2, 2, 2, 1]
    assert [each.of for each in SHEETS["C"].by_hand] == [2, 2, 2]
    assert all(each.of == 1 for name in "ABDE" for each in SHEETS[name].criteria)


def test_one_head_alone_is_worth_its_points(zygote: Zygote | None) -> None:
    text = only(reference(SHEETS["C"])["vit.py"], GRID)
    wrong = text.replace("/ math.sqrt(k.shape[-1])", "/ math.sqrt(x.shape[1])")
    assert wrong != text
    marks = marked("C", wrong, zygote)
    assert [each.got for each in marks.marks[:3]] == [1, 3, 0]
    several = of(marks, f"{GRID}: several heads")
    assert [each["id"] for each in several.mistakes] == ["scale-by-d-model"]
    assert "vit.py:SelfAttention2d" in several.text
    assert of(marks, "FeedForwardBlock").word == "missing"


def test_a_constructor_is_worth_its_point_and_no_more(zygote: Zygote | None) -> None:
    text = only(skeleton(SHEETS["C"])["vit.py"], GRID)
    maps = "; ".join(
        f"self.{name} = nn.Linear(channels, channels)" for name in ("query", "key", "value", "output")
    )
    open_here = 'raise NotImplementedError("TODO: SelfAttention2d.__init__")'
    marks = marked("C", text.replace(open_here, maps), zygote)
    assert [each.got for each in marks.marks[:3]] == [1, 0, 0]
    assert "not written yet" in marks.marks[1].message
    fewer = marked("C", text.replace(open_here, maps.rpartition(";")[0]), zygote)
    assert fewer.got == 0
    assert "an output projection" in fewer.marks[0].message
    for parts in ("self.all = nn.Linear(channels, 4 * channels)", "self.one = nn.Linear(channels, 200)"):
        assert marked("C", text.replace(open_here, parts), zygote).got == 0
    fused = "self.qkv, self.out = nn.Linear(channels, 3 * channels), nn.Conv2d(channels, channels, 1)"
    assert [each.got for each in marked("C", text.replace(open_here, fused), zygote).marks[:2]] == [1, 0]


def test_heads_that_cannot_be_given_are_one_head(zygote: Zygote | None) -> None:
    text = only(reference(SHEETS["C"])["vit.py"], GRID)
    text = text.replace(", heads: int = 1)", ")").replace("self.heads = heads", "self.heads = 1")
    marks = marked("C", text, zygote)
    assert [each.got for each in marks.marks[:3]] == [1, 3, 0]
    assert marks.marks[2].message == "its constructor takes no number of heads"


def test_a_vision_transformer_that_lacks_a_part_is_told_which(zygote: Zygote | None) -> None:
    whole = reference(SHEETS["C"])["vit.py"]
    for there, instead, told in (
        ("self.positions = nn.Parameter(", "self.positions = 0 * (", "positions of the patches"),
        ("for _ in range(layers)", "for _ in range(2)", "blocks, one for each layer"),
        ("nn.ModuleList(\n            SelfA", "list(\n            SelfA", "blocks, one for each layer"),
        ("self.contract = nn.Linear(d_ff, d_model)", "self.contract = nn.Identity()", "a feed-forward layer"),
        (
            "self.blocks = ",
            "self.blocks = nn.ModuleList(nn.Linear(d_model, 400) for _ in range(layers)) or ",
            "Q, K",
        ),
    ):
        text = whole.replace(there, instead)
        assert text != whole
        mark = of(marked_only(text, "VisionTransformer", zygote), "VisionTransformer: modules")
        assert (mark.got, told in mark.message) == (0, True), mark.message


@pytest.mark.parametrize(
    "use",
    [
        "torch.nn.functional.scaled_dot_product_attention(q, k, v, mask)",
        "F.scaled_dot_product_attention(q, k, v, mask)",
        "sdpa(q, k, v, mask)",
        "getattr(F, 'scaled_dot_product_attention')(q, k, v, mask)",
        "helper(q, k, v, mask)",
        "value(q, k, v, mask)",
        "elsewhere(q, k, v, mask)",
        "mine.elsewhere(q, k, v, mask)",
        "explicit_attention(q, k, v, mask)",
    ],
)
def test_ready_made_attention_gives_nothing(use: str) -> None:
    text = (
        "import torch\nimport torch.nn.functional as F\n"
        "from torch.nn.functional import scaled_dot_product_attention as sdpa\n"
        "from glassformer.nn import explicit_attention\n"
        "from mine import elsewhere\nimport mine\n"
        "value = F.scaled_dot_product_attention\n"
        "def helper(q, k, v, mask):\n    return sdpa(q, k, v, mask)\n"
        f"def scaled_dot_product_attention(q, k, v, mask=None):\n    return {use}\n"
    )
    other = (
        "import torch\ndef elsewhere(*a):\n    return torch.nn.functional.scaled_dot_product_attention(*a)\n"
    )
    submission = handed_in(attention=text, mine=other)
    found = of(mark(SHEETS["attention"], submission), "scaled dot-product attention")
    assert (found.got, found.word) == (0, "incorrect")
    assert [each["id"] for each in found.mistakes] == ["ready-made-attention"]


def test_a_block_on_ready_made_attention_has_no_points_and_the_page_says_so() -> None:
    text = only(reference(SHEETS["C"])["vit.py"], "SelfAttentionTransformerBlock")
    text = text.replace("SelfAttention2d(d_model, heads)", "nn.MultiheadAttention(d_model, heads)")
    found = of(marked("C", text, None), "SelfAttentionTransformerBlock")
    assert (found.got, [each["id"] for each in found.mistakes]) == (0, ["ready-made-attention"])
    for sheet in SHEETS.values():
        said = _page(sheet).partition("anywhere in them")[2].partition("\n\n")[0]
        assert {each for each in sheet.targets if f"`{each}`" in said} == {
            each.target for each in sheet.criteria if each.written_out
        }


def test_relu_counts_where_the_docstring_says_so(zygote: Zygote | None) -> None:
    text = only(reference(SHEETS["C"])["vit.py"], "FeedForwardBlock").replace(
        "functional.gelu", "functional.relu"
    )
    assert "ReLU counts as well" in text
    assert of(marked("C", text, zygote), "FeedForwardBlock").got == 1


def test_files_and_names_of_ones_own_are_found(zygote: Zygote | None) -> None:
    text = reference(SHEETS["attention"])["attention.py"]
    cells = [{"cell_type": "code", "source": text.replace("class SelfAttention(", "class Self_attention(")}]
    notebook = json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    mine = Submission("ada", {"week 3/mine.ipynb": notebook.encode(), "week 3/test_x.py": text.encode()})
    marks = mark(SHEETS["attention"], mine, zygote=zygote)
    assert (marks.got, marks.of) == (4, 4)
    assert of(marks, "self-attention").place == "week 3/mine.ipynb:Self_attention"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("def attention(:\n", "attention.py, line 1: invalid syntax"),
        ("import no_such_library\ndef attention(q, k, v): ...\n", "No module named 'no_such_library'"),
        ("def other(): ...\n", "there is no scaled_dot_product_attention in it; it defines other"),
        ("", "attention.py is empty"),
        ("x = " + "-" * 100_000 + "1", "cannot be read as Python"),
        ("x = 1\0", "null bytes"),
    ],
)
def test_bad_input_says_what_is_wrong(text: str, message: str, zygote: Zygote | None) -> None:
    marks = marked("attention", text, zygote, "attention")
    assert marks.got == 0
    assert message in of(marks, "scaled dot-product attention").message


def test_nothing_at_all() -> None:
    marks = mark(SHEETS["B"], Submission("eve"))
    assert (marks.got, marks.word, marks.exit_status) == (0, "error", 3)
    assert "no Python file" in marks.marks[0].message


def test_a_file_that_never_ends_is_waited_for_once(zygote: Zygote | None) -> None:
    text = reference(SHEETS["attention"])["attention.py"] + "\nwhile True:\n    pass\n"
    marks = mark(SHEETS["attention"], handed_in(attention=text), seconds=2.0, zygote=zygote)
    assert marks.got == 0
    assert marks.seconds < 20
    assert "did not answer" in marks.marks[0].message
    assert "__main__" in marks.marks[0].message


def test_time_that_the_checker_takes_is_not_the_codes(zygote: Zygote | None, monkeypatch: Any) -> None:
    real = marking.check_in

    def slowly(*given: Any, **named: Any) -> Any:
        time.sleep(2.5)
        return real(*given, **named)

    monkeypatch.setattr(marking, "check_in", slowly)
    text = reference(SHEETS["positions"])["positions.py"]
    marks = mark(SHEETS["positions"], handed_in(positions=text), seconds=3.0, zygote=zygote)
    assert (marks.got, marks.final) == (2, True)


def test_what_time_decides_is_not_final(zygote: Zygote | None) -> None:
    text = reference(SHEETS["positions"])["positions.py"]
    endless = text.replace("super().__init__()", "super().__init__()\n        while True: pass", 1)
    marks = mark(SHEETS["positions"], handed_in(positions=endless), seconds=1.5, zygote=zygote)
    assert [each.final for each in marks.marks] == [False, False]
    assert "time for this submission was over" in marks.marks[1].message


def test_the_answer_in_json() -> None:
    marks = Marks("dir", "C", (Mark("a", 1, 1, "correct"), Mark("b", 0, 3, "open", "to do")), 1.5)
    answer = marks.to_json()
    assert answer["points"] == {"got": 1, "of": 4}
    assert answer["verdict"] == "incorrect"
    assert answer["checks"][1] == {"name": "b", "passed": False, "detail": "to do"}
    assert {"schema_version", "target", "contract", "mistakes", "remarks", "found", "seconds"} <= set(answer)
    assert Marks.of_kept(json.loads(json.dumps(marks.kept()))) == marks
    shown = list(lines(SHEETS["C"], marks))
    assert " 0 of 3  b" in shown[1]
    assert "1 of 4 points" in shown
    assert any("CIFAR-10 above 70%" in line and "a person judges it" in line for line in shown)


def test_what_uses_a_wrong_part_is_told_so_and_is_no_further_mistake(zygote: Zygote | None) -> None:
    text = reference(SHEETS["B"])["transformer.py"].replace(".softmax(dim=-1)", ".softmax(dim=-2)")
    marks = marked("B", text, zygote, "transformer")
    assert marks.got == 0
    assert {each["id"] for each in marks.mistakes} == {"softmax-over-queries"}
    classifier = of(marks, "classifier")
    assert classifier.mistakes or "it uses MultiHeadSelfAttention" in classifier.message


def test_a_function_that_a_decorator_replaces_is_said_to_be_that(zygote: Zygote | None) -> None:
    text = (
        "import torch\n@torch.jit.script\n"
        "def scaled_dot_product_attention(q, k, v):\n"
        "    return (q @ k.transpose(-2, -1) / k.shape[-1] ** 0.5).softmax(-1) @ v\n"
    )
    found = of(marked("attention", text, zygote, "attention"), "scaled dot-product attention")
    assert (found.got, found.word) == (0, "inconclusive")
    assert found.message.startswith("once the file has run, scaled_dot_product_attention is neither a class")
    assert "torch.jit.script" in found.message
