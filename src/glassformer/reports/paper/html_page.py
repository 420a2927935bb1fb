"""A paper as one HTML file that needs nothing else."""

from base64 import b64encode
from collections.abc import Sequence
from html import escape

from glassformer.reports.paper import markdown
from glassformer.reports.paper.document import (
    Beside,
    Block,
    Bullets,
    Code,
    Document,
    Facts,
    Figure,
    Markdown,
    Paragraph,
    Table,
)

STYLE = """
body { font: 17px/1.55 Georgia, 'Times New Roman', serif; max-width: 52rem; margin: 2rem auto;
  padding: 0 1rem; color: #222; background: #fff }
h1 { font-size: 1.9rem; margin-bottom: .2rem; line-height: 1.25 } h2 { font-size: 1.3rem; margin-top: 2.2rem }
.byline { color: #555; border-bottom: 1px solid #888; padding-bottom: .6rem }
table { border-collapse: collapse; font-size: .92rem; border-top: 2px solid #333;
  border-bottom: 2px solid #333 }
th { border-bottom: 1px solid #333 } td, th { padding: .2rem .7rem; text-align: right; vertical-align: top }
td.left, th.left, .user td, .user th { text-align: left } tr.strong { font-weight: 700 }
.wide { overflow-x: auto }
figure { margin: 1.4rem 0 } figcaption { font-size: .88rem; color: #333; margin: .5rem 0 }
img { max-width: 100%; height: auto; max-height: 60rem }
code { font: .82em/1.4 'DejaVu Sans Mono', Menlo, Consolas, monospace; overflow-wrap: anywhere }
dl { display: grid; grid-template-columns: max-content 1fr; gap: .3rem 1.2rem; font-size: .95rem }
dt { font-weight: 700 } dd { margin: 0; overflow-wrap: anywhere }
.beside { display: grid; gap: 1.6rem; grid-template-columns: var(--columns) } .beside > div { min-width: 0 }
@media (max-width: 40rem) { .beside { grid-template-columns: 1fr } }
@media print { figure, table { break-inside: avoid } }
""".strip()


def as_html(document: Document) -> str:
    """The paper, its figures and its style inside."""
    writer = _Writer()
    body = "\n".join(
        f"<h2>{escape(section.heading)}</h2>\n{writer.blocks(section.blocks)}"
        for section in document.sections
    )
    byline = ", ".join(part for part in (document.author, document.date) if part)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(document.title)}</title>\n<style>{STYLE}</style></head>\n<body>\n"
        f'<h1>{escape(document.title)}</h1>\n<p class="byline">{escape(byline)}</p>\n{body}\n</body></html>\n'
    )


class _Writer:
    """Turns blocks into HTML and counts figures and tables, as the PDF does."""

    def __init__(self) -> None:
        self.figures = self.tables = 0

    def blocks(self, blocks: Sequence[Block]) -> str:
        return "\n".join(self.block(block) for block in blocks)

    def block(self, block: Block) -> str:
        match block:
            case Paragraph():
                return f"<p>{_pieces(block)}</p>"
            case Bullets(entries):
                return f"<ul>{''.join(f'<li>{_pieces(each)}</li>' for each in entries)}</ul>"
            case Facts(rows):
                return f"<dl>{''.join(f'<dt>{escape(k)}</dt><dd>{_value(v)}</dd>' for k, v in rows)}</dl>"
            case Markdown(text):
                return f'<div class="user">{markdown.as_html(text)}</div>'
            case Table():
                return self.table(block)
            case Figure():
                return self.figure(block)
            case Beside(left, right, share):
                columns = f"{share:.2f}fr {1 - share:.2f}fr"
                return (
                    f'<div class="beside" style="--columns:{columns}">'
                    f"<div>{self.blocks(left)}</div><div>{self.blocks(right)}</div></div>"
                )

    def table(self, table: Table) -> str:
        self.tables += 1

        def row(tag: str, cells: Sequence[str]) -> str:
            return "".join(
                f"<{tag}{' class=left' * (column in table.left)}>{escape(cell)}</{tag}>"
                for column, cell in enumerate(cells)
            )

        rows = "".join(
            f"<tr{' class=strong' * (number in table.strong)}>{row('td', cells)}</tr>"
            for number, cells in enumerate(table.rows)
        )
        return (
            f"<figure><figcaption><strong>Table {self.tables}.</strong> {escape(table.caption)}</figcaption>"
            f'<div class="wide"><table><thead><tr>{row("th", table.headings)}</tr></thead>'
            f"<tbody>{rows}</tbody></table></div></figure>"
        )

    def figure(self, figure: Figure) -> str:
        self.figures += 1
        data = b64encode(figure.draw("svg")).decode()
        return (
            f'<figure><img style="width:{figure.width * 100:.0f}%" alt="{escape(figure.alt)}" '
            f'src="data:image/svg+xml;base64,{data}"><figcaption><strong>Figure {self.figures}.</strong> '
            f"{escape(figure.caption)}</figcaption></figure>"
        )


def _pieces(paragraph: Paragraph) -> str:
    return "".join(_value(piece) for piece in paragraph.pieces)


def _value(value: str | Code) -> str:
    return f"<code>{escape(value.words)}</code>" if isinstance(value, Code) else escape(value)
