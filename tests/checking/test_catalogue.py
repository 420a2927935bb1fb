"""The words for the mistakes: there are some for each, and the line that they point to is near it."""

import itertools
import re
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

import pytest

from glassformer.checking import attention_mistakes, catalogue
from glassformer.checking.catalogue import ENTRIES, SORTS, entry
from glassformer.checking.locating import line_of
from glassformer.checking.source import Code
from tests.checking.seeded import attention, backward, rest
from tests.checking.seeded.edits import Edits

SOURCES = Path(catalogue.__file__).parent
EMITTED = re.compile(r'\b(?:\.?mistake|\.?remark|_?seeded|Seeded)\(\s*"([a-z0-9-]+)"')


def known_slugs() -> set[str]:
    banks = [value for value in vars(attention_mistakes).values() if isinstance(value, tuple)]
    in_banks = {each.slug for bank in banks for each in bank if isinstance(each, attention_mistakes.Seeded)}
    emitted = {
        slug for path in SOURCES.glob("*.py") for slug in EMITTED.findall(path.read_text(encoding="utf-8"))
    }
    assert {"unknown-mask", "dropout-in-eval"} <= emitted
    return {*attention.MISTAKES, *rest.MISTAKES, *in_banks, *emitted, *backward.MISTAKES}


@pytest.mark.parametrize("slug", sorted(known_slugs()))
def test_every_mistake_has_words(slug: str) -> None:
    entry(slug)


@pytest.mark.parametrize("slug", ENTRIES)
def test_the_words_are_whole(slug: str) -> None:
    found = ENTRIES[slug]
    assert re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", slug)
    assert found.sort in SORTS
    assert 10 < len(found.title) < 90
    assert found.title[0].islower()
    assert not found.title.endswith(".")
    assert found.explanation.endswith(".")
    assert len(re.findall(r"[.!?]( |$)", found.explanation.replace("...", ""))) == 1, "one sentence"
    assert found.hint
    assert found.sort == "unknown" or found.solution
    assert found.solution not in found.hint or not found.solution
    assert found.lines
    for pattern in found.lines:
        re.compile(pattern)
        assert not re.search(pattern, ""), "it fits anything"


def test_an_unknown_id_is_told() -> None:
    with pytest.raises(LookupError, match="no-such-mistake"):
        entry("no-such-mistake")


# ------------------------------------------------------------------------------------------------ the lines


def shared(one: str, other: str) -> int:
    """How many characters both start with."""
    pairs = zip(one, other, strict=False)
    return sum(1 for _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))


def edited(text: str, edits: Edits) -> list[tuple[int, int]]:
    """First and last line, in the text with the mistake, of what each replacement really changes."""
    places = sorted(
        (at.start(), each[0], each[1]) for each in edits for at in re.finditer(re.escape(each[0]), text)
    )
    made, spans, read = "", [], 0
    for start, old, new in places:
        made += text[read:start]
        same = shared(old, new)
        end = shared(old[same:][::-1], new[same:][::-1])
        spans.append((len(made) + same, len(made) + len(new) - end))
        made += new
        read = start + len(old)
    made += text[read:]
    return [(made.count("\n", 0, first) + 1, made.count("\n", 0, last) + 1) for first, last in spans]


def test_edited_lines() -> None:
    assert edited("a\nb = 1\nc\n", [("b = 1\n", "b = 2\n")]) == [(2, 2)]
    assert edited("a\nb\nc\nd\n", [("a\n", ""), ("d", "e\nf")]) == [(1, 1), (3, 4)]


def share_near(corpus: ModuleType, cases: Iterable[tuple[str, str]]) -> float:
    """How often the line that is found is at most two lines from one that the mistake was put into."""
    near = []
    for slug, base in cases:
        text = corpus.source(base, slug)
        names = re.findall(r"^# target: (\w+)$", text, re.M)
        names += re.findall(r"^(?:class|def) ([A-Za-z]\w+)", text, re.M)[-1:]
        line = line_of(slug, Code.of(text, names[0]))
        spans = edited((corpus.BASES / f"{base}.py").read_text(encoding="utf-8"), corpus.MISTAKES[slug][base])
        near.append(line is not None and any(a - 2 <= line <= b + 2 for a, b in spans))
    return sum(near) / len(near)


def test_the_line_found_is_near_the_mistake() -> None:
    """Measured: 97% of attention's, 90% of the others. The patterns were written with these files at hand."""
    assert share_near(attention, attention.cases()) > 0.94
    assert share_near(rest, rest.cases()) > 0.86


def test_a_line_is_found_in_what_the_code_uses() -> None:
    text = (attention.BASES / "multihead_heads_list.py").read_text(encoding="utf-8")
    code = Code.of(text, "MultiHeadAttention")
    assert code.line((r"softmax",)) is None
    line = line_of("softmax-over-queries", code)
    assert line
    assert "softmax" in text.splitlines()[line - 1]
    assert line_of("softmax-over-queries", Code("pass")) is None
    assert line_of("softmax-over-queries", Code("def (")) is None
