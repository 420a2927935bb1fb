"""A model's architecture as a picture: the description becomes typst source, that becomes SVG, PNG or PDF.

What is drawn is what `glassformer.explain.architecture` found: nothing here knows a model.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Literal

from glassformer.cache import write_atomically
from glassformer.errors import UsageError
from glassformer.explain.architecture import Architecture, Part
from glassformer.explain.shapes import Shape, shown
from glassformer.reports.diagram_style import FILLS, FONT, FUNCTIONS

COLUMN, GAP, MARGIN = 7.2, 0.9, 0.3
"""Centimetres: the width of a column, the room between two, and around all."""
FOLD = "A"
"""Where a folded stream breaks off, and where it goes on."""
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
    return f"""#set document(title: {typst_text(heading)})
#set page(width: {width:.2f}cm, height: auto, margin: {MARGIN}cm, fill: white)
#set text(font: {typst_text(FONT)}, size: 8pt)
{diagram_source(architecture)}
#v(7pt)
#line(length: 100%, stroke: 0.4pt + luma(60%))
#v(-5pt)
#strong({typst_text(heading)})\\
#small[#{typst_text(" ".join(notes))}]\\
#command({typst_text(command)})
"""


def diagram_figure(architecture: Architecture, kind: Literal["svg", "pdf"]) -> bytes:
    """The diagram alone, folded, as svg or pdf, to stand in a document that has a caption for it."""
    import typst

    width = diagram_width(architecture, fold=True) + 0.2
    source = f"""#set page(width: {width:.2f}cm, height: auto, margin: 0.1cm)
#set text(font: {typst_text(FONT)}, size: 8pt)
{diagram_source(architecture, fold=True)}"""
    made = typst.compile(source.encode(), format=kind, ignore_system_fonts=True)
    assert isinstance(made, bytes)  # one page
    return made


def diagram_width(architecture: Architecture, *, fold: bool = False) -> float:
    """Centimetres, at a size of type of 8 points; fold as in `diagram_source`."""
    count = len(_sides(architecture.root, fold=fold))
    return count * COLUMN + (count - 1) * GAP


def is_folded(architecture: Architecture) -> bool:
    """Whether `fold` draws it in two columns for one stream."""
    return len(_sides(architecture.root, fold=True)) > len(_columns(architecture.root))


def diagram_source(architecture: Architecture, *, name: str = "diagram", fold: bool = False) -> str:
    """Typst source of the diagram alone, to stand in a document: as wide as what it is put in.

    Sizes follow the text's: a column wants about 40 times the size of the type (`diagram_width` at 8 points).

    name: begins the labels in it, so that two in one document do not meet. fold: of one stream with groups of
    one kind under each other, the second half stands beside the first.
    """
    root = architecture.root
    columns = _columns(root)
    targets = _context_targets(root, columns)
    marks = {id(part): f"{name}-context-{number}" for number, part in enumerate(targets)}
    sides = []
    drawn = _sides(root, fold=fold)
    folded = len(drawn) > len(columns)
    for number, side in enumerate(drawn):
        last = number == len(drawn) - 1
        argument = architecture.arguments[number] if number < len(architecture.arguments) else "input"
        body = [_call("end", typst_text(FOLD if folded and number else argument))]
        body += _sequence(root, side, side, marks, set())
        if last:
            body.append(_flow(root, side[-1] if side else -1, root.output))
            body.append(_call("end", typst_text("output")))
        elif folded:
            body.append("tail")
            body.append(_call("end", typst_text(FOLD)))
        elif targets:
            body.append("tail")
            body.append(f'align(center, spot("{name}-context"))')
        sides.append("{ " + "; ".join(body) + " }")
    arrows = (
        f'contexts("{name}-context", ({_tuple(typst_text(each) for each in marks.values())}))'
        if marks
        else ""
    )
    grid = f"grid(columns: (1fr,) * {len(sides)}, column-gutter: {GAP}cm, {', '.join(sides)})"
    return f"{FUNCTIONS}\n#block(width: 100%, {{ set block(spacing: 0pt); {grid}\n{arrows} }})\n"


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


def _sides(root: Part, *, fold: bool) -> list[list[int]]:
    """The children as they stand beside each other: the columns, or the two parts of one that is folded."""
    columns = _columns(root)
    groups = [number for number in columns[0] if root.children[number].children]
    kinds = {root.children[number].label for number in groups}
    if not fold or len(columns) > 1 or len(groups) < 2 or len(kinds) > 1:
        return columns
    second = groups[(len(groups) + 1) // 2]
    if any(first < second <= last for first, last in root.residuals):
        return columns
    at = columns[0].index(second)
    return [columns[0][:at], columns[0][at:]]


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
    whole: Part,
    numbers: Sequence[int],
    column: Sequence[int],
    marks: dict[int, str],
    drawn: set[tuple[int, int]],
) -> list[str]:
    """Calls that draw these children one under the other, arrows and residuals with them.

    column: all that stand under one another here; drawn: the residuals round all of `numbers`.
    """
    calls: list[str] = []
    at = 0
    while at < len(numbers):
        number, after = numbers[at], numbers[at:]
        spans = [each for each in whole.residuals if each[0] == number and each[1] in after]
        if spans := [each for each in spans if each not in drawn]:
            span = max(spans, key=lambda each: each[1])
            inside = after[: after.index(span[1]) + 1]
            body = _sequence(whole, inside, column, marks, drawn | {span})
            calls.append(f"residual({{ {'; '.join(body)} }})")
            at += len(inside)
            continue
        child = whole.children[number]
        if child.inputs:
            calls.append(_flow(whole, child.reads[0] if child.reads else -1, child.inputs[0]))
        calls.append(_drawn(child, marks, _others(whole, number, column)))
        at += 1
    return calls


def _flow(whole: Part, read: int, taken: Shape) -> str:
    """An arrow with what comes out of a part and, where a function changes it on its way, what goes in."""
    given = whole.children[read].output if read >= 0 else taken
    return _call("flow", *map(_parts, [given] if given == taken else [given, taken]))


def _others(whole: Part, number: int, column: Sequence[int]) -> str:
    """What a child reads that no arrow shows, in words."""
    child, at = whole.children[number], column.index(number)
    before = column[at - 1] if at else None
    if len(child.inputs) > 1 or before is None or not child.reads:
        return ""
    added = {each for first, last in whole.residuals if last < number for each in (first - 1, last)}
    reads = [each for each in child.reads if each >= 0 and each != before and each not in added]
    if not reads and before in child.reads:
        return ""
    names = [whole.children[each].label for each in reads] or ["what came in"]
    return f"takes {' and '.join(names)}"


def _drawn(part: Part, marks: dict[int, str], others: str) -> str:
    times = f"× {part.repeats}" if part.repeats > 1 else ""
    if part.children:
        numbers = range(len(part.children))
        body = "; ".join([*_sequence(part, numbers, numbers, marks, set()), "tail"])
        return _call(
            "group", typst_text(part.label), typst_text(times), typst_text(_counted(part)), f"{{ {body} }}"
        )
    fill = next(colour for word, colour in FILLS.items() if word in part.label)
    detail = part.detail
    # attention in somebody else's hands is given the same tensor three times
    crossed = len(part.inputs) > 1 and len(part.reads) > 1 and "attention" in part.label
    side = f"context: {shown(part.inputs[1])}" if crossed else others
    more = [f"side: {typst_text(side)}"] if side else []
    if id(part) in marks:
        more.append(f'mark: spot("{marks[id(part)]}")')
    label = f"{part.label} × {part.repeats}" if part.repeats > 1 else part.label
    return _call(
        "part", typst_text(label), typst_text(detail), typst_text(_counted(part)), f'rgb("{fill}")', *more
    )


def _counted(part: Part) -> str:
    """A part's parameters, in words where that is not a number."""
    if part.tied:
        return "shared weights"
    if not part.parameters:
        return ""
    return f"{part.repeats} × {part.parameters:,}" if part.repeats > 1 else f"{part.parameters:,}"


def _call(function: str, *arguments: str) -> str:
    return f"{function}({', '.join(arguments)})"


def _parts(shape: Shape) -> str:
    """The factors of a shape, as typst has an array of strings."""
    return f"({_tuple(typst_text(each) for each in (shown((dim,)) for dim in shape))})"


def _tuple(parts: object) -> str:
    return "".join(f"{part}, " for part in parts)  # type: ignore[attr-defined]


def typst_text(words: str, *, lines: bool = False) -> str:
    """A string as typst writes it: the escapes of JSON that it knows are the only ones that are needed.

    lines: keep what ends a line.
    """
    plain = "".join(each if each.isprintable() or (lines and each == "\n") else " " for each in words)
    return json.dumps(plain, ensure_ascii=False)
