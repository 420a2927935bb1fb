"""What a submission says before any of it runs: where each target is, whether it is a TODO, whose it is."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from glassformer.checking.constructions import CONFIGURATIONS
from glassformer.checking.names import size_role
from glassformer.checking.targets import target
from glassformer.errors import UsageError
from glassformer.exercises.sheets import Criterion, Sheet
from glassformer.exercises.skeletons import Definition, left_open

READY_MADE = (
    "scaled_dot_product_attention", "multi_head_attention_forward", "_native_multi_head_attention",
    "_transformer_encoder_layer_fwd", "MultiheadAttention", "Transformer", "TransformerEncoder",
    "TransformerEncoderLayer", "TransformerDecoder", "TransformerDecoderLayer", "flex_attention",
    "_scaled_dot_product_attention_math", "_fused_sdp_choice",
)  # fmt: skip
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
UNPARSED = (SyntaxError, ValueError, RecursionError, MemoryError)


@dataclass(frozen=True)
class File:
    """A file of a submission, read as Python. path: below its folder."""

    path: str
    tree: ast.Module

    @cached_property
    def defined(self) -> dict[str, ast.stmt]:
        """Classes, functions and values at its top."""
        found: dict[str, ast.stmt] = {}
        for node in self.tree.body:
            if isinstance(node, (ast.ClassDef, ast.FunctionDef)):
                found[node.name] = node
            elif isinstance(node, ast.Assign):
                found |= {each.id: node for each in node.targets if isinstance(each, ast.Name)}
        return found

    @cached_property
    def imports(self) -> dict[str, tuple[str, str]]:
        return _imports(self.tree)


@dataclass(frozen=True)
class Found:
    """A class or function in a file of a submission. files: all of them, by the name they are imported by."""

    file: File
    name: str
    node: Definition
    files: dict[str, File]

    @property
    def path(self) -> str:
        return self.file.path

    @cached_property
    def is_open(self) -> bool:
        try:
            return left_open(self.node)
        except RecursionError:
            return False

    @property
    def takes_heads(self) -> bool:
        """Whether its constructor lets a number of heads be given, by name or in a configuration."""
        made = next((each for each in _methods(self.node) if each.name == "__init__"), None)
        if made is None:
            return True
        names = [each.arg for each in (*made.args.posonlyargs, *made.args.args, *made.args.kwonlyargs)]
        whole = made.args.kwarg is not None or any(name.lower() in CONFIGURATIONS for name in names)
        return whole or "heads" in [size_role(name) for name in names]

    @cached_property
    def reached(self) -> dict[str, tuple[File, ast.stmt]]:
        """It and what it uses of the submission's files, and what that uses."""
        found: dict[str, tuple[File, ast.stmt]] = {}
        left = [(self.file, self.node.name)]
        while left:
            file, name = left.pop()
            if name in file.defined and name not in found:
                found[name] = file, file.defined[name]
                left += [
                    (file, each.id) for each in ast.walk(file.defined[name]) if isinstance(each, ast.Name)
                ]
            elif name in file.imports:
                module, what = file.imports[name]
                other = self.files.get(module.rpartition(".")[2])
                if other and other is not file:
                    left += [(other, each) for each in ([what] if what else other.defined)]
        return found

    @cached_property
    def ready_made(self) -> tuple[str, int, str] | None:
        """File, line and name of attention that somebody else wrote, in it or in what it uses."""
        for file, definition in self.reached.values():
            for each in ast.walk(definition):
                said = _name(each)
                if not said or (isinstance(each, ast.Name) and said in self.reached):
                    continue
                module, what = (
                    file.imports.get(said, ("", said)) if isinstance(each, ast.Name) else ("", said)
                )
                if what in READY_MADE or module.partition(".")[0] in OTHERS:
                    line = getattr(each, "lineno", definition.lineno)
                    return file.path, line, f"{module}.{what}" if module else what
        return None


@dataclass(frozen=True)
class Reading:
    """unread: path -> why its text is not Python. names: what is defined anywhere."""

    found: tuple[Found, ...]
    unread: dict[str, str]

    def of(self, criterion: Criterion, sheet: Sheet) -> list[Found]:
        """Where it may be, the likeliest first: by its own name in the file of the sheet, then elsewhere."""
        for wanted in (criterion.target, *criterion.also):
            fitting = [each for each in self.found if _bare(each.name) == _bare(wanted)]
            if fitting:
                return sorted(
                    fitting, key=lambda each: (Path(each.path).name not in sheet.files, each.path.count("/"))
                )
        return []

    @property
    def names(self) -> list[str]:
        return sorted({each.name for each in self.found if not each.name.startswith("_")})


def read(folder: Path) -> Reading:
    """Looks through the Python files and notebooks beneath a folder, its tests left out."""
    found: list[Found] = []
    unread: dict[str, str] = {}
    files: dict[str, File] = {}
    for path in sorted(folder.rglob("*")):
        if path.suffix not in (".py", ".ipynb") or not path.is_file() or _is_test(path):
            continue
        short = path.relative_to(folder).as_posix()
        try:
            tree = ast.parse(target(str(path)).text)
        except UsageError as error:
            unread[short] = str(error).replace(str(path), short)
        except SyntaxError as error:
            unread[short] = f"{short}, line {error.lineno or 1}: {error.msg}"
        except UNPARSED as error:
            unread[short] = f"{short} cannot be read as Python: {type(error).__name__}"
        else:
            file = files[path.stem] = File(short, tree)
            found += [
                Found(file, each.name, each, files)
                for each in tree.body
                if isinstance(each, (ast.ClassDef, ast.FunctionDef))
            ]
    return Reading(tuple(found), unread)


def _is_test(path: Path) -> bool:
    return path.name.startswith("test_") or path.name.endswith("_test.py") or path.name == "conftest.py"


def _bare(name: str) -> str:
    return name.replace("_", "").lower()


def _methods(node: Definition) -> Iterator[ast.FunctionDef]:
    yield from (each for each in getattr(node, "body", ()) if isinstance(each, ast.FunctionDef))


def _name(node: ast.AST) -> str:
    if isinstance(node, ast.Name):
        return node.id
    if isinstance(node, ast.Attribute):
        return node.attr
    # getattr(F, "scaled_dot_product_attention")
    if isinstance(node, ast.Constant) and isinstance(node.value, str) and node.value in READY_MADE:
        return node.value
    return ""


def _imports(tree: ast.Module) -> dict[str, tuple[str, str]]:
    """Local name -> (module, what it is called there)."""
    found: dict[str, tuple[str, str]] = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for each in node.names:
                found[each.asname or each.name.partition(".")[0]] = (each.name, "")
        elif isinstance(node, ast.ImportFrom):
            for each in node.names:
                found[each.asname or each.name] = (node.module or "", each.name)
    return found
