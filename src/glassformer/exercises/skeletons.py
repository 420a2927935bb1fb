"""Exercise files, cut from the project's own source: what is to be written becomes a TODO, or stays.

Definitions are read, never imported: `module:name`, with everything of the project that they use, so that a
file stands on its own. Sizes in annotations (jaxtyping) become a sentence of the docstring.
"""

import ast
import copy
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib.util import find_spec
from pathlib import Path

PROJECT, LINE = "glassformer.", 110
SHAPED = ("Bool", "Float", "Float64", "Int", "Int64", "Shaped")
Definition = ast.FunctionDef | ast.ClassDef
Edit = tuple[int, int, str]
"""From, to, and what comes there instead, in bytes of the source."""


@dataclass(frozen=True)
class Source:
    """A module of the project as text. imports: name -> (module, None where it is one, what it is there)."""

    text: bytes
    tree: ast.Module
    imports: dict[str, tuple[str | None, str]]
    defined: dict[str, ast.stmt]

    @classmethod
    @cache
    def of(cls, module: str) -> "Source":
        found = find_spec(module)
        assert found
        assert found.origin
        text = Path(found.origin).read_bytes()
        tree = ast.parse(text)
        imports: dict[str, tuple[str | None, str]] = {}
        defined: dict[str, ast.stmt] = {}
        for node in tree.body:
            if isinstance(node, ast.Import):
                imports |= {each.asname or each.name: (None, each.name) for each in node.names}
            elif isinstance(node, ast.ImportFrom):
                imports |= {each.asname or each.name: (node.module, each.name) for each in node.names}
            elif isinstance(node, (ast.FunctionDef, ast.ClassDef)):
                defined[node.name] = node
            elif isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name):
                defined[node.targets[0].id] = node
        return cls(text, tree, imports, defined)

    def place(self, line: int, column: int) -> int:
        """The byte at a line (from 1) and a column of it, as `ast` counts them."""
        return sum(map(len, self.text.splitlines(keepends=True)[: line - 1])) + column

    def span(self, node: ast.expr | ast.stmt) -> tuple[int, int]:
        assert node.end_lineno is not None
        assert node.end_col_offset is not None
        return (
            self.place(node.lineno, node.col_offset),
            self.place(node.end_lineno, node.end_col_offset),
        )


@dataclass
class _File:
    """A file as it grows: imports, and definitions in an order in which each finds what it uses."""

    todo: frozenset[str]
    imports: set[tuple[str | None, str, str]] = field(default_factory=set)
    parts: list[str] = field(default_factory=list)
    taken: set[tuple[str, str]] = field(default_factory=set)

    def take(self, module: str, name: str) -> None:
        if (module, name) in self.taken:
            return
        self.taken.add((module, name))
        source = Source.of(module)
        node = source.defined[name]
        decorators = getattr(node, "decorator_list", [])
        start = source.span(decorators[0])[0] - 1 if decorators else source.span(node)[0]
        end = source.span(node)[1]
        for used in _names(node):
            if used in source.imports:
                self._import(used, *source.imports[used])
            elif used in source.defined and used != name:
                self.take(module, used)
        edits = [*_annotations(source, node)]
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            edits += _signatures(source, node)
            edits += _todos(source, node) if name in self.todo else _told(source, node)
        self.parts.append(_edited(source.text, start, end, edits))

    def _import(self, name: str, module: str | None, what: str) -> None:
        if module and module.startswith(PROJECT):
            self.take(module, what)
        elif module != "jaxtyping":
            self.imports.add((module, what, name))

    def text(self) -> str:
        plain = sorted(
            f"import {what}" + (f" as {name}" if name != what else "")
            for module, what, name in self.imports
            if module is None
        )
        origins = sorted({module for module, _, _ in self.imports if module})
        named = [
            f"from {origin} import "
            + ", ".join(
                what + (f" as {name}" if name != what else "")
                for module, what, name in sorted(self.imports, key=str)
                if module == origin
            )
            for origin in origins
        ]
        own = [
            line for line in (*plain, *named) if line.split()[1].partition(".")[0] in sys.stdlib_module_names
        ]
        others = [line for line in (*plain, *named) if line not in own]
        heads = ["\n".join(lines) for lines in (own, others) if lines]
        return "\n\n".join(heads) + "\n\n\n" + "\n\n\n".join(self.parts) + "\n"


def assembled(definitions: Iterable[str], todo: Iterable[str] = (), title: str = "") -> str:
    """The text of a file with these definitions, `module:name` each, without the bodies of those in todo."""
    file = _File(frozenset(todo))
    for each in definitions:
        module, _, name = each.partition(":")
        file.take(module, name)
    return (f'"""{title}"""\n\n' if title else "") + file.text()


def left_open(node: Definition) -> bool:
    """Whether this is still a TODO: a function, or every method of a class, is as in a skeleton."""
    if isinstance(node, ast.FunctionDef):
        return _is_todo(node)
    methods = [each for each in node.body if isinstance(each, ast.FunctionDef)]
    return bool(methods) and all(_is_todo(each) for each in methods)


def _is_todo(function: ast.FunctionDef) -> bool:
    body = [
        each
        for each in function.body
        if not (isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant))
        and "super().__init__" not in ast.unparse(each)
    ]
    return len(body) == 1 and "NotImplementedError" in ast.unparse(body[0]) and isinstance(body[0], ast.Raise)


def _names(node: ast.stmt) -> list[str]:
    """The names that a definition reads, once each, in the order of its text."""
    found = [each for each in ast.walk(node) if isinstance(each, ast.Name)]
    return list(dict.fromkeys(each.id for each in sorted(found, key=lambda n: (n.lineno, n.col_offset))))


def _shaped(node: ast.AST) -> bool:
    return isinstance(node, ast.Subscript) and isinstance(node.value, ast.Name) and node.value.id in SHAPED


def _annotations(source: Source, node: ast.stmt) -> Iterator[Edit]:
    """Float[Tensor, "batch tokens"] becomes Tensor."""
    for each in ast.walk(node):
        if _shaped(each):
            assert isinstance(each, ast.Subscript)
            assert isinstance(each.slice, ast.Tuple)
            yield (*source.span(each), ast.unparse(each.slice.elts[0]))


class _Bare(ast.NodeTransformer):
    def visit_Subscript(self, node: ast.Subscript) -> ast.expr:
        if _shaped(node):
            assert isinstance(node.slice, ast.Tuple)
            return node.slice.elts[0]
        self.generic_visit(node)
        return node


def _signatures(source: Source, node: Definition) -> Iterator[Edit]:
    """On one line where that is long enough now."""
    for function in _functions(node):
        bare = _Bare().visit(copy.deepcopy(function))
        gives = f" -> {ast.unparse(bare.returns)}" if bare.returns else ""
        takes = re.sub(r"(: [\w\[\]., |]+?)=", r"\1 = ", ast.unparse(bare.args))
        line = f"def {function.name}({takes}){gives}:"
        first = source.span(function.body[0])[0]
        if function.col_offset + len(line) <= LINE:
            indent = " " * (function.col_offset + 4)
            yield source.span(function)[0], first, f"{line}\n{indent}"


def _functions(node: Definition) -> list[ast.FunctionDef]:
    if isinstance(node, ast.FunctionDef):
        return [node]
    return [each for each in node.body if isinstance(each, ast.FunctionDef)]


def _todos(source: Source, node: Definition) -> Iterator[Edit]:
    """Each function keeps its signature and docstring, and a constructor the call of its parent's."""
    for function in _functions(node):
        kept = function.body[0] if ast.get_docstring(function) else None
        first = function.body[1 if kept else 0]
        indent = " " * (function.col_offset + 4)
        name = function.name if node is function else f"{node.name}.{function.name}"
        lines = [] if kept or not (told := _shapes(function)) or node is function else [f'"""{told}"""']
        if "super().__init__()" in ast.unparse(first):
            lines.append("super().__init__()")
        lines.append(f'raise NotImplementedError("TODO: {name}")')
        yield source.span(first)[0], source.span(function.body[-1])[1], f"\n{indent}".join(lines)


def _told(source: Source, node: Definition) -> Iterator[Edit]:
    """Given or filled in: nothing changes but the shapes, which move into a docstring."""
    for function in _functions(node):
        told = "" if ast.get_docstring(function) or node is function else _shapes(function)
        if told:
            start = source.span(function.body[0])[0]
            indent = " " * (function.col_offset + 4)
            yield start, start, f'"""{told}"""\n{indent}'


def _shapes(function: ast.FunctionDef) -> str:
    """'x: (batch, tokens, d_model) -> (batch, tokens, d_head)', out of the annotations."""
    takes = [f"{each.arg}: {shape}" for each in function.args.args if (shape := _shape(each.annotation))]
    gives = _shape(function.returns)
    told = ", ".join(takes) + (f" -> {gives}" if gives else "") if takes else ""
    return told if len(told) < LINE - 14 else f"{', '.join(takes)}\n\n        -> {gives}\n        "


def _shape(annotation: ast.expr | None) -> str:
    for each in ast.walk(annotation) if annotation else ():
        if _shaped(each):
            assert isinstance(each, ast.Subscript)
            assert isinstance(each.slice, ast.Tuple)
            assert isinstance(each.slice.elts[1], ast.Constant)
            axes = str(each.slice.elts[1].value).split()
            return f"({', '.join(axes)}{',' if len(axes) == 1 else ''})"
    return ""


def _edited(text: bytes, start: int, end: int, edits: Sequence[Edit]) -> str:
    """The text from start to end with these edits; one inside another is dropped with it."""
    result, at = [], start
    for first, last, new in sorted(edits, key=lambda edit: (edit[0], -edit[1])):
        if first < at:
            continue
        result += [text[at:first], new.encode()]
        at = last
    return b"".join((*result, text[at:end])).decode()
