"""Code shown in a page is read from the file that runs: there is no copy to grow old.

A Markdown extension. A line

    <<< src/glassformer/nn/attention.py attention_weights

becomes a block of Python with that function, class, method (`Class.method`) or constant, found by its name;
of several names, each in turn. What is not there stops the build.
"""

import ast
import re
import textwrap
from pathlib import Path
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

ROOT = Path(__file__).resolve().parents[2]
DIRECTIVE = re.compile(r"<<< (\S+\.py)((?: [\w.]+)+)\s*")


def definition(source: str, name: str) -> str:
    """The lines that define `name` in the source, decorators and docstring with them, from the left margin.

    Raises LookupError where nothing of that name is defined.
    """
    node: ast.AST = ast.parse(source)
    for part in name.split("."):
        found = [child for child in getattr(node, "body", []) if part in _names(child)]
        if not found:
            raise LookupError(f"{name} is not defined there")
        node = found[-1]  # the last of several is the one that counts: the others are overloads
    assert isinstance(node, ast.stmt)
    first = min([node.lineno, *(each.lineno for each in getattr(node, "decorator_list", []))])
    lines = source.splitlines()[first - 1 : node.end_lineno]
    return textwrap.dedent("\n".join(lines))


def _names(node: ast.stmt) -> set[str]:
    if isinstance(node, ast.FunctionDef | ast.ClassDef):
        return {node.name}
    targets = (
        node.targets if isinstance(node, ast.Assign) else [getattr(node, "target", None)]
    )  # of x: int = 1
    return {target.id for target in targets if isinstance(target, ast.Name)}


def block(file: str, names: list[str]) -> list[str]:
    """The lines of Markdown that show these definitions of a file, named from the root of the repository."""
    source = (ROOT / file).read_text(encoding="utf-8")
    try:
        code = "\n\n\n".join(definition(source, name) for name in names)
    except LookupError as error:
        raise LookupError(f"cannot include from {file}: {error}") from None
    return ["", f'```` {{.python title="{file}"}}', *code.splitlines(), "````", ""]


class Included(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        result: list[str] = []
        for line in lines:
            match = DIRECTIVE.fullmatch(line)
            result += block(match[1], match[2].split()) if match else [line]
        return result


class IncludedExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # before fenced code (25), which takes the block from there
        md.preprocessors.register(Included(md), "included", 31)


def makeExtension(**options: Any) -> IncludedExtension:
    return IncludedExtension(**options)
