"""The paper of a run or a study: its figures are the run's, its pages few, its bad input refused."""

import json
import re
import shutil
from collections.abc import Iterator
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import yaml
from filelock import FileLock
from pypdf import PdfReader
from tests.helpers import reviews, write_csv

from glassformer.cli import main
from glassformer.reports.paper import run_sections, study_sections
from glassformer.reports.paper.document import Beside, Block, Figure, Table
from glassformer.reports.paper.paper import HEADINGS
from glassformer.tasks.config import MachineConfig

SMALL = ["--model.d-model", "8", "--model.d-ff", "8", "--model.heads", "2", "--precision", "fp32"]
KINDS = ("parity", "digits", "reverse", "text", "recurrent", "study")
SECTIONS = (*HEADINGS,)
pytestmark = pytest.mark.xdist_group("paper")


@pytest.fixture(scope="module")
def runs(tmp_path_factory: pytest.TempPathFactory, own_cache: None) -> dict[str, Path]:
    """A run of each kind of task and model, and a study."""
    folder = tmp_path_factory.mktemp("papers")
    texts, labels = reviews(80)
    rows = list(zip(texts, ["good" if label else "bad" for label in labels], strict=True))
    write_csv(folder / "reviews.csv", rows)
    own = ["--data.train", str(folder / "reviews.csv"), "--data.vocab", "100", "--fit.epochs", "2"]
    commands = {
        "parity": ["train", "parity", *SMALL, "--data.bits", "7", "--fit.epochs", "2"],
        "digits": ["train", "digits", *SMALL, "--model.layers", "1", "--fit.epochs", "1"],
        "reverse": ["train", "reverse", *SMALL, "--data.length", "3", "--data.alphabet", "5",
                    "--fit.epochs", "2"],
        "text": ["train", "text", *SMALL, *own],
        "recurrent": ["train", "text", "--model.name", "recurrent", "--model.d-model", "8", *own],
    }  # fmt: skip
    for name, words in commands.items():
        assert main([*words, "--run-dir", str(folder / name)]) == 0
    assert main(["compare", "parity", *SMALL, "--data.bits", "6", "--fit.epochs", "2", "--vary",
                 "model.layers=1,2", "--seeds", "2", "--study", str(folder / "study")]) == 0  # fmt: skip
    made = {name: folder / name for name in KINDS}
    for path in made.values():
        assert main(["report", str(path), "--examples", "4", "--author", "A. Learner"]) == 0
    return made


@cache
def reader(path: Path) -> PdfReader:
    return PdfReader(path / "report.pdf")


def text_of(path: Path) -> str:
    """All words of a paper on one line."""
    return " ".join(" ".join(page.extract_text() for page in PdfReader(path / "report.pdf").pages).split())


def leaves(content: Any) -> Iterator[Any]:
    if isinstance(content, dict):
        for key, value in content.items():
            yield str(key)
            yield from leaves(value)
    elif isinstance(content, list):
        for value in content:
            yield from leaves(value)
    else:
        yield content


def written(value: Any) -> set[str]:
    """A number as a paper may write it; the numbers inside of words."""
    if isinstance(value, bool) or value is None:
        return set()
    if isinstance(value, str):
        return set(numbers(value))
    if isinstance(value, int):
        return {f"{value:,}", str(value)}
    return {
        f"{value:.4f}",
        f"{value:.3f}",
        f"{value:,.0f}",
        f"{value:g}",
        f"{abs(value):.4f}",
        f"{value:.0%}"[:-1],
    }


def numbers(text: str) -> list[str]:
    return [found.rstrip(".,") for found in re.findall(r"\d[\d,]*(?:\.\d+)?(?:e[-+]?\d+)?", text)]


@pytest.mark.parametrize("kind", KINDS)
def test_it_is_four_pages_at_most_with_all_sections_and_embedded_fonts(
    runs: dict[str, Path], kind: str
) -> None:
    pdf = reader(runs[kind])
    assert len(pdf.pages) <= 4
    text = text_of(runs[kind])
    assert [text.index(f" {heading} ") for heading in SECTIONS] == sorted(
        text.index(f" {heading} ") for heading in SECTIONS
    )
    assert pdf.metadata is not None
    assert pdf.metadata.author == "A. Learner"
    fonts = [font for page in pdf.pages for font in fonts_of(page["/Resources"])]
    assert len(fonts) >= 3
    for font in fonts:
        descendants = font.get("/DescendantFonts", [font])
        for each in descendants:
            descriptor = each.get_object()["/FontDescriptor"]
            assert {"/FontFile", "/FontFile2", "/FontFile3"} & set(descriptor), font


def fonts_of(resources: Any) -> Iterator[Any]:
    """The fonts of a page, and of the figures on it."""
    for font in resources.get("/Font", {}).values():
        yield font.get_object()
    for inner in resources.get("/XObject", {}).values():
        if "/Resources" in inner.get_object():
            yield from fonts_of(inner.get_object()["/Resources"])


@pytest.mark.parametrize("kind", ["parity", "digits", "reverse", "text", "recurrent"])
def test_every_number_is_the_runs(runs: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read from the run is taken out; no number is left but those of the wording."""
    from glassformer.reports.paper import paper

    kept: dict[str, Any] = {}
    look = paper.look_inside
    monkeypatch.setattr(
        paper, "look_inside", lambda *args, **how: kept.setdefault("look", look(*args, **how))
    )
    monkeypatch.setattr(paper, "as_pdf", lambda document, **how: kept.setdefault("paper", document) and b"")
    out = runs[kind].parent / f"{kind}.pdf"
    before = date.today()
    assert main(["report", str(runs[kind]), "--examples", "4", "--out", str(out)]) == 0
    assert before <= date.fromisoformat(kept["paper"].date) <= date.today()
    from glassformer.reports.paper.record import read_record

    record = read_record(runs[kind], MachineConfig(threads=1), None, lambda line: None)
    known = set(numbers(kept["paper"].date))  # the report's own day, which need not be the run's
    for value in leaves(
        [record.metrics, record.provenance, yaml.safe_load((runs[kind] / "config.yaml").read_text())]
    ):
        known |= written(value)
    known |= {f"{size:,}" for size in record.split_sizes().values()}
    known |= {f"{count:,}" for counts in (record.class_counts() or {}).values() for count in counts}
    assert record.prepared is not None
    known |= {n for note in record.prepared.notes for n in numbers(note)} | set(
        numbers(record.run.task.summary)
    )
    known |= {n for line in record.run.task.remarks(record.metrics) for n in numbers(line)}
    for given, answer in record.run.task.some_examples(record.prepared, record.run.config, 200):
        known |= set(numbers(f"{'' if kind == 'digits' else given} {answer}"))
    explanation, _ = kept["look"]
    for curve in explanation.faithfulness:
        told = " ".join(f"{abs(each):.3g}" for each in (curve.gain, *curve.interval)) + f" {curve.share:.1%}"
        known |= set(numbers(told)) | {str(curve.examples)}
    known |= set(numbers(explanation.answer))
    known |= {str(len(record.metrics["epoch_seconds"])), str(runs[kind].name)}
    known |= {str(record.provenance["machine"]["memory_bytes"] // 2**30 + extra) for extra in (0, 1)}
    preset = record.run.task.preset(None, record.model_name, "cpu")
    known |= {n for value in leaves(yaml.safe_load(json.dumps(vars_of(preset)))) for n in written(value)}
    words = " ".join(spoken(kept["paper"]))
    of_the_wording = {"95", "200", "15", "3", "8", "256", "0.01", "1", "220", "4"} | set(numbers(str(out)))
    strange = [number for number in numbers(words) if number not in known | of_the_wording]
    assert strange == [], words
    decimals = [number for number in numbers(words) if re.fullmatch(r"0\.\d{4}", number)]
    assert len(decimals) >= 8
    assert set(decimals) <= known


def vars_of(config: Any) -> dict[str, Any]:
    from dataclasses import asdict

    return asdict(config)


def spoken(part: Any) -> Iterator[str]:
    """Every string of a document, whatever it stands in."""
    if isinstance(part, str):
        yield part
    elif isinstance(part, tuple):
        for each in part:
            yield from spoken(each)
    elif hasattr(part, "__dataclass_fields__"):
        for name in part.__dataclass_fields__:
            yield from spoken(getattr(part, name))


def test_a_changed_figure_changes_the_paper(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["text"], folder)
    metrics = json.loads((folder / "metrics.json").read_text())
    changed = {
        "0.6172": ("test", "accuracy", 0.61724), "0.5831": ("validation", "accuracy", 0.58314),
        "0.0777": ("test", "calibration_error", 0.07774),
    }  # fmt: skip
    for split, key, value in changed.values():
        metrics[split][key] = value
    metrics["test"]["accuracy_ci95"] = [0.51114, 0.72224]
    metrics["baselines"]["tfidf_lr"]["test"]["accuracy"] = 0.99994
    metrics["baselines"]["tfidf_lr"]["test"]["accuracy_ci95"] = [0.93334, 0.99995]
    metrics["parameters"], metrics["train_seconds"] = 7_654_321, 8765.4
    (folder / "metrics.json").write_text(json.dumps(metrics))
    assert main(["report", str(folder), "--examples", "0"]) == 0
    text, page = text_of(folder), (folder / "report.html").read_text()
    for number in (*changed, "0.5111 to 0.7222", "0.9999", "0.9333 to", "7,654,321", "8,765 s"):
        assert number in text, number
        assert number in page, number
    assert re.search(
        r"It did not help against .*tfidf_lr \(0\.9999\).* better than the model's 0\.6172:", text
    )
    # a command can be copied: what breaks its long words leaves no sign
    command = f"glassformer report {folder} --examples 0"
    assert command.replace(" ", "") in text.replace(" ", "")


def blocks_of(part: Any) -> Iterator[Block]:
    for section in part.sections:
        waiting = list(section.blocks)
        while waiting:
            block = waiting.pop(0)
            if isinstance(block, Beside):
                waiting = [*block.left, *block.right, *waiting]
            else:
                yield block


@pytest.mark.parametrize("kind", KINDS)
def test_each_figure_has_a_caption_and_each_axis_a_label(
    runs: dict[str, Path], kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    from glassformer.reports.paper import paper

    drawn: list[Any] = []
    documents: list[Any] = []
    for module in (run_sections, study_sections):
        real = module.as_bytes
        monkeypatch.setattr(
            module, "as_bytes", lambda figure, how, real=real: drawn.append(figure) or real(figure, how)
        )
    monkeypatch.setattr(paper, "as_pdf", lambda document, **how: documents.append(document) or b"")
    out = runs[kind].parent / "labels.pdf"
    assert main(["report", str(runs[kind]), "--examples", "4", "--out", str(out)]) == 0
    found = [block for block in blocks_of(documents[0]) if isinstance(block, Figure | Table)]
    figures = [block for block in found if isinstance(block, Figure)]
    assert len(figures) >= 3
    for block in found:
        assert len(block.caption) > 10
    for figure in figures:
        assert figure.alt
        figure.draw("svg")
    for figure in drawn:
        for axes in figure.axes:
            if not axes.get_xticks().size and not axes.get_yticks().size:
                continue  # a photograph
            if hasattr(axes, "_colorbar") or (axes.images and axes.get_label() == "<colorbar>"):
                continue
            assert axes.get_xlabel(), (kind, axes)
    text = text_of(runs[kind])
    captions = re.findall(r"Figure (\d+)\.", text)
    assert captions == [str(number + 1) for number in range(len(figures))]


def test_the_study_tells_what_the_comparison_holds(runs: dict[str, Path]) -> None:
    text = text_of(runs["study"])
    result = json.loads((runs["study"] / "comparison.json").read_text())
    for row in result["rows"]:
        assert row["label"] in text
        assert f"{row['validation']['mean']:.4f}" in text
        assert f"{row['test']['mean']:.4f}" in text
    (pair,) = result["pairs"]
    assert f"{pair['p_holm']:.3f} {pair['verdict']}" in text
    assert f"{pair['difference']:+.4f}" in text
    assert "This is one run" not in text


def test_a_look_of_ones_own_and_the_pages_own_letters(runs: dict[str, Path], tmp_path: Path) -> None:
    out = tmp_path / "own.html"
    given = "a wonderful film with a dull story"
    assert main(["report", str(runs["text"]), "--look", given, "--examples", "4", "--out", str(out)]) == 0
    assert "The input was given." in out.read_text()


def test_no_figure_is_higher_than_a_page_and_no_word_leaves_its_cell(
    runs: dict[str, Path], tmp_path: Path
) -> None:
    """Text beyond the paper's edge would be lost in print."""
    path = tmp_path / "long.csv"
    names = [f"class {'very ' * 12}{letter}" for letter in "ab"]
    rows = [(f"{'x' * 160} {number} film", names[number % 2]) for number in range(60)]
    write_csv(path, rows)
    run = tmp_path / "run"
    words = [*SMALL, "--data.train", str(path), "--data.vocab", "60", "--fit.epochs", "1"]
    assert main(["train", "text", *words, "--run-dir", str(run)]) == 0
    own = tmp_path / "own.md"
    own.write_text(f"# Model\n{'y' * 400}\n")
    look = " ".join(["film"] * 290)
    more = ["--text", str(own), "--look", look, "--examples", "2", "--out", str(run / "report.pdf")]
    assert main(["report", str(run), *more]) == 0
    edges: list[float] = []
    for page in PdfReader(run / "report.pdf").pages:
        width = float(page.mediabox.width)

        def place(text: str, cm: Any, tm: Any, font: Any, size: Any, width: float = width) -> None:
            if text.strip():
                edges.extend((tm[4] * cm[0] + cm[4], width))

        page.extract_text(visitor_text=place)
    assert max(edges[::2]) < edges[1]
    assert min(edges[::2]) > 0
    text = text_of(run).replace(" ", "")
    assert "y" * 400 in text


def test_the_html_needs_nothing_and_shows_what_is_typed(runs: dict[str, Path], tmp_path: Path) -> None:
    out, own = tmp_path / "a.html", tmp_path / "own.md"
    own.write_text("# Discussion\nMine: **bold** <script>alert(1)</script>\n")
    words = ["--title", "<b>My</b> title", "--text", str(own), "--examples", "0", "--out", str(out)]
    assert main(["report", str(runs["parity"]), *words]) == 0
    page = out.read_text()
    assert set(re.findall(r'(?:src|href)="([^"]{5})', page)) == {"data:"}
    assert "<script" not in page
    assert "&lt;b&gt;My&lt;/b&gt; title" in page
    assert "<strong>bold</strong>" in page
    assert page.index("<h2>Discussion</h2>") < page.index("Mine: ") < page.index("<h2>Proof</h2>")


def refused(capsys: pytest.CaptureFixture[str], *words: object) -> str:
    assert main(["report", *map(str, words)]) in (1, 2)
    captured = capsys.readouterr()
    last = captured.err.strip().splitlines()[-1]
    assert last.startswith("glassformer: ")
    assert "Traceback" not in captured.err
    return last


def test_bad_input_gets_one_line_and_writes_nothing(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "x.pdf"
    copy = tmp_path / "run"
    shutil.copytree(runs["parity"], copy)
    metrics = json.loads((copy / "metrics.json").read_text())
    test = metrics.pop("test")
    (copy / "metrics.json").write_text(json.dumps(metrics))
    assert "has no test figures" in refused(capsys, copy, "--out", out)
    metrics["test"] = {"accuracy": test["accuracy"]}
    (copy / "metrics.json").write_text(json.dumps(metrics))
    assert "is broken or of another version" in refused(capsys, copy, "--out", out)
    (copy / "metrics.json").write_text("{")
    assert "is missing or broken" in refused(capsys, copy, "--out", out)
    (copy / "metrics.json").unlink()
    assert "train --resume" in refused(capsys, copy, "--out", out)
    assert "neither a run nor a study" in refused(capsys, tmp_path, "--out", out)
    assert "choose a file, .pdf or .html" in refused(capsys, runs["parity"], "--out", tmp_path / "x.docx")
    assert "cannot be read" in refused(capsys, runs["parity"], "--out", out, "--text", tmp_path / "no.md")
    assert "examples=1" in refused(capsys, runs["parity"], "--examples", 1)
    assert "leave one of them out" in refused(capsys, runs["parity"], "--examples", 0, "--look", "0" * 7)
    assert "choose a file" in refused(capsys, runs["parity"], "--out", tmp_path)
    assert "7 bits" in refused(capsys, runs["parity"], "--look", "01", "--out", out)
    long = tmp_path / "long.md"
    long.write_text("# Discussion\n" + "Many words of mine, again and again.\n\n" * 400)
    assert "at most; shorten your text in" in refused(
        capsys, runs["parity"], "--text", long, "--out", out, "--examples", 0
    )
    assert not out.exists()


def test_a_bad_study_gets_one_line(
    runs: dict[str, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = tmp_path / "study"
    shutil.copytree(runs["study"], folder)
    with FileLock(folder / "lock"):
        assert "is being written by another process" in refused(capsys, folder)
    result = json.loads((folder / "comparison.json").read_text())
    run = folder / "runs" / result["runs"]["base"][0]
    shutil.rmtree(run)
    shutil.copytree(runs["digits"], run)
    assert "a run on digits, the study is on parity" in refused(capsys, folder)
    (run / "metrics.json").unlink()
    assert "half-written or broken" in refused(capsys, folder)
    (folder / "comparison.json").unlink()
    assert "is not finished" in refused(capsys, folder)
    (folder / "study.json").unlink()
    (folder / "tuning.json").write_text("{}")
    assert "is a search" in refused(capsys, folder)
    assert not list(folder.glob("report.*.*"))


def test_a_run_whose_data_is_gone_is_reported_without_examples(runs: dict[str, Path], tmp_path: Path) -> None:
    folder = tmp_path / "run"
    shutil.copytree(runs["text"], folder)
    config = yaml.safe_load((folder / "config.yaml").read_text())
    config["data"]["train"] = str(tmp_path / "gone.csv")
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
    assert main(["report", str(folder)]) == 0
    text = text_of(folder)
    assert "The data is not at hand, so no example" in text
    assert "gone.csv" in text
