"""`glassformer exercise new`: a folder with skeletons, a page that says what to do, and tests."""

import re
from pathlib import Path

from glassformer.errors import UsageError
from glassformer.exercises.sheets import SHAPES, Sheet
from glassformer.exercises.skeletons import assembled


def skeleton(sheet: Sheet) -> dict[str, str]:
    """File -> text, with everything that is to be written left out."""
    title = f"{told(sheet)}.\n\nWhat raises NotImplementedError is yours to write.\n"
    return {
        name: assembled(each, {*sheet.targets, *_named(each)}, title) for name, each in sheet.files.items()
    }


def reference(sheet: Sheet) -> dict[str, str]:
    """The same files with the project's own bodies."""
    return {name: assembled(each) for name, each in sheet.files.items()}


def write(sheet: Sheet, folder: Path) -> list[Path]:
    """Writes a sheet's folder. Raises UsageError where a file that is there already would be overwritten."""
    texts = {"README.md": _page(sheet), **skeleton(sheet), test_file(sheet): _tests(sheet)}
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder")
    if there := [name for name in texts if (folder / name).exists()]:
        raise UsageError(
            f"{folder} holds {', '.join(there)} already; name another folder, nothing was written"
        )
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    return [folder / name for name in texts]


def told(sheet: Sheet) -> str:
    kind = f"Sheet {sheet.slug}" if len(sheet.slug) == 1 else "Exercise"
    return f"{kind}: {sheet.title}"


def test_file(sheet: Sheet) -> str:
    """Its name says which sheet a folder belongs to."""
    return f"test_{sheet.slug.lower()}.py"


def _named(definitions: tuple[str, ...]) -> list[str]:
    return [each.partition(":")[2] for each in definitions]


def _page(sheet: Sheet) -> str:
    files = " and ".join(f"`{name}`" for name in sheet.files)
    rows = [f"| {each.title} | `{each.target}` | {each.of} |" for each in sheet.criteria]
    notes = []
    if targets := dict.fromkeys(f"`{each.target}`" for each in sheet.criteria if each.written_out):
        *most, last = targets
        written = f"{', '.join(most)} and {last}" if most else last
        notes.append(
            "Whatever attends is written out, down to the softmax: with `nn.MultiheadAttention`, "
            "`nn.Transformer...`,\nPyTorch's `scaled_dot_product_attention` or other people's layers "
            f"anywhere in them there are no points for\n{written}."
        )
    if sheet.by_hand:
        notes.append(
            "\n".join(
                ["A person judges:\n", *(f"- {_by_hand(each.title, each.of)}" for each in sheet.by_hand)]
            )
        )
    return (
        f"""# {told(sheet)}

Write what is a TODO in {files}: a docstring says what it computes, with its shapes. Names of classes and
functions, and what their constructors take, stay; everything inside is yours, helpers too. Code that trains
belongs behind `if __name__ == "__main__":`, since the files are run to be judged.

```
pytest
glassformer exercise check .
```

The first says what fails, the second gives the points, and what is wrong with what.

| what | where | points |
| --- | --- | --- |
{chr(10).join(rows)}

{chr(10).join(f"{note}{chr(10)}" for note in notes)}""".rstrip()
        + "\n"
    )


def _by_hand(title: str, of: int) -> str:
    return f"{title} ({of} points)" if of > 1 else title


def _tests(sheet: Sheet) -> str:
    """Shapes by plain asserts; then the checker, where it is installed, whose message is the diagnosis."""
    modules = {name: Path(name).stem for name in sheet.files}
    texts = skeleton(sheet)
    imports = []
    for name, module in modules.items():
        here = [
            each for each in sorted(sheet.targets) if re.search(rf"^(class|def) {each}\b", texts[name], re.M)
        ]
        imports.append(f"from {module} import {', '.join(here)}")
    shapes = [SHAPES[each] for each in sheet.targets]
    libraries = [
        line
        for line, word in (("import numpy as np", "np."), ("import torch", "torch."))
        if any(word in each for each in shapes)
    ]
    parts = []
    for target, criterion in sheet.targets.items():
        slug = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", target).lower()
        parts.append(
            f"def test_{slug}_shape():\n    assert {SHAPES[target]}\n\n\n"
            f'def test_{slug}():\n    is_right({target}, "{criterion.contract}")'
        )
    return f'''"""{told(sheet)}.

Run `pytest` in this folder. Shapes first; then whether the numbers are right.
"""

{chr(10).join(["import pytest", *libraries])}

{chr(10).join(imports)}


def is_right(what, contract):
    """Judged by Glassformer, which says what is wrong; without it this is skipped."""
    checking = pytest.importorskip("glassformer.checking")
    checking.assert_correct(what, contract)


{(chr(10) * 3).join(parts)}
'''
