"""On which line of somebody's code a mistake probably is."""

import ast
import re

from glassformer.checking.catalogue import entry
from glassformer.checking.source import Code


def line_of(slug: str, code: Code) -> int | None:
    """The line on which this step probably is; None where no line looks like it.

    Looked through are the class or function under check and whatever of its file it uses.
    """
    parts = [_steps_of(each) for each in (code, *_used(code))]
    for pattern in entry(slug).lines:
        for part in parts:
            found = part.line((pattern,))
            if found is not None:
                return found
    return None


def _steps_of(code: Code) -> Code:
    """Without what is no step of a computation, the numbers of the lines kept."""
    text = re.sub(r"(?m)^([ \t]*)(import|from|raise|assert)\b.*", r"\1pass", code.text)
    return Code(re.sub(r"(?m)^([ \t]*class[ \t]+)\w+.*:[ \t]*$", r"\1C:", text), code.first, code.whole)


def _used(code: Code) -> list[Code]:
    """The other classes and functions of the file that this code uses, directly or through others."""
    try:
        whole = ast.parse(code.whole)
    except (SyntaxError, ValueError):
        return []
    defined = {
        node.name: node
        for node in whole.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef)) and node.lineno != code.first
    }
    found: dict[str, Code] = {}
    texts = [code.text]
    while texts:
        try:
            tree = ast.parse(texts.pop(0))
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            name = node.id if isinstance(node, ast.Name) else ""
            if name in defined and name not in found:
                found[name] = Code.of(code.whole, name)
                texts.append(found[name].text)
    return list(found.values())
