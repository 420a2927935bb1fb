"""A user's own text: into its section, and never obeyed."""

from pathlib import Path

import pytest
import typst

from glassformer.errors import UsageError
from glassformer.reports.paper.markdown import as_html, as_typst, read_sections
from glassformer.reports.paper.typst_page import STYLE

HEADINGS = ("Model", "Discussion", "Proof")
EVERYTHING = """A *word* and **two** with `code #x`, a [link](https://example.org), ~~not~~ this.
Next line.\\
Broken.

1. first
2. second with

   a paragraph

- tight
  - nested

> quoted

```
let x = "[1]"
```

| a | b |
| --- | --- |
| 1 | *2* |

---
### Below
"""
TYPST = '#import "evil.typ"\n\n$x$ [#panic("no")] "quote" \\ @label <b>bold</b> *a'


def test_sections_are_found_by_their_headings(tmp_path: Path) -> None:
    path = tmp_path / "own.md"
    first = "# discussion\nfirst\n## Deeper\nstays\n\n## proof\nlast\n\n"
    path.write_text(first + "Model\n=====\nunderlined\n```\n# Proof\n```\n")
    assert read_sections(path, HEADINGS) == {
        "Discussion": "first\n## Deeper\nstays",
        "Proof": "last",
        "Model": "underlined\n```\n# Proof\n```",
    }


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("no heading", "begins without a heading"),
        ("# Thanks\nall", "'Thanks', and no report has; the sections are Model, Discussion, Proof"),
    ],
)
def test_a_text_that_fits_nowhere_is_refused(tmp_path: Path, text: str, said: str) -> None:
    path = tmp_path / "own.md"
    path.write_text(text)
    with pytest.raises(UsageError, match=said):
        read_sections(path, HEADINGS)
    with pytest.raises(UsageError, match="cannot be read"):
        read_sections(tmp_path / "missing.md", HEADINGS)


def pdf_text(content: str) -> str:
    from io import BytesIO

    from pypdf import PdfReader

    made = typst.compile(f"{STYLE}\n{content}".encode(), format="pdf", ignore_system_fonts=True)
    assert isinstance(made, bytes)
    return " ".join(PdfReader(BytesIO(made)).pages[0].extract_text().split())


def test_all_of_markdown_comes_out() -> None:
    text = pdf_text(as_typst(EVERYTHING))
    for words in ("A word and two with code #x, a link, not this. Next line.", "1. first", "a paragraph",
                  "nested", "quoted", 'let x = "[1]"', "a b 1 2", "Below"):  # fmt: skip
        assert words in text, words


@pytest.mark.parametrize("text", ["| a | b |\n| --- | --- |", "[empty]()", "0. zero\n1. one", "![x](y.png)"])
def test_what_is_seldom_written_compiles(text: str) -> None:
    assert "0. zero" not in text or "0. zero" in pdf_text(as_typst(text))
    pdf_text(as_typst(text))


def test_typst_in_it_is_shown_and_not_run() -> None:
    text = pdf_text(as_typst(TYPST))
    for words in ('#import "evil.typ"', '$x$ [#panic("no")]', "@label <b>bold</b> *a"):
        assert words in text, words


def test_html_in_it_is_shown_and_pictures_are_not_fetched() -> None:
    page = as_html("<script>x</script> ![alt](https://example.org/a.png) [bad](javascript:alert(1))")
    assert "<script" not in page
    assert "<img" not in page
    assert "a.png" not in page
    assert "a.png" not in as_typst("![alt](a.png)")
    assert 'href="javascript' not in page
    assert "&lt;script&gt;" in page
