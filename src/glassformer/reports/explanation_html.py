"""An explanation as one HTML file that needs no network: everything it shows is in it."""

import json
from base64 import b64encode
from html import escape

import numpy as np

from glassformer.explain.explanation import Explanation
from glassformer.reports.explanation import (
    ABLATION_EXPLAINED,
    ATTRIBUTION_EXPLAINED,
    CURVES_EXPLAINED,
    picture_png,
    section_png,
)
from glassformer.reports.explanation_panels import (
    asks_alone,
    draw_curves,
    draw_grid_maps,
    draw_written,
    labelled,
    shade,
)

HOVERED = 128
"""Tokens of the attention maps at most; a longer text has all its tokens in the coloured text."""

STYLE = """
body { font: 16px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem;
  color: #222; background: #fff }
h1 { font-size: 1.5rem } h2 { font-size: 1.2rem; margin-top: 2.2rem }
.told { font-size: 1.1rem; background: #eef5fa; padding: .6rem .9rem; border-left: 4px solid #0072B2;
  overflow-wrap: anywhere }
.text { white-space: pre-wrap; overflow-wrap: anywhere; border: 1px solid #ddd; padding: .6rem;
  max-height: 24rem; overflow: auto }
.bad { color: #a03000; font-weight: 600 } .small { color: #444; font-size: .9rem; overflow-wrap: anywhere }
.tokens span { display: inline-block; border: 1px solid #ccc; border-radius: 3px; margin: 2px;
  padding: 0 .35em; white-space: pre }
.tokens span.chosen, .cells div.chosen { outline: 3px solid #D55E00 }
.tokens.ask span { cursor: pointer }
.cells { display: grid; width: 14rem; background-size: 100% 100%; image-rendering: pixelated }
.cells.cls { background: bottom no-repeat; background-size: 100% calc(100% - 1.5rem) }
.cells.cls > :first-child { height: 1.5rem }
.cells.alone { background-image: none !important }
.cells div { aspect-ratio: 1; cursor: pointer } .beside { display: flex; flex-wrap: wrap; gap: 2rem }
table { border-collapse: collapse } td, th { border-bottom: 1px solid #ddd; padding: .2rem .8rem;
  text-align: right }
td:first-child, th:first-child { text-align: left } img { max-width: 100%; height: auto }
""".strip()

SCRIPT = """
const data = JSON.parse(document.getElementById('data').textContent);
const layer = document.getElementById('layer'), head = document.getElementById('head');
const ask = document.getElementById('ask'), keys = document.getElementById('keys');
const said = document.getElementById('said');
let chosen = 0;
function fill(select, names) { select.replaceChildren(...names.map((name, i) => new Option(name, i))); }
function cells(box, names, onChoose) {
  box.classList.toggle('cls', Boolean(data.grid && data.cls));  // the image lies under the patches alone
  box.replaceChildren(...names.map((name, i) => {
    const cell = document.createElement(data.grid ? 'div' : 'span');
    if (data.grid && !(data.cls && i === 0)) cell.title = name; else cell.textContent = name;
    if (data.grid && data.cls && i === 0) cell.style.gridColumn = '1 / -1', cell.style.aspectRatio = 'auto';
    if (onChoose) {
      cell.tabIndex = 0;
      for (const event of ['mouseenter', 'focus', 'click']) cell.addEventListener(event, () => onChoose(i));
    }
    return cell;
  }));
}
function show(i) {
  chosen = i;
  const map = data.maps[layer.value], row = map.heads[head.value][i];
  const top = Math.max(...row, 1);
  [...ask.children].forEach((cell, j) => cell.classList.toggle('chosen', j === i));
  [...keys.children].forEach((cell, j) => {
    cell.style.background = `rgba(0, 114, 178, ${0.75 * row[j] / (data.grid ? top : 1000)})`;
    cell.title = `${map.keys[j]}: ${(row[j] / 1000).toFixed(3)}`;
  });
  const best = row.indexOf(Math.max(...row));
  said.textContent = `${map.queries[i]} looks most at ${map.keys[best]} (${(row[best] / 1000).toFixed(3)})`;
}
function chooseLayer() {
  const map = data.maps[layer.value];
  const kept = Math.min(head.value || 0, map.heads.length - 1);
  fill(head, map.heads.map((_, i) => `head ${i + 1}`));
  head.value = kept;
  ask.classList.toggle('alone', map.queries.length === 1);  // no grid of patches to lie over the image
  cells(ask, map.queries, show);
  cells(keys, map.keys, null);
  show(Math.min(chosen, map.queries.length - 1));
}
fill(layer, data.maps.map(map => `${map.kind}, layer ${map.layer}`));
layer.addEventListener('change', chooseLayer);
head.addEventListener('change', () => show(chosen));
chooseLayer();
""".strip()


def as_html(explanation: Explanation, command: str) -> str:
    """The whole page. What the user typed is escaped wherever it stands."""
    parts = [
        f"<h1>Why {escape(explanation.answer)}?</h1>",
        f'<p class="told">{escape(explanation.told)}</p>',
        "<h2>What speaks for the answer</h2>",
        f"<p>{escape(ATTRIBUTION_EXPLAINED)}</p>",
        _attributions(explanation),
    ]
    if explanation.maps:
        parts += ["<h2>Attention</h2>", _viewer(explanation)]
    if explanation.ablation:
        parts += ["<h2>Heads switched off</h2>", _ablation(explanation)]
    if explanation.faithfulness:
        image = _image(
            section_png(draw_curves(explanation, sentences=False)),
            "deletion curves; sentences of their own say what they show",
        )
        parts += ["<h2>Is it true? Deletion curves</h2>", f"<p>{escape(CURVES_EXPLAINED)}</p>", image]
        if _with_sentences(explanation):
            parts.append("<p>What each curve says stands under its coloured text above.</p>")
        else:
            parts += [_sentence(explanation, name) for name in explanation.attributions]
    parts += [f'<p class="small">Note: {escape(note)}.</p>' for note in explanation.notes]
    parts.append(
        f'<p class="small">Run {escape(explanation.run)}, task {escape(explanation.task)}.<br>'
        f"Repeat: <code>{escape(command)}</code></p>"
    )
    if explanation.maps:
        parts.append(f'<script type="application/json" id="data">{_data(explanation)}</script>')
        parts.append(f"<script>{SCRIPT}</script>")
    body = "\n".join(parts)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>Glassformer: why {escape(explanation.answer)}?</title>\n<style>{STYLE}</style></head>\n"
        f"<body>\n{body}\n</body></html>\n"
    )


def _with_sentences(explanation: Explanation) -> bool:
    """Whether the attributions are texts, each with its sentence below it."""
    return explanation.picture is None and not explanation.written


def _attributions(explanation: Explanation) -> str:
    if explanation.picture is not None:
        return _image(
            section_png(draw_grid_maps(explanation)), "the image, and its patches by each attribution"
        )
    if not _with_sentences(explanation):
        return _image(section_png(draw_written(explanation)), "each written token, over the source")
    return "\n".join(
        f"<h3>{escape(labelled(explanation, name))}</h3>{_coloured(explanation, values[0])}"
        f"{_sentence(explanation, name)}"
        for name, values in explanation.attributions.items()
    )


def _coloured(explanation: Explanation, values: np.ndarray) -> str:
    """The text as it was typed, a span a token."""
    text, spans = explanation.text, explanation.spans
    assert text is not None
    assert spans is not None
    largest, end, pieces = float(np.abs(values).max()), 0, []
    for (begin, stop), part, value in zip(spans, explanation.parts, values.tolist(), strict=True):
        pieces.append(escape(text[end:begin]))
        red, green, blue = (round(255 * each) for each in shade(value, largest))
        shown = text[begin:stop] or part
        pieces.append(
            f'<span style="background:rgb({red},{green},{blue})" title="{value:+.4g}">{escape(shown)}</span>'
        )
        end = max(end, stop)
    return f'<div class="text">{"".join(pieces)}{escape(text[end:])}</div>'


def _sentence(explanation: Explanation, name: str) -> str:
    found = explanation.verdict(name)
    if found is None:
        return '<p class="bad">Whether this picture is true to the model was not measured.</p>'
    return f"<p{'' if found.verdict == 'better' else ' class=bad'}>{escape(found.sentence)}</p>"


def _viewer(explanation: Explanation) -> str:
    kind = "cells" if explanation.grid else "tokens"
    style = ""
    if explanation.grid is not None and explanation.picture is not None:
        address = f"data:image/png;base64,{b64encode(picture_png(explanation.picture)).decode()}"
        columns = f"grid-template-columns:repeat({explanation.grid[1]},1fr)"
        style = f" style=\"{columns};background-image:url('{address}')\""
    longest = max(max(len(each.queries), len(each.keys)) for each in explanation.maps)
    word = "patch" if explanation.grid else "token"
    cut = (
        f" The first {HOVERED} of {longest:,} tokens; the coloured text has all." if longest > HOVERED else ""
    )
    return (
        f"<p>Point at a {word} that looks: the others show what it takes from each {word}."
        f"{escape(asks_alone(explanation))}{cut}</p>"
        '<p><label>layer <select id="layer"></select></label> '
        '<label>head <select id="head"></select></label> '
        '<span id="said" aria-live="polite"></span></p>'
        f'<div class="beside"><div><p class="small">which looks (query)</p>'
        f'<div id="ask" class="{kind} ask"{style}></div></div>'
        f'<div><p class="small">is looked at (key)</p><div id="keys" class="{kind}"{style}></div></div></div>'
    )


def _ablation(explanation: Explanation) -> str:
    rows = "".join(
        f"<tr><td>{escape(each.name)}</td><td>{each.lost:+.4f}</td>"
        f"<td>{each.interval[0]:+.4f} to {each.interval[1]:+.4f}</td>"
        f"<td>{each.fell}</td><td>{each.rose}</td></tr>"
        for each in sorted(explanation.ablation, key=lambda each: -each.lost)
    )
    return (
        f"<p>{escape(ABLATION_EXPLAINED)} {explanation.judged:,} validation examples, accuracy "
        f"{explanation.accuracy:.4f} with all.</p><table><tr><th>switched off</th><th>accuracy lost</th>"
        f"<th>95% interval</th><th>answers that fell</th><th>that rose</th></tr>{rows}</table>"
    )


def _image(png: bytes, alt: str) -> str:
    return f'<img alt="{escape(alt)}" src="data:image/png;base64,{b64encode(png).decode()}">'


def _data(explanation: Explanation) -> str:
    """For the script, as JSON in which nothing can end the element that holds it."""
    maps = [
        {
            "kind": each.kind,
            "layer": each.layer,
            "queries": each.queries[:HOVERED],
            "keys": each.keys[:HOVERED],
            "heads": np.rint(1000 * each.weights[:, :HOVERED, :HOVERED]).astype(int).tolist(),
        }
        for each in explanation.maps
    ]
    data = {"maps": maps, "grid": explanation.grid, "cls": explanation.cls}
    return json.dumps(data, separators=(",", ":")).replace("<", "\\u003c")
