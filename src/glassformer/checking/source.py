"""The text of the code under check: what its words say, and on which line a step probably is."""

import ast
import io
import re
import textwrap
import tokenize
from dataclasses import dataclass
from functools import cached_property

BATCH = {"b", "bs", "bsz", "batch", "batch_size", "n", "nb", "n_batch", "batchsize", "bz", "nbatches"}
LENGTH = {
    *(
        "t",
        "l",
        "s",
        "lq",
        "tq",
        "seq",
        "len",
        "length",
        "seq_len",
        "seqlen",
        "seq_length",
        "sequence_length",
    ),
    *(
        "tokens",
        "n_tokens",
        "num_tokens",
        "time",
        "steps",
        "tgt_len",
        "q_len",
        "query_len",
        "len_q",
        "queries",
    ),
}


DEFINES = ast.ClassDef, ast.FunctionDef
LONGEST = 500
"""Characters of a line that patterns look at: it is somebody's text, and they may take their time over it."""


@dataclass(frozen=True)
class Code:
    """The source of one class or function, with the number of its first line."""

    text: str
    first: int = 1
    whole: str = ""

    @classmethod
    def of(cls, text: str, name: str, line: int = 0) -> "Code":
        """The part of a file that defines this name; the whole file where it is not defined there.

        line: where it begins, decorators counted or not, in case that several have the name.
        """
        try:
            tree = ast.parse(text)
        except (SyntaxError, ValueError):
            return cls(text, 1, text)
        named = [
            each
            for each in ast.walk(tree)
            if isinstance(each, (ast.ClassDef, ast.FunctionDef)) and each.name == name
        ]
        there = [each for each in named if _first_line(each) <= line <= each.lineno]
        for node in there or [each for each in named if each in tree.body]:
            lines = text.splitlines()[node.lineno - 1 : node.end_lineno]
            return cls(textwrap.dedent("\n".join(lines)), node.lineno, text)
        return cls(text, 1, text)

    @cached_property
    def words(self) -> str:
        """Docstrings and comments: what the author says, not what the code does."""
        found = []
        try:
            tree = ast.parse(self.text)
            for node in ast.walk(tree):
                if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.Module)):
                    found.append(ast.get_docstring(node) or "")
            tokens = tokenize.generate_tokens(io.StringIO(self.text).readline)
            found += [each.string.lstrip("# ") for each in tokens if each.type == tokenize.COMMENT]
        except (SyntaxError, ValueError, tokenize.TokenError, IndentationError):
            pass
        return "\n".join(found)

    @cached_property
    def names(self) -> frozenset[str]:
        """What the code, and what of its file it uses, call things: variables, attributes, functions."""
        try:
            own, whole = ast.parse(self.text), ast.parse(self.whole)
        except (SyntaxError, ValueError):
            return frozenset()
        defined = {each.name: each for each in whole.body if isinstance(each, DEFINES)}
        names, found = _names(own), set[str]()
        while names:
            found |= names
            names = frozenset().union(*(_names(defined[each]) for each in names & defined.keys())) - found
        return frozenset(found)

    @cached_property
    def numpy_alone(self) -> bool:
        """Whether its file imports NumPy and not torch, so that it works on arrays."""
        try:
            nodes = list(ast.walk(ast.parse(self.whole)))
        except (SyntaxError, ValueError):
            return False
        modules = {name.name for node in nodes if isinstance(node, ast.Import) for name in node.names}
        modules |= {node.module or "" for node in nodes if isinstance(node, ast.ImportFrom)}
        packages = {each.partition(".")[0] for each in modules}
        return "numpy" in packages and "torch" not in packages

    @cached_property
    def batch_first(self) -> bool | None:
        """What the code itself calls the first two axes of its input; None where it does not say."""
        for line in self.text.splitlines():
            left, _, right = line.partition("=")
            names = [each.strip().lower() for each in left.strip().strip("()").split(",") if each.strip()]
            if len(names) >= 3 and re.match(r"\s*\w+\.(shape|size\(\))", right):
                if names[0] in BATCH - {"n"} or names[1] in LENGTH:
                    return True
                if names[0] in LENGTH and names[1] in BATCH:
                    return False
        words = self.words.lower()
        if re.search(r"\(\s*(l|t|s|seq\w*|length|tokens|tgt_len|time)\s*,\s*(b|n|batch\w*)\s*,", words):
            return False
        if re.search(r"\(\s*(b|n|batch\w*)\s*,\s*(l|t|s|n|seq\w*|length|tokens|time)\s*,", words):
            return True
        return None

    def line(self, patterns: tuple[str, ...]) -> int | None:
        """The first line of code that one of these patterns fits; earlier patterns count more."""
        lines = [each.partition("#")[0][:LONGEST] for each in self._without_docstrings()]
        for pattern in patterns:
            for number, line in enumerate(lines):
                if re.search(pattern, line):
                    return self.first + number
        return None

    def _without_docstrings(self) -> list[str]:
        lines = self.text.splitlines()
        try:
            tree = ast.parse(self.text)
        except (SyntaxError, ValueError):
            return lines
        for node in ast.walk(tree):
            if (
                isinstance(node, ast.Expr)
                and isinstance(node.value, ast.Constant)
                and isinstance(node.value.value, str)
            ):
                for number in range(node.lineno - 1, node.end_lineno or node.lineno):
                    lines[number] = ""
        return lines


def _first_line(node: ast.ClassDef | ast.FunctionDef) -> int:
    return min([each.lineno for each in node.decorator_list], default=node.lineno)


def _names(tree: ast.AST) -> frozenset[str]:
    found = (getattr(node, part, "") for node in ast.walk(tree) for part in ("attr", "id", "name"))
    return frozenset(each for each in found if isinstance(each, str) and each)
