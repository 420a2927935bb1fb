"""Builds the site: figures, pages, the source files that pages link to; then checks every link.

    python docs/tools/build.py [--no-figures]

A page that links to a file outside docs/ does so as a reader of the repository wants it, ../src/...; in the
site such a link leads to a copy under source/, as text, so that a browser shows it.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import figures
from links import broken

ROOT = Path(__file__).resolve().parents[2]
OUTWARDS = re.compile(r'(<a [^>]*?href=")((?:\.\./)+[^"#?]+)(")')


def build(site: Path) -> None:
    """Runs zensical, which stops at a broken link of a page, an unknown name, or a formula it cannot set.

    The folder is the one of zensical.toml, and is made anew.
    """
    shutil.rmtree(site, ignore_errors=True)
    path = os.pathsep.join(
        [str(ROOT / "docs" / "tools"), str(ROOT / "src"), os.environ.get("PYTHONPATH", "")]
    )
    subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--clean", "--strict"],
        check=True,
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": path, "NO_COLOR": "1"},
    )


def bring_sources(site: Path) -> list[str]:
    """Copies the files of the repository that pages link to into the site; gives their names."""
    brought = []
    for page in site.rglob("*.html"):
        place = ROOT / "docs" / page.parent.relative_to(site)  # where the page's Markdown stands
        up = "../" * len(page.parent.relative_to(site).parts)

        def rewritten(match: re.Match[str], place: Path = place, up: str = up) -> str:
            file = (place / match[2]).resolve()
            if not file.exists() and file.suffix == ".html":  # zensical takes every Markdown file for a page
                page = file.with_name("README.md") if file.name == "index.html" else file
                file = page.with_suffix(".md")
            if file.is_relative_to(ROOT / "docs") or not file.is_relative_to(ROOT) or not file.is_file():
                return match[0]
            name = file.relative_to(ROOT).as_posix()
            as_text = name if file.suffix in (".json", ".txt") else f"{name}.txt"
            copy = site / "source" / as_text
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(file, copy)
            brought.append(name)
            return f"{match[1]}{up}source/{as_text}{match[3]}"

        text = page.read_text(encoding="utf-8")
        changed = OUTWARDS.sub(rewritten, text)
        if changed != text:
            page.write_text(changed, encoding="utf-8")
    return sorted(set(brought))


def main(words: list[str]) -> int:
    if "--no-figures" not in words:
        for name in figures.names():
            figures.write(name)
    site = ROOT / "site"
    try:
        build(site)
    except subprocess.CalledProcessError:
        print("docs: the site was not built; the reason stands above", file=sys.stderr)
        return 1
    bring_sources(site)
    wrong = broken(site)
    for line in wrong:
        print(f"docs: {line}", file=sys.stderr)
    if not wrong:
        print(f"docs: open {site.relative_to(ROOT) / 'index.html'}")
    return bool(wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
