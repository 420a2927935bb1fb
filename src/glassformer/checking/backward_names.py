"""What the names and words of a backward pass say: its functions, its weights, its arguments, its loss."""

import ast
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Function:
    """A function or method and the names of its arguments; those without a default are needed."""

    name: str
    arguments: tuple[str, ...]
    needed: tuple[str, ...]


def functions_of(text: str, owner: str | None = None) -> list[Function]:
    """The functions of a file, or the methods of a class in it."""
    try:
        body: Sequence[ast.stmt] = ast.parse(text).body
    except SyntaxError:
        return []
    if owner is not None:
        body = next((each.body for each in body if isinstance(each, ast.ClassDef) and each.name == owner), [])
    found = []
    for each in body:
        if isinstance(each, ast.FunctionDef):
            names = [one.arg for one in (*each.args.posonlyargs, *each.args.args)]
            static = any(
                isinstance(one, ast.Name) and one.id == "staticmethod" for one in each.decorator_list
            )
            needed = names[: len(names) - len(each.args.defaults)]
            first = 1 if owner is not None and not static else 0
            more = tuple(one.arg for one in each.args.kwonlyargs)
            found.append(Function(each.name, (*names[first:], *more), tuple(needed[first:])))
    return found


def role_of(name: str) -> str | None:
    """Which weight, bias or gradient of one a name means.

    >>> role_of("grads.dW1"), role_of("bias_output"), role_of("W_2"), role_of("learning_rate")
    ('W1', 'b2', 'W2', None)
    """
    bare = name.rpartition(".")[2]
    spaced = re.sub(r"(?<=[a-z])(?=[A-Z])", "_", bare).lower()
    spaced = re.sub(r"^(grad(ient)?s?_?|d_?|delta_|g_)(?=w|b|theta)|_?grad(ient)?s?$", "", spaced).strip("_")
    match = re.fullmatch(
        r"(w|weights?|theta|b|bias(?:es)?)_?(1|2|h|o|hidden|output|out|ih|ho|input_hidden|hidden_output"
        r"|i_h|h_o|in|xh|hy)",
        spaced,
    )
    if not match:
        return None
    kind = "b" if match[1].startswith("b") else "W"
    return kind + ("1" if match[2] in ("1", "h", "hidden", "ih", "input_hidden", "i_h", "in", "xh") else "2")


def is_gradient(name: str) -> bool:
    owner, _, bare = name.rpartition(".")
    return "grad" in name.lower() or re.match(r"_?(d_?|delta_?|g_?)[WwBb]", bare) is not None or owner == "d"


def flat(answer: Any, name: str = "") -> list[tuple[str, np.ndarray]]:
    """The arrays of an answer, with their names where they have one."""
    if isinstance(answer, np.ndarray):
        return [(name, answer)]
    if isinstance(answer, float):
        return [(name, np.array([answer]))]
    pairs = answer.items() if isinstance(answer, dict) else [("", each) for each in answer or ()] \
        if isinstance(answer, list) else ()  # fmt: skip
    return [each for key, value in pairs for each in flat(value, key)]


MEANINGS = (
    ("rate", r"lr|learning_?rate|eta|alpha|rate|step_?size"),
    ("epochs", r"(n_|num_|max_)?(epochs?|iter(ation)?s?|steps)"),
    ("weights", r"params?|parameters|weights|theta"),
    ("gradients", r"grads?|gradients?"),
    ("cache", r"cache|caches|passed|ctx|tape|memory|forward_pass"),
    ("X", r"x|inputs?|data|x_train|x_batch|features|a0"),
    ("y", r"y|t|targets?|labels?|y_true|y_train|y_batch|truth"),
    ("A1", r"a_?1|hidden|h|hidden_(output|activation)s?"),
    ("A2", r"a_?2|p|outputs?|y_?hat|y_?pred|pred(ictions?)?|probs?|probabilities|out|o"),
    ("Z1", r"z_?1"),
    ("Z2", r"z_?2|logits"),
    ("n", r"n|m|batch_size"),
)


def meaning(name: str) -> str | None:
    bare = name.lower().strip("_")
    role = role_of(name)
    if role and not is_gradient(name):
        return role
    return next((meaning for meaning, pattern in MEANINGS if re.fullmatch(pattern, bare)), None)


def loss_said(words: str, text: str) -> dict[str, bool]:
    """What docstrings, comments and the loss itself say: whether it is squared, and whether it is a mean."""
    found: dict[str, bool] = {}
    everything = words + "\n" + text.lower()
    entropy = re.search(r"cross.?entropy|log.?loss|\bbce\b|log\(|logaddexp|likelihood", everything)
    squared = re.search(r"squared|\bmse\b|\bsse\b|square\(|\)\s*\*\*\s*2", everything)
    if bool(entropy) != bool(squared):
        found["squared"] = bool(squared)
    mean = re.search(r"\bmean\b|averag|\bmse\b|\b1 ?/ ?[nm]\b", words) or re.search(
        r"(loss|cost|mse|bce)\w*\b[^\n]*(mean\(|/ ?(n|m|len))", text.lower()
    )
    summed = re.search(r"\bsum(med)?\b|\bsse\b", words)
    if bool(mean) != bool(summed):
        found["mean"] = bool(mean)
    return found
