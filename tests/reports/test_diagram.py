"""Diagrams hold every part's text, as text, in fonts that travel with them."""

import io
import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path
from typing import Any, Literal

import pytest
import torch
import typst
from pypdf import PdfReader
from torch import Tensor, nn

from glassformer.cli import main
from glassformer.errors import UsageError
from glassformer.explain.architecture import Architecture, describe
from glassformer.models.configs import EncoderDecoderConfig, VisionTransformerConfig
from glassformer.models.encoder_decoder import EncoderDecoder
from glassformer.models.vision_transformer import VisionTransformer
from glassformer.nn.blocks import EncoderBlock, PostNormBlock, PreNormBlock
from glassformer.nn.feedforward import FeedForward
from glassformer.nn.multihead import MultiHeadAttention
from glassformer.reports.diagram import (
    FOLD,
    diagram_figure,
    diagram_source,
    is_folded,
    page_source,
    write_diagram,
)


@pytest.fixture(scope="module")
def architecture() -> Architecture:
    sizes = {"vocab": 1013, "max_tokens": 9, "max_targets": 9}
    config = EncoderDecoderConfig(d_model=24, heads=3, d_ff=34, encoder_layers=5, decoder_layers=7, **sizes)
    batch = {"source": torch.zeros(2, 4, dtype=torch.int64), "target": torch.zeros(2, 6, dtype=torch.int64)}
    return describe(EncoderDecoder(config), batch, lambda model, b: model(b["source"], b["target"]))


def pdf_text(source: str) -> tuple[str, PdfReader]:
    made = typst.compile(source.encode(), format="pdf", ignore_system_fonts=True)
    assert isinstance(made, bytes)
    reader = PdfReader(io.BytesIO(made))
    return " ".join(" ".join(page.extract_text() for page in reader.pages).split()), reader


def test_a_pdf_holds_every_text_in_embedded_fonts(architecture: Architecture) -> None:
    text, reader = pdf_text(page_source(architecture, title='some [task] $x$ #y "z"', command="a --b c"))
    (page,) = reader.pages
    for part in architecture.root.children + tuple(c for p in architecture.root.children for c in p.children):
        assert part.label in text
        assert part.detail in text
    assert f'some [task] $x$ #y "z", {architecture.parameters:,} parameters' in text
    assert "a --b c" in text
    assert text.count("× 5") == 1  # the repeated block stands there once, with its count
    assert text.count("× 7") == 1
    assert text.count("feed-forward") == 2
    assert "context: batch × sources × 24" in text
    fonts = page["/Resources"]["/Font"].values()  # type: ignore[index]
    assert len(fonts) > 1
    for font in fonts:
        (descendant,) = font.get_object()["/DescendantFonts"]
        descriptor = descendant.get_object()["/FontDescriptor"].get_object()
        assert "/FontFile2" in descriptor or "/FontFile3" in descriptor


@pytest.mark.parametrize("kind", ["svg", "png", "pdf"])
def test_each_kind_is_written(architecture: Architecture, kind: str, tmp_path: Path) -> None:
    path = tmp_path / f"model.{kind}"
    write_diagram(architecture, path, title="a task", command="a command")
    start = {"svg": b"<svg", "png": b"\x89PNG", "pdf": b"%PDF"}[kind]
    assert path.read_bytes().startswith(start)
    assert [each.name for each in tmp_path.iterdir()] == [path.name]


def test_an_unknown_kind_is_refused(architecture: Architecture, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"choose \.svg, \.png or \.pdf"):
        write_diagram(architecture, tmp_path / "model.jpg", title="a", command="b")
    assert list(tmp_path.iterdir()) == []


class Attention3(nn.Linear):
    """A stranger whose name is long."""


Attention3.__name__ = "AnAlmost" + "Endless" * 12 + "Name"


def test_long_names_stay_on_the_page() -> None:
    model = nn.Sequential(Attention3(3, 4), Attention3(4, 5))
    found = describe(model, {"x": torch.zeros(2, 3)}, lambda model, batch: model(batch["x"]))
    _, reader = pdf_text(page_source(found, title="t" * 90, command="glassformer diagram " + "x/" * 90))
    (page,) = reader.pages
    right = float(page.mediabox.width)
    ends: list[float] = []
    page.extract_text(visitor_text=lambda t, cm, tm, font, size: ends.append(tm[4] * cm[0] + cm[4]))
    assert max(ends) < right


def test_two_diagrams_share_a_document(architecture: Architecture) -> None:
    one, two = (diagram_source(architecture, name=name) for name in ("one", "two"))
    text, _ = pdf_text(f"#set page(width: 18cm, height: 60cm)\n{one}\n#pagebreak()\n{two}")
    assert text.count("cross-attention") == 2


def run(command: str, *more: str) -> int:
    return main([*command.split(), *more])


def test_the_command_draws_a_task(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert run("diagram parity --model.layers 3 --model.d-model 8 --model.d-ff 12 --data.bits 8") == 0
    svg = (tmp_path / "parity.svg").read_text(encoding="utf-8")
    assert ElementTree.fromstring(svg).tag.endswith("svg")
    assert run("diagram parity --data.bits 8 --format pdf --out there/model.pdf") == 0
    assert (tmp_path / "there" / "model.pdf").is_file()


@pytest.mark.parametrize(
    ("command", "message"),
    [
        ("diagram pariti", "is neither a run (a folder with a config.yaml) nor a task; did you mean parity?"),
        ("diagram parity --format jpg", "format=jpg is unknown; choose svg, png, pdf"),
        ("diagram parity --out model.jpg", "model.jpg ends in no known format; choose .svg, .png or .pdf"),
        ("diagram parity --out model.svg --format pdf", "model.svg does not end in .pdf"),
        ("diagram parity --out model", "model ends in no known format"),
        ("diagram --out model.svg", "diagram wants the task or the run first"),
    ],
)
def test_what_cannot_be_drawn_is_refused(
    command: str,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(command) == 2
    assert message in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_the_description_is_json(architecture: Architecture) -> None:
    there = json.loads(json.dumps(architecture.as_dict()))
    assert there["root"]["children"][0]["label"] == "token embedding"


@pytest.mark.parametrize("pool", ["cls", "mean"])
def test_in_a_document_a_second_group_stands_beside_the_first(pool: Literal["cls", "mean"]) -> None:
    """Of a model that reads one token in the end the last block is another than the ones before."""
    sizes: dict[str, Any] = {"channels": 3, "height": 8, "width": 8, "classes": 2, "patch": 4}
    model = VisionTransformer(VisionTransformerConfig(layers=3, heads=2, d_model=8, pool=pool, **sizes))
    described = describe(model, {"images": torch.zeros(2, 3, 8, 8)}, lambda model, b: model(b["images"]))
    assert is_folded(described) == (pool == "cls")
    (page,) = PdfReader(io.BytesIO(diagram_figure(described, "pdf"))).pages
    words = page.extract_text().split()
    folds = [number for number, word in enumerate(words) if word == FOLD]
    assert len(folds) == (2 if pool == "cls" else 0)
    blocks = [number for number, word in enumerate(words) if word == "pre-norm"]
    if folds:
        assert words.index("images") < blocks[0] < folds[0] < folds[1] < blocks[1] < words.index("output")
    wide, tall = (float(side) for side in page.mediabox[2:])
    assert (wide > tall) == (pool == "cls")


class Around(nn.Sequential):
    """x + f(x), round all of its blocks."""

    def forward(self, x: Tensor) -> Tensor:
        return x + super().forward(x)


def block(d_ff: int, kind: type[EncoderBlock] = PreNormBlock) -> EncoderBlock:
    return kind(MultiHeadAttention(8, 2), FeedForward(8, d_ff), 8)


@pytest.mark.parametrize(
    ("model", "before"),
    [
        (nn.Sequential(block(8), block(16), block(24)), 2),
        (nn.Sequential(block(8), block(16), block(24), block(32)), 2),
        (nn.Sequential(block(8), block(8), block(8)), 0),  # one, three times
        (nn.Sequential(block(8), block(8, PostNormBlock)), 0),
        (Around(block(8), block(16)), 0),
    ],
)
def test_half_of_the_groups_of_one_kind_stand_beside(model: nn.Module, before: int) -> None:
    described = describe(model, {"x": torch.zeros(2, 5, 8)}, lambda model, batch: model(batch["x"]))
    assert is_folded(described) == bool(before)
    (page,) = PdfReader(io.BytesIO(diagram_figure(described, "pdf"))).pages
    words = page.extract_text().split()
    if before:
        first = words[: words.index(FOLD)]
        assert first.count("pre-norm") == before
    else:
        assert FOLD not in words
