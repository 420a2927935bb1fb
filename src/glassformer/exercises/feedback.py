"""Marks as text for a terminal, as Markdown and as HTML. What a submission says is shown, never obeyed."""

import html
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from glassformer.exercises.marking import Mark, Marks
from glassformer.exercises.sheets import Sheet

WORDS = {
    "correct": "right", "incorrect": "not right", "inconclusive": "undecided", "error": "could not be run",
    "open": "to do", "missing": "missing",
}  # fmt: skip
DETAIL = 12_000
POLICY = "default-src 'none'; style-src 'unsafe-inline'"
STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;"
    "color-scheme:light dark}"
    "table{border-collapse:collapse}td,th{border:1px solid #8888;padding:.3rem .6rem;text-align:left;"
    "vertical-align:top}"
    "pre{white-space:pre-wrap;overflow-wrap:anywhere;border-left:4px solid #8888;padding-left:1rem}"
)


def plain(text: str) -> str:
    """Without what would move the cursor of a terminal, and without half characters."""
    return "".join(each if each.isprintable() or each in "\n\t" else "\ufffd" for each in text)


def lines(sheet: Sheet, marks: Marks, details: bool = True) -> Iterator[str]:
    """For a terminal: the list of points, then what is wrong."""
    width = max(len(each.criterion) for each in marks.marks)
    for each in marks.marks:
        yield plain(
            f"{each.got:>2} of {each.of}  {each.criterion:<{width}}  {WORDS[each.word]}{_after(each)}"
        )
    for each in sheet.by_hand:
        points = f" of {each.of}" if each.of > 1 else ""
        yield f" ?{points:<5}  {each.title:<{width}}  not checked here: a person judges it"
    yield f"{marks.got} of {marks.of} points"
    if details:
        for each in _with_text(marks):
            yield ""
            yield plain(each.text)


def markdown(sheet: Sheet, marks: Marks) -> str:
    rows = [
        f"| {_md(each.criterion)} | {each.got} of {each.of} | {WORDS[each.word]} | {_md(each.message)} |"
        for each in marks.marks
    ]
    rows += [f"| {_md(each.title)} | ? | not checked here | a person judges it |" for each in sheet.by_hand]
    parts = [
        f"# {_md(marks.submission)}",
        f"Sheet {sheet.slug}: {sheet.title}. **{marks.got} of {marks.of} points.**",
        "\n".join(["| what | points | result | why |", "| --- | --- | --- | --- |", *rows]),
    ]
    for each in _with_text(marks):
        text = plain(each.text)[:DETAIL]
        fence = "`" * max(3, 1 + max(map(len, re.findall(r"`+", text)), default=0))
        parts.append(f"## {_md(each.criterion)}\n\n{fence}text\n{text}\n{fence}")
    return "\n\n".join(parts) + "\n"


def page(sheet: Sheet, marks: Marks) -> str:
    rows = [
        [each.criterion, f"{each.got} of {each.of}", WORDS[each.word], each.message] for each in marks.marks
    ] + [[each.title, "?", "not checked here", "a person judges it"] for each in sheet.by_hand]
    body = [
        f"<h1>{_html(marks.submission)}</h1>",
        f"<p>Sheet {_html(sheet.slug)}: {_html(sheet.title)}. "
        f"<strong>{marks.got} of {marks.of} points.</strong></p>",
        _table(["what", "points", "result", "why"], rows),
    ]
    for each in _with_text(marks):
        body.append(f"<h2>{_html(each.criterion)}</h2>\n<pre>{_html(each.text[:DETAIL])}</pre>")
    return document(marks.submission, body)


def class_rows(graded: Sequence[Marks]) -> list[list[str]]:
    """The mistakes of a class, the most frequent first: title, slug, how many, who."""
    who: dict[str, list[str]] = {}
    titles: dict[str, str] = {}
    for marks in graded:
        for slug, found in {each["id"]: each for each in marks.mistakes}.items():
            who.setdefault(slug, []).append(marks.submission)
            titles[slug] = found["title"]
    ordered = sorted(who, key=lambda slug: (-len(who[slug]), slug))
    return [[titles[slug], slug, str(len(who[slug])), ", ".join(who[slug])] for slug in ordered]


def class_page(sheet: Sheet, graded: Sequence[Marks], files: dict[str, str]) -> str:
    """The class on one page: mistakes, points of each criterion, and a line a submission."""
    points = Counter[str]()
    for marks in graded:
        points.update({each.criterion: each.got for each in marks.marks})
    asked = [[each.title, f"{points[each.title] / len(graded):.2f} of {each.of}"] for each in sheet.criteria]
    listed = "".join(
        f'<tr><td><a href="{_html(files[each.submission])}.html">{_html(each.submission)}</a></td>'
        f"<td>{each.got} of {each.of}</td><td>{WORDS[each.word]}</td></tr>"
        for each in graded
    )
    body = [
        f"<h1>Sheet {_html(sheet.slug)}: {_html(sheet.title)}</h1>",
        f"<p>{len(graded)} submissions.</p>",
        "<h2>Mistakes</h2>",
        _table(["mistake", "id", "submissions", "who"], class_rows(graded)),
        "<h2>Points on average</h2>",
        _table(["what", "points"], asked),
        "<h2>Submissions</h2>",
        f"<table><tr><th>submission</th><th>points</th><th>result</th></tr>{listed}</table>",
    ]
    return document(f"Sheet {sheet.slug}", body)


def class_markdown(sheet: Sheet, graded: Sequence[Marks]) -> str:
    rows = [f"| {' | '.join(map(_md, row))} |" for row in class_rows(graded)]
    points = [f"| {_md(each.submission)} | {each.got} of {each.of} |" for each in graded]
    return "\n".join(
        [
            f"# Sheet {sheet.slug}: {sheet.title}", "", f"{len(graded)} submissions.", "",
            "| mistake | id | submissions | who |", "| --- | --- | --- | --- |", *rows, "",
            "| submission | points |", "| --- | --- |", *points, "",
        ]
    )  # fmt: skip


def document(title: str, body: Iterable[str]) -> str:
    """No script, nothing fetched: the page says so to the browser too."""
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{_html(title)}</title><style>{STYLE}</style></head>\n<body>\n"
        + "\n".join(body)
        + "\n</body></html>\n"
    )


def _with_text(marks: Marks) -> list[Mark]:
    """What lost points and has a diagnosis, each diagnosis once."""
    lost = {each.text: each for each in reversed(marks.marks) if each.text and each.got < each.of}
    return list(reversed(lost.values()))


def _after(each: Mark) -> str:
    first = each.message.splitlines()[0] if each.message else ""
    return f": {first}" if first else ""


def _table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    cells = ["".join(f"<th>{_html(each)}</th>" for each in heads)]
    cells += ["".join(f"<td>{_html(each)}</td>" for each in row) for row in rows]
    return f"<table>{''.join(f'<tr>{each}</tr>' for each in cells)}</table>"


def _html(text: Any) -> str:
    return html.escape(plain(str(text)))


def _md(text: str) -> str:
    """One line in which nothing is markup: neither HTML nor Markdown's own."""
    line = html.escape(" ".join(plain(text).split()), quote=False)
    return re.sub(r"([\\`*_{}\[\]()#+!|~-])", r"\\\1", line)
