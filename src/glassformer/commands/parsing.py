"""What every command needs to read what was typed, and to answer on one line."""

import contextlib
import io
import re
import sys
from typing import Any

import tyro

from glassformer.errors import UsageError

PLAIN_WORDS = {
    r"^Error parsing (--\S+): invalid literal for int\(\) .*: (.*)": r"\1 wants a whole number, not \2",
    r"^Error parsing (--\S+): could not convert string to float: (.*)": r"\1 wants a number, not \2",
    r"^Error parsing \w+: ": "",
}
"""What the parser says of a value -> what a person would say."""


def parse(
    kind: Any,
    program: str,
    words: list[str],
    default: Any = tyro.MISSING,
    description: str | None = None,
) -> Any:
    """tyro, with its boxed answer to a slip folded into one line."""
    errors = io.StringIO()
    more = {} if default is tyro.MISSING else {"default": default}
    try:
        with contextlib.redirect_stderr(errors):
            return tyro.cli(kind, prog=program, args=words, description=description, **more)
    except SystemExit as stop:
        if stop.code in (0, None):
            raise
        raise UsageError(one_line(errors.getvalue(), program)) from None


def one_line(box: str, program: str) -> str:
    """The message and the first suggestion out of a box, whichever characters it is drawn with."""
    parts: list[list[str]] = [[]]
    for line in box.splitlines():
        if "────" in line or "----" in line:
            parts.append([])
        elif content := line.strip("│| "):
            parts[-1].append(content)
    filled = [part for part in parts if part]
    if "╭" not in box:
        filled = filled[1:]  # drawn in ASCII, a box has its title on a line of its own
    message, *others = filled or [["the command line was not understood"]]
    meant = [line.split()[0].rstrip(",") for part in others for line in part if line.startswith("--")]
    text = " ".join(message).rstrip(".")
    for pattern, plain in PLAIN_WORDS.items():
        text = re.sub(pattern, plain, text)
    head, colon, listed = text.partition("Unrecognized options: ")
    if named := [each for each in listed.split(", ") if each.startswith("--")]:  # it lists their values too
        text = head + colon + ", ".join(named)
    hint = f"; perhaps you meant {meant[0]}" if "nrecognized" in text and meant else ""
    return f"{text}{hint}; see {program} --help"


def value_of(flag: str, words: list[str]) -> tuple[str, list[str]]:
    """The value of a flag that stands first, as `--flag VALUE` or `--flag=VALUE`, and the words after it."""
    _, separator, value = words[0].partition("=")
    if separator:
        return value, words[1:]
    if len(words) < 2:
        raise UsageError(f"{flag} wants a value; give the folder of the run")
    return words[1], words[2:]


def without_value(flag: str, words: list[str]) -> list[str]:
    """The words without `flag VALUE` or `flag=VALUE`."""
    kept = [word for word in words if not word.startswith(f"{flag}=")]
    return [w for i, w in enumerate(kept) if w != flag and (i == 0 or kept[i - 1] != flag)]


def all_values(option: str, words: list[str]) -> list[str]:
    """The values of an option that decides how the other words are read."""
    found = []
    for i, word in enumerate(words):
        name, separator, value = word.partition("=")
        if name != f"--{option}":
            continue
        if separator:
            found.append(value)
        elif i + 1 < len(words):
            found.append(words[i + 1])
    return found


def require_seed(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise UsageError(f"seed={seed} is out of range; choose 0 to {2**32 - 1}")


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def refuse(error: object, status: int) -> int:
    print(f"glassformer: {' '.join(str(error).split())}", file=sys.stderr)
    return status
