"""The page about one input: nothing from outside, nothing unescaped, the bad news in plain words."""

import json
import re
from dataclasses import replace
from html.parser import HTMLParser
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from glassformer.errors import UsageError
from glassformer.explain.ablation import Ablated
from glassformer.explain.explanation import Explanation, Map
from glassformer.explain.faithfulness import GRADIENT, ROLLOUT, Faithfulness
from glassformer.reports.explanation import draw_explanation, write_explanation
from glassformer.reports.explanation_html import HOVERED, as_html
from glassformer.reports.explanation_panels import flow, shade

EVIL = "</script><script>alert(1)</script>"
COMMAND = f"glassformer explain RUN '{EVIL}'"


def curve(name: str, gain: float) -> Faithfulness:
    return Faithfulness(
        name, [0, 0.5, 1], [0.9, 0.6, 0.5], [0.9, 0.7, 0.5], gain, (gain - 0.1, gain + 0.1), 7
    )


def explained(tokens: int = 3) -> Explanation:
    text = " ".join([EVIL, *(f"w{i}" for i in range(1, tokens))])
    spans, at = [], 0
    for word in text.split():
        begin = text.index(word, at)
        spans.append((begin, begin + len(word)))
        at = begin + len(word)
    parts = [text[begin:end] for begin, end in spans]
    n = len(parts)
    weights = np.random.default_rng(0).dirichlet(np.ones(n), (2, n))
    return Explanation(
        task="text", run="RUN", told=f"good (good 0.9): {EVIL}", answer="<good>",
        parts=parts,
        attributions={ROLLOUT: np.full((1, n), 1 / n), GRADIENT: np.linspace(-1, 2, n)[None]},
        maps=[Map("self-attention", 1, weights, parts, parts)], text=text, spans=spans,
        accuracy=0.75, judged=7,
        ablation=[Ablated("self-attention", 1, 1, 0.25, (0.1, 0.4), 2, 0)],
        faithfulness=[curve(ROLLOUT, 0.02), curve(GRADIENT, 0.3)], notes=["a note"],
    )  # fmt: skip


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag not in ("meta", "img", "br"):
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_one_file_in_which_typed_text_stays_text() -> None:
    page = as_html(explained(), COMMAND)
    parser = Tags()
    parser.feed(page)
    assert parser.open == []
    assert [tag for tag, _ in parser.tags].count("script") == 2  # the data and ours, none of the user's
    assert "alert(1)</script>" not in page
    for _, attributes in parser.tags:
        for name in ("src", "href"):
            assert (attributes.get(name) or "data:").startswith("data:")
    assert not re.search(r"https?://", page)


def test_html_carries_the_weights_of_every_head() -> None:
    found = explained()
    (data,) = re.findall(r'id="data">(.*?)</script>', as_html(found, COMMAND), flags=re.S)
    (only,) = json.loads(data)["maps"]
    np.testing.assert_allclose(np.array(only["heads"]) / 1000, found.maps[0].weights, atol=0.0006)
    assert only["keys"] == found.parts


def test_where_all_tokens_ask_nothing_is_said_of_one() -> None:
    assert "alone asks" not in as_html(explained(), COMMAND)


def test_a_long_text_is_whole_in_colour_and_cut_in_the_maps_which_is_said() -> None:
    found = explained(HOVERED + 12)
    page = as_html(found, COMMAND)
    assert f"The first {HOVERED} of {HOVERED + 12} tokens" in page
    assert page.count('title="+') + page.count('title="-') == 2 * len(found.parts)


def test_what_explains_no_better_than_chance_says_so() -> None:
    found = explained()
    said = "attention rollout: no better than chance"
    assert page_text(found).count(said) == 1  # under its coloured text
    written = " ".join(text.get_text() for text in draw_explanation(found, COMMAND).texts)
    assert said in written
    assert "attention rollout (no better than chance)" in written.replace("  ", " ")
    assert curve("x", -0.4).sentence.startswith("x: worse than chance")
    assert "points at what the model uses" in curve("x", 0.4).sentence
    little = replace(curve("x", 0.01), interval=(0.005, 0.015))
    assert [replace(little, gain=share * 0.7).verdict for share in (0.049, 0.051)] == ["little", "better"]
    assert replace(little, random=[0.0, 0.0, 0.0]).share == 0
    assert little.sentence.startswith("x: little better than chance.")
    assert f"by {little.share:.1%} of the random curve's area" in little.sentence
    assert little.share == pytest.approx(0.01 / 0.7)


def test_the_page_says_the_answer_with_its_probabilities_and_shows_curves_whole() -> None:
    found = explained()
    found.faithfulness[0] = replace(found.faithfulness[0], curve=[0.3, 0.2, 0.1], random=[0.3, 0.25, 0.1])
    figure = draw_explanation(found, COMMAND)
    assert found.told in " ".join(text.get_text() for text in figure.texts)
    (curves,) = [axes for axes in figure.axes if axes.get_ylabel() == "mean probability of the answer"]
    low, high = curves.get_ylim()
    drawn = [float(each) for line in curves.lines for each in line.get_ydata()]  # type: ignore[union-attr]
    assert low == 0
    assert max(drawn) < high < 1.2 * max(drawn)


@pytest.mark.parametrize("grid", [(8, 8), (2, 8), (16, 4), (1, 16)])
def test_maps_are_as_wide_as_their_grid_and_their_numbers_keep_apart(grid: tuple[int, int]) -> None:
    rows, columns = grid
    values = np.linspace(-1.5e-5, 1e-5, rows * columns)[None]
    found = Explanation(
        task="images", run="RUN", told="cat (cat 0.9): a.png", answer="cat",
        parts=[str(each) for each in range(rows * columns)], maps=[], grid=grid,
        attributions={ROLLOUT: values, GRADIENT: -values, "another": values},
        picture=np.zeros((3, 4 * rows, 4 * columns), dtype=np.uint8),
    )  # fmt: skip
    figure = draw_explanation(found, COMMAND)
    figure.canvas.draw()
    maps = [axes for axes in figure.axes if axes.get_xlabel() == "patch column"]
    bars = [axes for axes in figure.axes if axes.get_xlabel() == "" and axes not in maps][1:]
    assert len(maps) == len(bars) == 3
    for axes in maps:
        box = axes.get_window_extent()
        assert box.width / box.height == pytest.approx(columns / rows, rel=0.02)
        given, taken = axes.get_position(original=True), axes.get_position()
        np.testing.assert_allclose(given.bounds, taken.bounds, atol=1e-3)  # no room beside it is empty
        ticks = [*axes.get_xticks(), *axes.get_yticks()]
        assert all(tick == round(tick) for tick in ticks)
    in_order = [axes for pair in zip(maps, bars, strict=True) for axes in pair]
    for before, after in pairwise(in_order):
        assert before.get_window_extent().x1 < after.get_window_extent().x0
        if before in bars:
            assert before.get_tightbbox().x1 < after.get_tightbbox().x0
    assert bars[-1].get_tightbbox().x1 <= figure.bbox.x1


def page_text(found: Explanation) -> str:
    return as_html(found, COMMAND)


def test_text_flows_within_its_width_without_overlaps() -> None:
    from glassformer.reports.page import TEXT, text_width

    width = 2.5
    placed = flow(explained(40), width)
    assert [number for _, _, number, _ in placed] == list(range(40))
    for (left, line, _, piece), (after, below, _, _) in pairwise(placed):
        end = left + text_width(piece, TEXT)
        assert end <= width + 1e-9
        assert (line == below and end <= after) or (below == line + 1 and after == 0)


def test_colours_tell_for_from_against_and_keep_text_readable() -> None:
    assert shade(0, 1) == (1, 1, 1)
    assert shade(0, 0) == (1, 1, 1)
    for value in (1.0, -1.0):
        linear = [((c + 0.055) / 1.055) ** 2.4 if c > 0.04045 else c / 12.92 for c in shade(value, 1)]
        luminance = float(np.dot(linear, [0.2126, 0.7152, 0.0722]))
        assert (luminance + 0.05) / 0.05 > 4.5  # black letters, WCAG 2.1
    assert shade(1, 1)[2] > shade(1, 1)[0]
    assert shade(-1, 1)[0] > shade(-1, 1)[2]


@pytest.mark.parametrize(
    ("suffix", "start"), [(".png", b"\x89PNG"), (".pdf", b"%PDF"), (".html", b"<!doctype")]
)
def test_writes_every_kind(tmp_path: Path, suffix: str, start: bytes) -> None:
    path = tmp_path / f"page{suffix}"
    write_explanation(explained(), path, COMMAND)
    assert path.read_bytes().startswith(start)
    assert list(tmp_path.iterdir()) == [path]


def test_refuses_another_kind(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"'\.docx'; choose \.html, \.png or \.pdf"):
        write_explanation(explained(), tmp_path / "page.docx", COMMAND)
    assert list(tmp_path.iterdir()) == []
