"""What the checker knows is shown from where it stands: its mistakes and its contracts.

A Markdown extension. A line

    <<< mistakes attention

becomes the entries of that file of words, each with its smallest example, computed at that moment; and

    <<< contract layer-norm

becomes what goes into that contract, what comes out, and how it is asked for.
"""

import html
import re
from collections.abc import Iterator
from typing import Any

from markdown import Markdown
from markdown.extensions import Extension
from markdown.preprocessors import Preprocessor

from glassformer.checking.catalogue import ENTRIES, FILES, SORTS, Entry
from glassformer.checking.contracts import CONTRACTS
from glassformer.checking.examples import example

DIRECTIVE = re.compile(r"<<< (mistakes|contract) ([\w-]+)\s*")


def mistakes(room: str) -> list[str]:
    """The lines of Markdown for one file of words."""
    if room not in FILES:
        raise LookupError(f"there is no file of words named {room!r}")
    return [line for each in ENTRIES.values() if each.room == room for line in (*_entry(each), "")]


def _entry(entry: Entry) -> Iterator[str]:
    title = entry.title[0].upper() + entry.title[1:]
    if entry.like:
        like = f"[`{entry.like}`](#{entry.like})"
        yield f"<span id='{entry.slug}'></span>`{entry.slug}` is another name of {like}."
        return
    yield f"### {html.escape(title, quote=False)} {{ #{entry.slug} }}"
    yield ""
    yield f"`{entry.slug}` · {SORTS[entry.sort]}"
    yield ""
    yield html.escape(entry.explanation, quote=False)
    if entry.remark:
        title, said = (html.escape(each, quote=False) for each in (entry.remark_title, entry.remark))
        yield from ("", f"*As a remark: {title}.* {said}")
    shown = example(entry.slug)
    if shown:
        yield from ("", "```` text", *shown.splitlines(), "````")
    yield from ("", f"*Where to look:* {html.escape(entry.hint, quote=False)}")
    if entry.solution:
        kernel = f"\n# on top of torch's own attention\n{entry.kernel}" if entry.kernel else ""
        code = html.escape(entry.solution + kernel)
        yield from ("", f"<details><summary>The solution</summary><pre><code>{code}</code></pre></details>")


def contract(slug: str) -> list[str]:
    """The line of Markdown for a contract."""
    return ["", f"`--as {slug}` · {html.escape(CONTRACTS[slug].asks, quote=False)}", ""]


class Checker(Preprocessor):
    def run(self, lines: list[str]) -> list[str]:
        result: list[str] = []
        for line in lines:
            match = DIRECTIVE.fullmatch(line)
            if match:
                result += mistakes(match[2]) if match[1] == "mistakes" else contract(match[2])
            else:
                result.append(line)
        return result


class CheckerExtension(Extension):
    def extendMarkdown(self, md: Markdown) -> None:
        # before fenced code (25), which takes the blocks from there
        md.preprocessors.register(Checker(md), "checker", 32)


def makeExtension(**options: Any) -> CheckerExtension:
    return CheckerExtension(**options)
