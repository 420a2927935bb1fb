"""What a class or function of a submission uses, followed by its text through all files of the submission.

Whether it is attention that somebody else wrote is read here, before anything runs; `checking.usage` looks at
what computes when it does.
"""

import ast
import builtins
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import PurePosixPath

READY_MADE = (
    "scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention",
    "_transformer_encoder_layer_fwd", "MultiheadAttention", "Transformer", "TransformerEncoder",
    "TransformerEncoderLayer", "TransformerDecoder", "TransformerDecoderLayer", "flex_attention",
    "_scaled_dot_product_attention_math", "_scaled_dot_product_flash_attention_for_cpu", "_fused_sdp_choice",
    "math_attention", "sdpa_dense",
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
LIBRARIES = (*OTHERS, "torch._higher_order_ops.flex_attention", "torch.nn.attention", "torch.onnx.ops")
"""What computes in these is somebody else's attention too: some of it calls plain functions of torch."""
LOADED = ("glassformer", "torch")
"""A file of such a name is never reached."""
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
Chain = tuple[str, ...]
"""A dotted name as it is read: ("F", "softmax"). It begins with "" where that is no name of the module."""
Import = tuple[str, str, int]
"""A module, as many dots before it as its import has, what is taken from it (empty: the module itself, "*":
everything), and the line."""
Scope = Mapping[str, Sequence[Import]]
Read = tuple[Chain, int, Sequence[Import]]
"""A dotted name that is read, its line, and where a function imports what it begins with, that."""


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
        """The same for what is imported, at the top of it or by a function that declares the name global."""
        found = _imports(self.tree.body)
        nodes = list(ast.walk(self.tree))
        outside = {name for each in nodes if isinstance(each, ast.Global) for name in each.names}
        for node in nodes if outside else ():
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
                for name, imported in _imports(node.body).items():
                    if name in outside:
                        found.setdefault(name, []).extend(imported)
        return found

    @cached_property
    def names(self) -> set[str]:
        """The functions, methods and classes that it defines, wherever in it."""
        return {each.name for each in ast.walk(self.tree) if isinstance(each, DEFINITIONS)}


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
                lines: dict[tuple[Chain, tuple[Import, ...]], int] = {}
                for chain, line, imported in _read(part):
                    lines.setdefault((chain, tuple(imported)), line)
                for (chain, imported), line in lines.items():
                    self._resolve(here, chain, line, imported)
        return self

    def _resolve(self, file: File, chain: Chain, line: int = 0, inside: Sequence[Import] = ()) -> None:
        """Where a dotted name that is read in a file leads. inside: imports of the function that reads it."""
        first, *then = chain
        if then and then[-1] in HARMLESS:
            return
        if first in file.defined and not inside:
            self._left.append((file, first))
        for module, what, imported in inside or file.imports.get(first, ()):
            self._import(file, module, [each for each in (what, *then) if each], line or imported)
        if inside or first in file.imports:
            return
        if first not in file.defined and first and first not in vars(builtins):
            self._starred(file, first, line)
        # torch.nn under another name, or taken apart; what they define themselves may be called so
        if any(each in READY_MADE and each not in self._names for each in then):
            self._note(file, line, ".".join(chain).strip("."))

    def _import(self, file: File, module: str, names: list[str], line: int) -> None:
        said = ".".join(each for each in (module, *names) if each)
        for each in self._own(file, module, names):
            if each.why:
                self.unread = self.unread or each
            self._left += [(each, name) for name in names]
        parts = module.split(".")
        others = parts[0] in OTHERS or any(each in READY_MADE for each in (*parts, *names))
        if others and not self._is_own(module):
            self._note(file, line, said)

    def _is_own(self, module: str) -> bool:
        root = module.partition(".")[0]
        return not root or (root not in LOADED and any(root in each.modules for each in self.files))

    def _own(self, file: File, module: str, names: list[str]) -> list[File]:
        """Files that a module may be, or one in it that a name may be, in whatever folder the whole lies."""
        parts = tuple(module.lstrip(".").split(".")) if module.strip(".") else ()
        if dots := len(module) - len(module.lstrip(".")):
            folder = PurePosixPath(file.path).parent.parts
            parts = folder[: max(0, len(folder) + 1 - dots)] + parts
        elif parts[:1] and parts[0] in LOADED:
            return []
        wanted = [parts + tuple(names[:count]) for count in range(len(names) + 1)]
        return [each for place in wanted for each in self._places.get(place, ()) if each is not file]

    @cached_property
    def _places(self) -> dict[Chain, list[File]]:
        """The ends of each dotted name of a file."""
        found: dict[Chain, list[File]] = {}
        for each in self.files:
            for start in range(len(each.modules) or 1) if each.path.endswith(".py") else ():
                found.setdefault(each.modules[start:], []).append(each)
        return found

    def _starred(self, file: File, name: str, line: int) -> None:
        """A name that nothing in the file gives: something was imported with a star."""
        own = False
        for module, _, imported in file.imports.get("*", ()):
            self._import(file, module, [name], line or imported)
            own |= self._is_own(module)
        if name in READY_MADE and name not in self._names and not own:
            self._note(file, line, name)

    def _note(self, file: File, line: int, said: str) -> None:
        self.found = self.found or (file.path, line, said)

    @cached_property
    def _names(self) -> set[str]:
        return {name for each in self.files for name in each.names}


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


def _imports(body: Iterable[ast.AST]) -> dict[str, list[Import]]:
    """What each name stands for that is imported in it, but for functions inside it and what runs as main."""
    found: dict[str, list[Import]] = {}
    left = list(body)
    for node in left:
        if isinstance(node, ast.Import):
            for each in node.names:
                whole = each.name if each.asname else each.name.partition(".")[0]
                found.setdefault(each.asname or whole, []).append((whole, "", node.lineno))
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for each in node.names:
                found.setdefault(each.asname or each.name, []).append((module, each.name, node.lineno))
        elif not isinstance(node, (ast.expr, *FUNCTIONS)):
            main = isinstance(node, ast.If) and is_main(node)
            left += node.orelse if main else ast.iter_child_nodes(node)
    return found


def _read(part: ast.AST) -> Iterator[Read]:
    """Every dotted name of the module that is read in it, also by getattr and the like."""
    left: list[tuple[ast.AST, frozenset[str], frozenset[str], Scope]] = [(part, frozenset(), frozenset(), {})]
    while left:
        node, given, local, imported = left.pop()
        line = getattr(node, "lineno", 0)
        if isinstance(node, FUNCTIONS):
            body = node.body if isinstance(node.body, list) else [node.body]
            takes = {each.arg for each in ast.walk(node.args) if isinstance(each, ast.arg)}
            binds, brings = _locals(body), _imports(body)
            inner = (given | takes).difference(brings), (local - takes | binds).difference(brings)
            scope = {name: each for name, each in imported.items() if name not in takes | binds} | brings
            left += [(each, *inner, scope) for each in body]
            left += [(each, given, local, imported) for each in _around(node)]
            continue
        if isinstance(node, COMPREHENSIONS):
            local |= _bound([each.target for each in node.generators])
        chain, sought = _chain(node), _sought(node)
        if module := _module_sought(node):
            yield ("",), line, [(module, "", line)]
        for root, *then in (each for each in (chain, sought) if each):
            if root in local:
                yield ("", *then), line, ()
            elif root in imported:
                yield (root, *then), line, imported[root]
            elif root not in given:
                yield (root, *then), line, ()
        base = _base(node)
        if not chain:
            left += [(each, given, local, imported) for each in _computed(node)]
        elif not isinstance(base, ast.Name):
            left.append((base, given, local, imported))


def _around(node: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> Iterator[ast.AST]:
    """What of a function is computed where it is defined."""
    yield from (*node.args.defaults, *(each for each in node.args.kw_defaults if each))
    yield from getattr(node, "decorator_list", ())


def _computed(node: ast.AST) -> Iterator[ast.AST]:
    """What is inside a node, but for annotations and the types that isinstance compares with."""
    if isinstance(node, ast.AnnAssign):
        yield from (each for each in (node.target, node.value) if each)
    elif isinstance(node, ast.Call) and _called(node) in ("isinstance", "issubclass"):
        yield from node.args[:1]
    else:
        yield from ast.iter_child_nodes(node)


def _called(node: ast.Call) -> str:
    return (_chain(node.func) or ("",))[-1]


def _sought(node: ast.AST) -> Chain:
    """What a text looks up, as a dotted name: getattr(F, "x"), vars(F)["x"], F.__dict__["x"]."""
    if isinstance(node, ast.Call) and _called(node) == "getattr" and len(node.args) > 1:
        place, key = node.args[:2]
    elif isinstance(node, ast.Subscript):
        whole, key = node.value, node.slice
        if isinstance(whole, ast.Call) and _called(whole) == "vars" and whole.args:
            place = whole.args[0]
        elif isinstance(whole, ast.Attribute) and whole.attr == "__dict__":
            place = whole.value
        else:
            return ()
    else:
        return ()
    return (*_names(place), _text(key)) if _text(key) else ()


def _module_sought(node: ast.AST) -> str:
    """import_module("x"), __import__("x")"""
    if not isinstance(node, ast.Call) or _called(node) not in ("import_module", "__import__"):
        return ""
    return next((_text(each) for each in (*node.args, *(each.value for each in node.keywords))), "")


def _text(node: ast.AST) -> str:
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else ""


def _base(node: ast.AST) -> ast.AST:
    while isinstance(node, ast.Attribute):
        node = node.value
    return node


def _chain(node: ast.AST) -> Chain:
    """A dotted name that is read; nothing where a node is none."""
    is_read = isinstance(node, (ast.Name, ast.Attribute)) and isinstance(node.ctx, ast.Load)
    return _names(node) if is_read else ()


def _names(node: ast.AST) -> Chain:
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
