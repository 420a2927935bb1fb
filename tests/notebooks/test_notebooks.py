"""The notebooks are executed, in quick mode and on made-up data, and looked at as a reader would.

What they compare with PyTorch they assert themselves: a notebook whose oracle disagrees does not end.
"""

import html
import io
import json
import os
import re
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import nbformat
import pytest
from matplotlib.figure import Figure
from nbclient.exceptions import CellExecutionError
from tests.helpers import cifar10_folder, reviews, write_parquet

import notebooks

SCRIPTS = notebooks.scripts()
NAMES = [script.stem for script in SCRIPTS]
SVG = "{http://www.w3.org/2000/svg}"
CONTAINS = {
    "sheet_a": ["attention with padding against torch.nn.MultiheadAttention", "sinusoids against the formula",
                "Best by validation accuracy", "an epoch took", "Each option", "report.pdf: "],
    "sheet_b": ["one head against torch.nn.MultiheadAttention", " passed in ",
                "block against torch.nn.TransformerEncoderLayer", "unseen strings right",
                "The smallest found in this run", "Each option"],
    "sheet_c": ["1 head(s): gradient of the input", "3 head(s): gradient of the input",
                "patchify against torch's unfold", "Best validation accuracy"],
    "sheet_d": ["matrix expression against the sum", "wide heads: a list against one product",
                "block against torch.nn.TransformerEncoderLayer", "recorded: ", "In this run"],
    "sheet_e": ["dW1: largest difference from autograd", "logistic regression: test accuracy",
                "[3, 5, 2, 4, 1] -> ", "unseen sequences: exact match", "best of 2 trials"],
}  # fmt: skip
"""What has to be found in what a notebook prints."""
FIGURES = {"sheet_a": 5, "sheet_b": 4, "sheet_c": 4, "sheet_d": 7, "sheet_e": 7}


def cells_of(notebook: Any, kind: str) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == kind]


# What is committed ------------------------------------------------------------------------------------------


def test_every_sheet_has_its_notebook() -> None:
    letters = "abcde"
    assert len(NAMES) == len(letters)
    sheets = notebooks.ROOT / "docs" / "sheets"
    for letter in letters:
        page = (sheets / f"{letter}.md").read_text(encoding="utf-8")
        assert f"(../../notebooks/sheet_{letter}.ipynb)" in page


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_links_lead_somewhere(script: Path) -> None:
    links = re.findall(r"\]\(([^)#]+)", script.read_text(encoding="utf-8"))
    assert links
    assert not [link for link in links if not (script.parent / link).exists()]


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_the_pair_has_the_same_cells_and_no_outputs(script: Path) -> None:
    """If this fails: python docs/tools/notebooks.py --pair"""
    committed = nbformat.read(script.with_suffix(".ipynb"), as_version=4)
    nbformat.validate(committed)
    made = notebooks.notebook_of(script)
    same = [(cell.id, cell.cell_type, cell.source) for cell in made.cells]
    assert [(cell.id, cell.cell_type, cell.source) for cell in committed.cells] == same
    assert all(not cell.outputs and cell.execution_count is None for cell in cells_of(committed, "code"))
    assert committed.metadata.kernelspec.name == "python3"


RESULT = re.compile(r"\d\.\d|\d\s?%|percent|\d,\d{3}|\d (seconds|minutes|parameters)")
"""A figure as a run has it: with a point, as a share, with a comma for the thousands, or of time or size."""


def results_in(prose: str) -> list[str]:
    """Figures that are typed, and not computed; code, formulas and a sheet's own questions (> ...) aside."""
    prose = re.sub(r"^>.*$|```.*?```|\$\$.*?\$\$|\$.*?\$|`[^`]*`|^#+ [\d.]+", "", prose, flags=re.M | re.S)
    return [found.group() for found in RESULT.finditer(prose)]


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_no_result_is_typed(script: Path) -> None:
    for cell in cells_of(notebooks.notebook_of(script), "markdown"):
        assert not results_in(cell.source), cell.source


@pytest.mark.parametrize(
    "prose",
    ["It has 0.88 right.", "about 95 % of them", "95% right", "ninety percent", "59,049 sequences",
     "it takes 24 seconds", "with 57 parameters"],
)  # fmt: skip
def test_a_typed_result_is_found(prose: str) -> None:
    assert results_in(f"## 1.3 A heading\n\nIn $2.5$ and `0.5`: {prose}")
    assert not results_in("> more than 95%?\n\n## 1.3 A heading\n\nIn $2.5$ and `0.5`.")


# What they do -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up reviews and images, as GLASSFORMER_DATA wants them."""
    folder = cifar10_folder(tmp_path_factory.mktemp("data"))
    for seed, (split, count) in enumerate((("train", 600), ("test", 200))):
        write_parquet(folder / "imdb" / f"{split}.parquet", *reviews(count, seed))
    return folder


def quick(folder: Path, data: Path) -> dict[str, str]:
    """An environment that has nothing but this folder, this data and one thread, and reaches no hub."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("GLASSFORMER", "HF_"))}
    source = str(notebooks.ROOT / "src")
    return kept | {
        "GLASSFORMER_QUICK": "1",
        "GLASSFORMER_DATA": str(data),
        "GLASSFORMER_CACHE": str(folder / "cache"),
        "HF_HUB_OFFLINE": "1",
        "HF_HOME": str(folder / "hub"),
        "OMP_NUM_THREADS": "1",
        "PYTHONPATH": os.pathsep.join(filter(None, [source, os.environ.get("PYTHONPATH", "")])),
    }


def shown(notebook: Any) -> list[tuple[str, str]]:
    """All that the cells put out, in order: (kind, content), a stream's kind being its name."""
    found = []
    for cell in cells_of(notebook, "code"):
        for output in cell.outputs:
            if output.output_type == "stream":
                found.append((output.name, output.text))
            else:
                kinds = ("image/svg+xml", "text/markdown", "text/html", "text/plain")
                kind = next(kind for kind in kinds if kind in output.data)
                found.append((kind, output.data[kind]))
    return found


def unlabelled(svg: str) -> list[str]:
    """The axes that have ticks, and no text of their own beside those of the ticks."""
    found = []
    for panel in ElementTree.fromstring(svg.encode()).iter(f"{SVG}g"):
        if not panel.get("id", "").startswith("axes_"):
            continue
        for axis in panel.findall(f"{SVG}g"):
            kinds = [each.get("id", "") for each in axis.findall(f"{SVG}g")]
            ticks = any(kind.startswith(("xtick", "ytick")) for kind in kinds)
            if ticks and not any(kind.startswith("text_") for kind in kinds):
                found.append(f"{panel.get('id')} {axis.get('id')}")
    return found


@pytest.mark.parametrize("script", SCRIPTS, ids=NAMES)
def test_a_notebook_runs_from_top_to_bottom(script: Path, data: Path, tmp_path: Path) -> None:
    notebook = notebooks.notebook_of(script)
    # figures as SVG can be asked for the labels of their axes
    first = cells_of(notebook, "code")[0]
    first.source += '\n%config InlineBackend.figure_formats = ["svg"]\n'
    notebooks.execute(notebook, tmp_path / "work", quick(tmp_path, data))
    assert all(cell.execution_count for cell in cells_of(notebook, "code"))

    outputs = shown(notebook)
    said = "\n".join(html.unescape(text) for kind, text in outputs if kind != "image/svg+xml")
    assert "Warning" not in said
    for words in CONTAINS[script.stem]:
        assert words in said, words

    figures = [place for place, (kind, _) in enumerate(outputs) if kind == "image/svg+xml"]
    assert len(figures) == FIGURES[script.stem]
    for number, place in enumerate(figures, start=1):
        assert not unlabelled(outputs[place][1]), f"figure {number}"
        kind, caption = outputs[place + 1]
        assert kind == "text/markdown"
        assert caption.startswith(f"*Figure {number}. ")

    # what it wrote lies in its own folder, and every run in it is whole
    assert not list(Path(tmp_path).glob("runs"))
    runs = sorted((tmp_path / "work" / "runs" / script.stem).glob("*/*/metrics.json"))
    assert runs
    assert all(json.loads(run.read_text(encoding="utf-8"))["validation"]["count"] for run in runs)


def test_a_cell_that_fails_fails_the_notebook(tmp_path: Path) -> None:
    notebook = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("assert 1 == 2")])
    with pytest.raises(CellExecutionError):
        notebooks.execute(notebook, tmp_path, os.environ)


def test_the_kernel_is_this_interpreter_and_leaves_nothing_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HOME", str(home))
    cell = nbformat.v4.new_code_cell("import sys\nprint(sys.executable)")
    notebook = nbformat.v4.new_notebook(cells=[cell])
    notebooks.execute(notebook, tmp_path / "work", dict(os.environ) | {"HOME": str(home)})
    assert notebook.cells[0].outputs[0].text.splitlines()[0] == sys.executable
    assert not list(home.rglob("*"))


def test_a_figure_without_labels_is_found() -> None:
    figure, file = Figure(), io.StringIO()
    axes = figure.subplots()
    axes.plot([1, 2])
    axes.set_xlabel("step")
    figure.savefig(file, format="svg")
    assert unlabelled(file.getvalue()) == ["axes_1 matplotlib.axis_2"]
