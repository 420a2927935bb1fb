"""What a class or function of a submission uses, followed by its text through all files of the submission.

Whether it is attention that somebody else wrote is read here, before anything runs; `checking.usage` looks at
what computes when it does.
"""

import ast
import builtins
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

READY_MADE = (
    "scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention",
    "_transformer_encoder_layer_fwd", "MultiheadAttention", "Transformer", "TransformerEncoder",
    "TransformerEncoderLayer", "TransformerDecoder", "TransformerDecoderLayer", "flex_attention",
    "_scaled_dot_product_attention_math", "_scaled_dot_product_flash_attention_for_cpu", "_fused_sdp_choice",
)  # fmt: skip
HARMLESS = ("generate_square_subsequent_mask",)
"""Found on a ready-made class, and no attention."""
OTHERS = (
    "glassformer",
    "transformers",
    "timm",
    "torchvision",
    "x_transformers",
    "vit_pytorch",
    "flash_attn",
    "xformers",
)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Chain = tuple[str, ...]
"""A dotted name as it is read: ("F", "softmax"). It begins with "" where that is no name of the module."""
Import = tuple[str, str, int]
"""A module, what is taken from it (empty: the module itself, "*": everything), and the line."""


@dataclass(frozen=True)
class File:
    """A file of a submission, read as Python. path: below its folder; why: it could not be read, if so."""

    path: str
    tree: ast.Module = field(default_factory=lambda: ast.Module([], []))
    why: str = ""

    @property
    def modules(self) -> tuple[str, ...]:
        """Its name as a module, and of the packages that it lies in."""
        parts = PurePosixPath(self.path).with_suffix("").parts
        return parts[:-1] if parts[-1] == "__init__" else parts

    @cached_property
    def defined(self) -> dict[str, list[ast.AST]]:
        """What each name at the top of it may stand for: all that give it a value, in their order."""
        found: dict[str, list[ast.AST]] = {}
        for statement in _statements(self.tree.body):
            parts = _own_parts(statement)
            for name in _bound(parts):
                found.setdefault(name, []).extend(parts)
        return found

    @cached_property
    def imports(self) -> dict[str, list[Import]]:
        """The same for what is imported, wherever in the file."""
        found: dict[str, list[Import]] = {}
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                for each in node.names:
                    name = each.asname or each.name.partition(".")[0]
                    found.setdefault(name, []).append((each.name, "", node.lineno))
            elif isinstance(node, ast.ImportFrom):
                for each in node.names:
                    name = each.asname or each.name
                    found.setdefault(name, []).append((node.module or "", each.name, node.lineno))
        return found

    @cached_property
    def methods(self) -> set[str]:
        """The names of functions inside its classes."""
        return {
            each.name
            for node in ast.walk(self.tree)
            if isinstance(node, ast.ClassDef)
            for each in node.body
            if isinstance(each, ast.FunctionDef)
        }


@dataclass
class Trace:
    """Follows a definition. found: file, line and name of the first attention that somebody else wrote.

    unread: a file that it imports and that could not be read. names: everything of its own that it uses.
    """

    files: tuple[File, ...]
    found: tuple[str, int, str] | None = None
    unread: File | None = None
    names: set[str] = field(default_factory=set)
    _seen: set[tuple[str, str]] = field(default_factory=set)
    _done: set[int] = field(default_factory=set)
    _left: list[tuple[File, str]] = field(default_factory=list)

    def follow(self, file: File, name: str) -> "Trace":
        self._left.append((file, name))
        while self._left:
            here, wanted = self._left.pop()
            if (here.path, wanted) in self._seen:
                continue
            self._seen.add((here.path, wanted))
            self.names.add(wanted)
            self._resolve(here, (wanted,))
            for part in here.defined.get(wanted, ()):
                if id(part) in self._done:  # one statement may give many names a value
                    continue
                self._done.add(id(part))
                for chain, line in dict(reversed(list(_read(part)))).items():
                    self._resolve(here, chain, line)
        return self

    def _resolve(self, file: File, chain: Chain, line: int = 0) -> None:
        """Where a dotted name that is read in a file leads."""
        first, *then = chain
        if then and then[-1] in HARMLESS:
            return
        if first in file.defined:
            self._left.append((file, first))
        for module, what, imported in file.imports.get(first, ()):
            self._import(file, module, [each for each in (what, *then) if each], line or imported)
        if first in file.imports:
            return
        if first not in file.defined and first and first not in vars(builtins):
            self._starred(file, first, line)
        # torch.nn under another name, or taken apart; a method may be called so
        if any(_is_ready_made(each) and each not in self._methods for each in then):
            self._note(file, line, ".".join(chain).strip("."))

    def _import(self, file: File, module: str, names: list[str], line: int) -> None:
        said = ".".join(each for each in (module, *names) if each)
        own = [each for each in self._own(module, names) if each is not file]
        for each in own:
            if each.why:
                self.unread = self.unread or each
            self._left += [(each, name) for name in names]
        others = module.partition(".")[0] in OTHERS
        if not self._is_own(module) and (others or any(each in READY_MADE for each in names)):
            self._note(file, line, said)

    def _is_own(self, module: str) -> bool:
        root = module.partition(".")[0]
        loaded = root in ("glassformer", "torch")  # a file of that name is never reached
        return not root or (any(root in each.modules for each in self.files) and not loaded)

    def _own(self, module: str, names: list[str]) -> Iterator[File]:
        """Files that a module may be: by the last part of its name, or one inside a package."""
        last = module.rpartition(".")[2]
        for each in self.files:
            if each.path.endswith(".py") and each.modules and each.modules[-1] in (last, *names):
                yield each

    def _starred(self, file: File, name: str, line: int) -> None:
        """A name that nothing in the file gives: something was imported with a star."""
        own = False
        for module, _, imported in file.imports.get("*", ()):
            self._import(file, module, [name], line or imported)
            own |= self._is_own(module)
        if name in READY_MADE and name not in self._methods and not own:
            self._note(file, line, name)

    def _note(self, file: File, line: int, said: str) -> None:
        self.found = self.found or (file.path, line, said)

    @cached_property
    def _methods(self) -> set[str]:
        return {name for each in self.files for name in each.methods}


def is_main(node: ast.stmt) -> bool:
    """`if __name__ == "__main__":`, which does not run here."""
    return isinstance(node, ast.If) and ast.unparse(node.test) in (
        "__name__ == '__main__'",
        "'__main__' == __name__",
    )


def _statements(body: Iterable[ast.stmt]) -> Iterator[ast.stmt]:
    """At the top of a file, also those inside `if`, `try`, `with` and loops."""
    for node in body:
        yield node
        if isinstance(node, DEFINITIONS):
            continue
        for name in ("orelse",) if is_main(node) else ("body", "orelse", "finalbody"):
            yield from _statements(getattr(node, name, ()))
        for each in (*getattr(node, "handlers", ()), *getattr(node, "cases", ())):
            yield from _statements(each.body)


def _own_parts(node: ast.stmt) -> list[ast.AST]:
    """A statement; of one with others inside it, what belongs to itself."""
    if isinstance(node, DEFINITIONS) or not (hasattr(node, "body") or hasattr(node, "cases")):
        return [node]
    return [each for each in ast.iter_child_nodes(node) if isinstance(each, (ast.expr, ast.withitem))]


def _bound(parts: Iterable[ast.AST]) -> set[str]:
    """Names that are given a value: assigned to, defined, or changed in a part (`A.forward = ...`)."""
    found = set()
    for part in parts:
        if isinstance(part, DEFINITIONS):
            found.add(part.name)
            continue
        for each in ast.walk(part):
            if isinstance(getattr(each, "ctx", None), ast.Store):
                root = each
                while isinstance(root, (ast.Attribute, ast.Subscript)):
                    root = root.value
                if isinstance(root, ast.Name):
                    found.add(root.id)
    return found


def _read(part: ast.AST) -> Iterator[tuple[Chain, int]]:
    """Every dotted name of the module that is read in it, and each text that names ready-made attention."""
    left: list[tuple[ast.AST, frozenset[str], frozenset[str]]] = [(part, frozenset(), frozenset())]
    while left:
        node, given, local = left.pop()
        line = getattr(node, "lineno", 0)
        if isinstance(node, FUNCTIONS):
            body = node.body if isinstance(node.body, list) else [node.body]
            around = [node.args, getattr(node, "returns", None), *getattr(node, "decorator_list", ())]
            takes = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
            left += [(each, given | takes, (local - takes) | _locals(body)) for each in body]
            left += [(each, given, local) for each in around if each]
            continue
        if isinstance(node, COMPREHENSIONS):
            local |= _bound([each.target for each in node.generators])
        if isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load):
            root, *then = _chain(node)
            if root in local:
                yield ("", *then), line
            elif root not in given:
                yield (root, *then), line
            while isinstance(node, ast.Attribute):
                node = node.value
            if isinstance(node, ast.Name):
                continue
        # getattr(F, "scaled_dot_product_attention"), import_module("glassformer.nn")
        text = node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""
        if _is_ready_made(text) and text != "Transformer":
            yield ("", text), line
        left += [(each, given, local) for each in ast.iter_child_nodes(node)]


def _is_ready_made(name: str) -> bool:
    return name in READY_MADE or name.startswith("glassformer.")


def _chain(node: ast.expr) -> Chain:
    names: list[str] = []
    while isinstance(node, ast.Attribute):
        names.append(node.attr)
        node = node.value
    return (node.id if isinstance(node, ast.Name) else "", *reversed(names))


def _locals(body: Iterable[ast.AST]) -> frozenset[str]:
    """What a function gives a value to itself, but for what it imports or declares global."""
    found: set[str] = set()
    outside: set[str] = set()
    left = list(body)
    while left:
        node = left.pop()
        if isinstance(node, DEFINITIONS):
            found.add(node.name)
        elif isinstance(node, ast.Global):
            outside |= set(node.names)
        elif not isinstance(node, ast.Lambda):
            if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
                found.add(node.id)
            left += ast.iter_child_nodes(node)
    return frozenset(found - outside)
