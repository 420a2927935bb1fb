"""A model's architecture as a picture: the description becomes typst source, that becomes SVG, PNG or PDF.

What is drawn is what `glassformer.explain.architecture` found: nothing here knows a model.
"""

import json
from collections.abc import Sequence
from pathlib import Path

from glassformer.cache import write_atomically
from glassformer.errors import UsageError
from glassformer.explain.architecture import Architecture, Part
from glassformer.explain.shapes import Shape, shown
from glassformer.reports.diagram_style import FILLS, FONT, FUNCTIONS

COLUMN, GAP, MARGIN = 7.2, 0.9, 0.3
"""Centimetres: the width of a column, the room between two, and around all."""
FORMATS = ("svg", "png", "pdf")
PIXELS_AN_INCH = 200.0


def write_diagram(
    architecture: Architecture, path: Path, kind: str | None = None, *, title: str, command: str
) -> None:
    """Draws an architecture into a file, whole or not at all.

    kind: svg, png or pdf; what the file's name ends in unless given. title: what the caption begins with;
    command: what repeats it. Raises UsageError for an unknown kind.
    """
    kind = kind or path.suffix.lower().removeprefix(".")
    if kind not in FORMATS:
        raise UsageError(f"{path} ends in no known format; choose .svg, .png or .pdf")
    import typst

    source = page_source(architecture, title=title, command=command).encode()
    made = typst.compile(source, format=kind, ppi=PIXELS_AN_INCH, ignore_system_fonts=True)
    assert isinstance(made, bytes)  # one page
    write_atomically(path, lambda scratch: scratch.write_bytes(made))


def page_source(architecture: Architecture, *, title: str, command: str) -> str:
    """Typst source of a page that is as large as the diagram and its caption."""
    width = diagram_width(architecture) + 2 * MARGIN
    heading = f"{title}, {architecture.parameters:,} parameters"
    notes = ["Numbers at the right are parameters; a repeated block is drawn once."]
    if architecture.unused:
        notes.append(f"{architecture.unused:,} parameters have no part in this pass.")
    # a command that is broken at a blank can still be typed; a long file name breaks anywhere
    typed = "#" + f"show-command({_text(command)})"
    return f"""#set document(title: {_text(heading)})
#set page(width: {width:.2f}cm, height: auto, margin: {MARGIN}cm, fill: white)
#set text(font: {_text(FONT)}, size: 8pt)
#let show-command(words) = text(font: "DejaVu Sans Mono", size: 0.72em,
  words.clusters().map(each => if each in ("/", ".", "=", "_") {{ each + sym.zws }} else {{ each }}).join())
{diagram_source(architecture)}
#v(7pt)
#line(length: 100%, stroke: 0.4pt + luma(60%))
#v(-5pt)
#strong({_text(heading)})\\
#small[#{_text(" ".join(notes))}]\\
{typed}
"""


def diagram_width(architecture: Architecture) -> float:
    """Centimetres, at a size of type of 8 points."""
    count = len(_columns(architecture.root))
    return count * COLUMN + (count - 1) * GAP


def diagram_source(architecture: Architecture, *, name: str = "diagram") -> str:
    """Typst source of the diagram alone, to stand in a document: as wide as what it is put in.

    name: begins the labels in it, so that two in one document do not meet.
    """
    root = architecture.root
    columns = _columns(root)
    targets = _context_targets(root, columns)
    marks = {id(part): f"{name}-context-{number}" for number, part in enumerate(targets)}
    sides = []
    for number, column in enumerate(columns):
        last = number == len(columns) - 1
        first = root.children[column[0]] if column else root
        argument = architecture.arguments[number] if number < len(architecture.arguments) else "input"
        body = [_call("end", _text(argument), _parts((root.inputs or first.inputs)[number]))]
        body += _sequence(root, column, marks, {})
        if last:
            body.append(_call("flow", _parts(root.output)))
            body.append(_call("end", _text("output"), _parts(root.output)))
        elif targets:
            body.append("tail")
            body.append(f'align(center, spot("{name}-context"))')
        sides.append("{ " + "; ".join(body) + " }")
    arrows = f'contexts("{name}-context", ({_tuple(_text(each) for each in marks.values())}))' if marks else ""
    grid = f"grid(columns: (1fr,) * {len(sides)}, column-gutter: {GAP}cm, {', '.join(sides)})"
    return f"{FUNCTIONS}\n#block(width: 100%, {{ set block(spacing: 0pt); {arrows}\n{grid} }})\n"


def _columns(root: Part) -> list[list[int]]:
    """The numbers of the children by the model's input that they go back to, in the order of their first."""
    columns: list[list[int]] = []
    started: dict[int, int] = {}
    where: dict[int, int] = {}
    for number, child in enumerate(root.children):
        read = child.reads[0] if child.reads else -1
        column = where[read] if read >= 0 else started.setdefault(read, len(started))
        where[number] = column
        while len(columns) <= column:
            columns.append([])
        columns[column].append(number)
    return columns or [[]]


def _context_targets(root: Part, columns: list[list[int]]) -> list[Part]:
    """The parts, however deep, that read what the first column gives while they stand in another."""
    if len(columns) < 2:
        return []
    context = columns[0][-1]
    found: list[Part] = []
    for number in (each for column in columns[1:] for each in column):
        child = root.children[number]
        if context in child.reads:
            found += _readers(child, child.reads.index(context))
    return found


def _readers(part: Part, argument: int) -> list[Part]:
    inside = [each for child in part.children if -1 - argument in child.reads
              for each in _readers(child, child.reads.index(-1 - argument))]  # fmt: skip
    return inside or [part]


def _sequence(
    whole: Part, numbers: Sequence[int], marks: dict[int, str], done: dict[tuple[int, int], bool]
) -> list[str]:
    """Calls that draw these children one under the other, arrows and residuals with them."""
    calls: list[str] = []
    at = 0
    while at < len(numbers):
        number = numbers[at]
        spans = [
            span for span in whole.residuals
            if span[0] == number and span not in done and span[1] in numbers[at:]
        ]  # fmt: skip
        if spans:
            span = max(spans, key=lambda each: each[1])
            last = numbers.index(span[1])
            inside = _sequence(whole, numbers[at : last + 1], marks, done | {span: True})
            calls.append(f"residual({{ {'; '.join(inside)} }})")
            at = last + 1
            continue
        child = whole.children[number]
        calls.append(_call("flow", _parts(child.inputs[0] if child.inputs else ())))
        calls.append(_drawn(child, marks, _others(whole, number, numbers)))
        at += 1
    return calls


def _others(whole: Part, number: int, numbers: Sequence[int]) -> str:
    """What a child reads that no arrow shows, in words."""
    at = numbers.index(number)
    before = numbers[at - 1] if at else None
    child = whole.children[number]
    carried = {read for first, last in whole.residuals if last < number for read in [first - 1, last]}
    reads = [read for read in child.reads if read >= 0 and read != before and read not in carried]
    missing = bool(before is not None and child.reads and before not in child.reads)
    if len(child.inputs) > 1 or not (reads or missing):
        return ""
    names = [whole.children[read].label for read in reads] or ["what came in"]
    return f"takes {' and '.join(names)}"


def _drawn(part: Part, marks: dict[int, str], others: str) -> str:
    times = f"{part.repeats} ×" if part.repeats > 1 else ""
    if part.children:
        body = "; ".join([*_sequence(part, range(len(part.children)), marks, {}), "tail"])
        name = _text(part.label)
        return _call("group", name, _text(times.replace(" ×", "") and f"× {part.repeats}"),
                     _text(_counted(part)), f"{{ {body} }}")  # fmt: skip
    fill = next(colour for word, colour in FILLS.items() if word in part.label)
    detail = part.detail
    context = [shape for shape in part.inputs[1:] if shape]
    side = f"context: {shown(context[0])}" if context and "attention" in part.label else others
    more = [f"side: {_text(side)}"] if side else []
    if id(part) in marks:
        more.append(f'mark: spot("{marks[id(part)]}")')
    label = f"{part.label} × {part.repeats}" if part.repeats > 1 else part.label
    return _call("part", _text(label), _text(detail), _text(_counted(part)), f'rgb("{fill}")', *more)


def _counted(part: Part) -> str:
    """A part's parameters, in words where that is not a number."""
    if part.tied:
        return "weights as above"
    if not part.parameters:
        return ""
    return f"{part.repeats} × {part.parameters:,}" if part.repeats > 1 else f"{part.parameters:,}"


def _call(function: str, *arguments: str) -> str:
    return f"{function}({', '.join(arguments)})"


def _parts(shape: Shape) -> str:
    """The factors of a shape, as typst has an array of strings."""
    return f"({_tuple(_text(each) for each in (shown((dim,)) for dim in shape))})"


def _tuple(parts: object) -> str:
    return "".join(f"{part}, " for part in parts)  # type: ignore[attr-defined]


def _text(words: str) -> str:
    """A string as typst writes it: the escapes of JSON that it knows are the only ones that are needed."""
    plain = "".join(each if each.isprintable() else " " for each in words)
    return json.dumps(plain, ensure_ascii=False)
