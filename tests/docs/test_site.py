"""The whole site, built once in a copy of the repository by the very tools of `make docs`."""

import html
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from included import DIRECTIVE

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted((ROOT / "docs").rglob("*.md"))
SVG = "{http://www.w3.org/2000/svg}"

# one worker of pytest-xdist builds it, and has all tests that look at it
pytestmark = pytest.mark.xdist_group("site")


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The copy, with its site in it."""
    root = tmp_path_factory.mktemp("repository")
    generated = shutil.ignore_patterns("__pycache__", "*.svg", "*.png", "*.egg-info")
    for name in ("docs", "src", "benchmarks", "notebooks", "README.md", "zensical.toml"):
        whole, copy = ROOT / name, root / name
        shutil.copytree(whole, copy, ignore=generated) if whole.is_dir() else shutil.copy(whole, copy)
    done = subprocess.run(
        [sys.executable, "docs/tools/build.py"],
        cwd=root,
        env=os.environ | {"PYTHONPATH": str(root / "src"), "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=600,
    )
    # among other things every link of every page has been followed: see docs/tools/links.py
    assert done.returncode == 0, done.stdout + done.stderr
    return root


def _text(page: Path) -> str:
    return html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))


def test_every_page_is_there_and_in_the_navigation(built: Path) -> None:
    config = (ROOT / "zensical.toml").read_text(encoding="utf-8")
    for page in PAGES:
        name = page.relative_to(ROOT / "docs").as_posix()
        assert f'"{name}"' in config
        assert (built / "site" / name).with_suffix(".html").is_file()


SOURCES = """
import importlib, inspect, json, sys, textwrap
found = []
for module, name in json.load(sys.stdin):
    what = importlib.import_module(module)
    for part in name.split("."):
        what = inspect.getattr_static(what, part)
    what = getattr(what, "__func__", what)
    found.append(textwrap.dedent(inspect.getsource(what)).strip())
json.dump(found, sys.stdout)
"""
"""Python's own answer to where a definition stands, in a process whose imports are not checked for shapes."""


def test_code_in_pages_is_the_code_that_runs(built: Path) -> None:
    wanted = []
    for page in PAGES:
        for line in page.read_text(encoding="utf-8").splitlines():
            if (match := DIRECTIVE.fullmatch(line)) and match[1].startswith("src/"):
                module = match[1][4:-3].replace("/", ".")
                wanted += [(page, module, name) for name in match[2].split()]
    assert len(wanted) > 25
    answer = subprocess.run(
        [sys.executable, "-c", SOURCES],
        input=json.dumps([each[1:] for each in wanted]),
        env=os.environ | {"PYTHONPATH": str(ROOT / "src")},
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    for (page, _, name), source in zip(wanted, json.loads(answer), strict=True):
        shown = _text((built / "site" / page.relative_to(ROOT / "docs")).with_suffix(".html"))
        assert source in shown, (page, name)


def test_formulas_are_drawn(built: Path) -> None:
    count = 0
    for page in PAGES:
        source = re.sub(r"^```.*?^```", "", page.read_text(encoding="utf-8"), flags=re.S | re.M)
        source = re.sub(r"`[^`\n]*`", "", source)
        written = len(re.findall(r"\$\$.+?\$\$|\$[^$\n]+\$", source, flags=re.S))
        made = (built / "site" / page.relative_to(ROOT / "docs")).with_suffix(".html").read_text("utf-8")
        assert made.count('<svg aria-label="') == written, page
        assert "arithmatex" not in made
        count += written
    assert count > 40


def _unlabelled(svg: Path) -> list[str]:
    """The axes with ticks, and without a text of their own beside those of the ticks."""
    found = []
    for panel in ElementTree.parse(svg).iter(f"{SVG}g"):
        if not panel.get("id", "").startswith("axes_"):
            continue
        for axis in panel.findall(f"{SVG}g"):
            kinds = [each.get("id", "") for each in axis.findall(f"{SVG}g")]
            ticks = any(kind.startswith(("xtick", "ytick")) for kind in kinds)
            if ticks and not any(kind.startswith("text_") for kind in kinds):
                found.append(f"{panel.get('id')} {axis.get('id')}")
    return found


def test_every_figure_is_drawn_with_labels_and_shown(built: Path) -> None:
    pages = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    scripts = sorted((built / "docs" / "figures").glob("*.py"))
    assert len(scripts) == 11
    for script in scripts:
        svg = script.with_suffix(".svg")
        assert svg.stat().st_size < 200_000
        assert not _unlabelled(svg), script
        assert f"figures/{svg.name})" in pages
        printed = script.with_suffix(".txt").read_text(encoding="utf-8")
        assert printed.strip()
        assert any(printed.strip() in _text(page) for page in (built / "site" / "tour").glob("*.html")), (
            script
        )


def test_a_figure_without_labels_is_found(tmp_path: Path) -> None:
    from matplotlib.figure import Figure

    figure = Figure()
    axes = figure.subplots()
    axes.plot([1, 2])
    axes.set_xlabel("step")
    figure.savefig(tmp_path / "figure.svg")
    assert _unlabelled(tmp_path / "figure.svg") == ["axes_1 matplotlib.axis_2"]


def test_what_the_tour_says_of_its_models_is_so(built: Path) -> None:
    """The text says that parity and reversal are learned, and how tokens fare; the scripts measured it."""
    figures = built / "docs" / "figures"
    seen, unseen = (
        float(re.search(rf"^{name} .*right, ([\d.]+)", (figures / "parity.txt").read_text(), re.M)[1])  # type: ignore[index]
        for name in ("seen", "never seen")
    )
    assert seen > 0.95
    assert unseen > 0.9
    right, total = re.search(r"greedy: ([\d,]+) of ([\d,]+)", (figures / "decoding.txt").read_text()).groups()  # type: ignore[union-attr]
    assert int(right.replace(",", "")) > 0.99 * int(total.replace(",", ""))
    assert "[4, 2, 5, 3, 11]" in (figures / "decoding.txt").read_text().splitlines()[3]
    rows = {
        line[:12].strip(): line[12:].split() for line in (figures / "block.txt").read_text().splitlines()[1:]
    }
    sizes, different = ({kind: float(row[column]) for kind, row in rows.items()} for column in (0, 1))
    assert sizes["pre-norm"] > 1.5 > sizes["post-norm"]
    assert different["no residual"] < 1e-6 < 0.1 < min(different["pre-norm"], different["post-norm"])


def test_nothing_of_the_workshop_is_published(built: Path) -> None:
    names = {path.suffix for path in (built / "site" / "figures").iterdir()}
    assert names == {".svg"}
    assert not (built / "site" / "tools").exists()
    assert (built / "site" / "source" / "src/glassformer/baselines/network.py.txt").is_file()
    assert (built / "site" / "source" / "README.md.txt").is_file()
