"""The user's own Markdown: which section it belongs to, as typst and as HTML.

CommonMark with tables. HTML in it is shown as it is typed, and pictures are not taken over: a paper is one
file that fetches nothing.
"""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from glassformer.errors import DataError, UsageError
from glassformer.reports.diagram import typst_text

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.token import Token

WRAPPED = {
    "paragraph_open": "par[",
    "bullet_list_open": "list(",
    "ordered_list_open": "enum(",
    "list_item_open": "[",
    "blockquote_open": "quote(block: true)[",
    "strong_open": "strong[",
    "em_open": "emph[",
    "s_open": "strike[",
}
"""What opens -> the typst that does. Lists are calls with an item an argument, all else holds content."""


def read_sections(path: Path, headings: Sequence[str]) -> dict[str, str]:
    """Heading of the paper -> the text that stands under a heading of that name in the file.

    A heading of the first level names the section, in any case; one of the second does if there is a section
    of that name. Raises UsageError where the file is missing, begins without a heading, or names a section
    that no paper has.
    """
    try:
        lines = path.read_text(encoding="utf-8-sig").splitlines()
    except OSError as error:
        raise UsageError(f"{path} cannot be read ({error.strerror}); give a Markdown file") from None
    except UnicodeDecodeError as error:
        raise DataError(f"{path} is not UTF-8 text ({error.reason}); save it as UTF-8") from None
    known = {heading.casefold(): heading for heading in headings}
    named = f"the sections are {', '.join(headings)}"
    found: dict[str, list[str]] = {}
    starts = [
        (token.map[0], tokens[number + 1].content)
        for tokens in [_parser().parse("\n".join(lines))]
        for number, token in enumerate(tokens)
        if token.type == "heading_open"
        and token.level == 0
        and token.map
        and (
            token.tag == "h1"
            or (token.tag == "h2" and tokens[number + 1].content.strip().casefold() in known)
        )
    ]
    before = lines[: starts[0][0]] if starts else lines
    if any(line.strip() for line in before):
        raise UsageError(f"{path} begins without a heading, such as '# {headings[-2]}'; {named}")
    for number, (line, heading) in enumerate(starts):
        end = starts[number + 1][0] if number + 1 < len(starts) else len(lines)
        name = known.get(heading.strip().casefold())
        if name is None:
            raise UsageError(f"{path} has a section {heading.strip()!r}, and no report has; {named}")
        # a heading may be underlined, which takes a second line
        body = lines[line + 1 : end] if lines[line].lstrip().startswith("#") else lines[line + 2 : end]
        found.setdefault(name, []).extend([*body, ""])
    texts = {name: "\n".join(lines).strip("\n") for name, lines in found.items()}
    return {name: text for name, text in texts.items() if text.strip()}


def as_html(text: str) -> str:
    """HTML of Markdown; what is HTML in it is shown, not obeyed."""
    return _parser().render(text)


def as_typst(text: str) -> str:
    """Typst content, everything the user wrote in string literals, so that none of it is code."""
    return "#{" + "; ".join(_block(_parser().parse(text))) + "}"


def _parser() -> "MarkdownIt":
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    parser.add_render_rule("image", lambda *args: "")
    return parser


def _block(tokens: Sequence["Token"]) -> list[str]:
    """Typst expressions, one for each block at this level."""
    found: list[str] = []
    at = 0
    while at < len(tokens):
        token = tokens[at]
        end = _closing(tokens, at) if token.nesting == 1 else at
        inside = tokens[at + 1 : end]
        if token.type == "inline":
            found.append(f"[{_inline(token.children or ())}]")
        elif token.type == "paragraph_open":
            # in a tight list the paragraphs are hidden
            inner = "".join(_inline(each.children or ()) for each in inside)
            found.append(f"[{inner}]" if token.hidden else f"par[{inner}]")
        elif token.type in ("fence", "code_block"):
            found.append(f"raw(block: true, {typst_text(token.content, lines=True)})")
        elif token.type == "hr":
            found.append("line(length: 100%, stroke: 0.4pt)")
        elif token.type == "heading_open":
            inner = "".join(_inline(each.children or ()) for each in inside)
            found.append(f"par(strong[{inner}])")
        elif token.type in ("bullet_list_open", "ordered_list_open"):
            kind = WRAPPED[token.type]
            start = f"start: {int(token.attrs['start'])}, " if "start" in token.attrs else ""
            found.append(f"{kind}{start}{', '.join(_block(inside))})")
        elif token.type == "list_item_open":
            found.append(f"{{ {'; '.join(_block(inside))} }}")
        elif token.type == "table_open":
            found.append(_table(inside))
        elif token.nesting == 1:
            found.append(f"{WRAPPED[token.type]}#{{ {'; '.join(_block(inside))} }}]")
        at = end + 1
    return found


def _closing(tokens: Sequence["Token"], at: int) -> int:
    """Where the block that opens at `at` closes."""
    return next(
        number
        for number in range(at + 1, len(tokens))
        if tokens[number].nesting == -1 and tokens[number].level == tokens[at].level
    )


def _table(tokens: Sequence["Token"]) -> str:
    cells = [f"[{_inline(each.children or (), 16)}]" for each in tokens if each.type == "inline"]
    styles = [str(each.attrs.get("style", "")) for each in tokens if each.type == "th_open"]
    columns = len(styles)
    sides = "".join(f"{style.removeprefix('text-align:') or 'left'}, " for style in styles)
    heads = ", ".join(f"strong({cell})" for cell in cells[:columns])
    body = "".join(f"{cell}, " for cell in cells[columns:])
    return f"plain-table({columns}, ({heads},), ({body}), align: ({sides}))"


def _inline(tokens: Iterable["Token"], breaks: int = 30) -> str:
    """Typst content inside brackets; words of so many letters may break anywhere."""
    found = ""
    for token in tokens:
        if token.type == "text":
            found += f"#words({typst_text(token.content)}, from: {breaks})"
        elif token.type == "image":
            continue
        elif token.type == "code_inline":
            found += f"#code({typst_text(token.content)})"
        elif token.type == "softbreak":
            found += " "
        elif token.type == "hardbreak":
            found += "#linebreak()"
        elif token.type == "link_open":
            address = str(token.attrs["href"])
            found += f"#link({typst_text(address)})[" if address else "#box["
        elif token.nesting == 1:
            found += f"#{WRAPPED[token.type]}"
        elif token.nesting == -1:
            found += "]"
        else:
            found += f"#text({typst_text(token.content)})"
    return found
