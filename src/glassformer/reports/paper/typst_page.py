"""A paper as PDF, set by typst. What a user wrote is in string literals, so that none of it is code."""

import tempfile
from collections.abc import Sequence
from pathlib import Path

from glassformer.errors import UsageError
from glassformer.reports.diagram import typst_text
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
    Section,
    Table,
)

PAGES = 4
SCALES = (1.0, 0.9, 0.8, 0.7)
"""Heights of the figures that are tried, in this order, until the paper has no more than its pages."""

STYLE = """
#set page(paper: "a4", margin: (x: 2cm, top: 1.8cm, bottom: 1.9cm), numbering: "1 of 1",
  number-align: center)
#set text(font: "Libertinus Serif", size: 9.5pt, lang: "en")
#set par(justify: true, leading: 0.56em, spacing: 0.85em)
#set list(indent: 0.4em, spacing: 0.6em)
#set enum(indent: 0.4em, spacing: 0.6em)
#show link: it => underline(text(fill: rgb("#0b4f8a"), it))
#show heading.where(level: 1): it => block(above: 1.3em, below: 0.7em, sticky: true,
  text(size: 12pt, weight: "bold", it.body))
#show figure: set block(breakable: false, above: 1.2em, below: 1.2em)
#show figure.where(kind: table): set figure.caption(position: top)
#show figure.where(kind: table): set align(left)
#show figure.caption: it => block(width: 100%, align(left, {
  set par(justify: false)
  text(size: 8.2pt, fill: luma(20%))[#strong[#it.supplement #context it.counter.display(it.numbering).]
    #it.body]
}))
#set figure(gap: 0.6em)
#show raw: set text(font: "DejaVu Sans Mono", size: 0.8em)

// a long word without blanks, a checksum say, breaks anywhere
#let code(words) = text(font: "DejaVu Sans Mono", size: 0.8em, words.split(" ").map(word =>
  if word.len() < 30 { box(word) } else { word.clusters().join(h(0pt)) }).join(" "))

// the same without another letter
#let words(text, from: 30) = text.split(" ").map(word =>
  if word.len() < from { word } else { word.clusters().join(h(0pt)) }).join(" ")

#let plain-table(columns, heads, cells, ..how) = table(
  columns: columns, stroke: none, inset: (x: 5pt, y: 3pt), ..how,
  table.hline(stroke: 0.8pt), table.header(..heads), table.hline(stroke: 0.4pt),
  ..cells, table.hline(stroke: 0.8pt))

// as wide as it may be, no higher, and never larger than it was drawn
#let picture(file, width, highest, alt) = layout(size => {
  let own = measure(image(file)).width
  let wide = image(file, width: calc.min(width * size.width, own), alt: alt)
  if highest == none or measure(wide).height <= highest { wide }
  else { image(file, height: highest, alt: alt) }
})

#let facts(..rows) = { set par(justify: false); set text(size: 8.8pt); grid(
  columns: (auto, 1fr), column-gutter: 1em, row-gutter: 0.55em, ..rows) }
"""


def as_pdf(document: Document, *, user_text: str = "") -> bytes:
    """The paper, on at most four pages: the figures are made smaller where that is needed.

    user_text: where the user's own text comes from, to be named where it is too long. Raises UsageError where
    there are still more pages. Letters that the fonts within have not, Chinese ones say, are taken from fonts
    of the system.
    """
    import typst

    pages = 0
    with tempfile.TemporaryDirectory(prefix="glassformer-") as folder:
        writer = _Writer(Path(folder))
        for scale in SCALES:
            source = Path(folder) / "paper.typ"
            source.write_text(writer.paper(document, scale), encoding="utf-8")
            pages = int(typst.query(source, "<pages>", field="value", one=True))
            if pages <= PAGES:
                made = typst.compile(source, format="pdf")
                assert isinstance(made, bytes)
                return made
    what = f"shorten your text in {user_text}" if user_text else "shorten --look, or write HTML alone"
    raise UsageError(f"the report would have {pages} pages, and has {PAGES} at most; {what}")


class _Writer:
    """Turns blocks into typst, and puts the pictures beside it, each drawn once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.drawn: dict[int, str] = {}

    def paper(self, document: Document, scale: float) -> str:
        self.scale = scale
        byline = ", ".join(part for part in (document.author, document.date) if part)
        sections = "\n".join(self.section(section) for section in document.sections)
        author = f", author: {typst_text(document.author)}" if document.author else ""
        return f"""#set document(title: {typst_text(document.title)}{author})
{STYLE}
#block(below: 0.9em, text(size: 17pt, weight: "bold", {typst_text(document.title)}))
#text(fill: luma(25%), {typst_text(byline)})
#line(length: 100%, stroke: 0.6pt)
{sections}
#context [#metadata(counter(page).final().first()) <pages>]
"""

    def section(self, section: Section) -> str:
        return f"= #text({typst_text(section.heading)})\n\n{self.blocks(section.blocks)}"

    def blocks(self, blocks: Sequence[Block]) -> str:
        return "\n\n".join(self.block(block) for block in blocks)

    def block(self, block: Block) -> str:
        match block:
            case Paragraph():
                return self.pieces(block)
            case Bullets(entries):
                return f"#list({', '.join(f'[{self.pieces(each)}]' for each in entries)})"
            case Facts(rows):
                pairs = ", ".join(f"strong({typst_text(name)}), {_value(value)}" for name, value in rows)
                return f"#facts({pairs})"
            case Markdown(text):
                return markdown.as_typst(text)
            case Table():
                return self.table(block)
            case Figure():
                return self.figure(block)
            case Beside(left, right, share):
                columns = f"({share:.2f}fr, {1 - share:.2f}fr)"
                return (
                    f"#grid(columns: {columns}, column-gutter: 1.2em, "
                    f"[{self.blocks(left)}], [{self.blocks(right)}])"
                )

    def pieces(self, paragraph: Paragraph) -> str:
        return "".join(
            f"#code({typst_text(piece.words)})" if isinstance(piece, Code) else f"#words({typst_text(piece)})"
            for piece in paragraph.pieces
        )

    def table(self, table: Table) -> str:
        count = len(table.headings)
        align = ", ".join("left" if column in table.left else "right" for column in range(count))
        widths = ", ".join("1fr" if column == table.wide else "auto" for column in range(count))
        heads = "".join(f"strong(words({typst_text(each)}, from: 16)), " for each in table.headings)
        cells = "".join(
            f"strong(words({typst_text(cell)}, from: 16)), "
            if number in table.strong
            else f"[#words({typst_text(cell)}, from: 16)], "
            for number, row in enumerate(table.rows)
            for cell in row
        )
        body = f"plain-table(({widths},), ({heads}), ({cells}), align: ({align},))"
        return (
            f"#figure(kind: table, supplement: [Table], caption: [#words({typst_text(table.caption)})], "
            f"{{ set par(justify: false); set text(size: 8.8pt); {body} }})"
        )

    def figure(self, figure: Figure) -> str:
        if id(figure) not in self.drawn:
            name = f"figure-{len(self.drawn) + 1}.pdf"
            (self.folder / name).write_bytes(figure.draw("pdf"))
            self.drawn[id(figure)] = name
        highest = f"{figure.height * self.scale:.2f}cm" if figure.height else "none"
        image = (
            f'picture("{self.drawn[id(figure)]}", {figure.width * 100:.0f}%, {highest}, '
            f"{typst_text(figure.alt)})"
        )
        return f"#figure({image}, caption: [#words({typst_text(figure.caption)})], kind: image)"


def _value(value: str | Code) -> str:
    return f"code({typst_text(value.words)})" if isinstance(value, Code) else f"words({typst_text(value)})"
