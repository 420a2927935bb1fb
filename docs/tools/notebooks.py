"""The notebooks of the exercise sheets: made from their Python files, and executed.

    python docs/tools/notebooks.py          executes all, full size, into runs/notebooks/
    python docs/tools/notebooks.py a e      ... these alone
    python docs/tools/notebooks.py --pair   writes notebooks/*.ipynb anew from notebooks/*.py

The Python file is the one to edit. The notebook beside it has the same cells and no outputs, so that nothing
in it can be out of date.
"""

import os
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jupytext
import nbformat
from jupyter_client.kernelspec import KernelSpec, KernelSpecManager
from jupyter_client.manager import KernelManager
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError
from nbformat import NotebookNode

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "notebooks"
EXECUTED = ROOT / "runs" / "notebooks"
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}
CELL_SECONDS = 3600


class ThisInterpreter(KernelSpecManager):
    """Every kernel is the Python that asks for it, whatever is installed under the name."""

    def get_kernel_spec(self, kernel_name: str) -> KernelSpec:
        command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
        return KernelSpec(argv=command, display_name="Python 3", language="python")


def scripts() -> list[Path]:
    """The Python files, in order."""
    return sorted(FOLDER.glob("sheet_*.py"))


def notebook_of(script: Path) -> NotebookNode:
    """The notebook of a Python file in the percent format: the same cells, and no outputs."""
    read: Any = jupytext.reads(script.read_text(encoding="utf-8"), fmt="py:percent")
    cells = []
    for number, cell in enumerate(read.cells, start=1):
        make = nbformat.v4.new_markdown_cell if cell.cell_type == "markdown" else nbformat.v4.new_code_cell
        # numbered, so that the same file gives the same notebook
        cells.append(make(cell.source, id=f"cell-{number:02d}"))
    return nbformat.v4.new_notebook(cells=cells, metadata=METADATA)


def execute(notebook: NotebookNode, folder: Path, environment: Mapping[str, str]) -> None:
    """Runs a notebook in place, in `folder`. Raises CellExecutionError for a cell that fails.

    What the kernel keeps for itself stays in `folder` too, and nothing is written to the user's own folders.
    """
    folder.mkdir(parents=True, exist_ok=True)
    manager = KernelManager(
        kernel_spec_manager=ThisInterpreter(), connection_file=str(folder.resolve() / ".kernel.json")
    )
    client = NotebookClient(
        notebook, km=manager, timeout=CELL_SECONDS, resources={"metadata": {"path": str(folder)}}
    )
    try:
        client.execute(env=dict(environment) | {"IPYTHONDIR": str(folder.resolve() / ".ipython")})
    finally:
        if manager.has_kernel:
            manager.shutdown_kernel(now=True)
        manager.cleanup_connection_file()


def main(words: list[str]) -> int:
    if words == ["--pair"]:
        for script in scripts():
            nbformat.write(notebook_of(script), script.with_suffix(".ipynb"))
        return 0
    known = [script.stem.removeprefix("sheet_") for script in scripts()]
    if wrong := [word for word in words if word not in known]:
        print(f"notebooks: there is no sheet {wrong[0]!r}; choose {', '.join(known)}", file=sys.stderr)
        return 2
    chosen = [script for script in scripts() if not words or script.stem.removeprefix("sheet_") in words]
    failed = False
    for script in chosen:
        notebook, start = notebook_of(script), time.monotonic()
        print(f"notebooks: {script.relative_to(ROOT)} ...", flush=True)
        try:
            execute(notebook, EXECUTED, os.environ)
        except CellExecutionError as error:
            print(f"notebooks: {script.name} failed: {error}", file=sys.stderr)
            failed = True
        out = EXECUTED / f"{script.stem}.ipynb"
        nbformat.write(notebook, out)  # also of one that failed: it shows where
        print(f"notebooks: {out.relative_to(ROOT)}, {time.monotonic() - start:.0f} s", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
