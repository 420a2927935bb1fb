"""The sections of a paper that are about a comparison. Every figure is read from its comparison.json."""

from collections.abc import Mapping
from typing import Any

from glassformer.experiments.comparison_table import interval_text
from glassformer.reports.comparison_figures import baseline_is_near, draw_effects
from glassformer.reports.page import as_bytes
from glassformer.reports.paper.document import Block, Bullets, Code, Figure, Table, said

ROWS_SHOWN, PAIRS_SHOWN = 14, 12


def plan_blocks(result: Mapping[str, Any]) -> list[Block]:
    """What was varied, and how often."""
    models = [row for row in result["rows"] if row["kind"] == "model"]
    options: dict[str, list[str]] = {}
    for row in models:
        for option, value in row["settings"].items():
            if value not in options.setdefault(option, []):
                options[option].append(value)
    base = next((row for row in models if not row["changed"]), None)
    grid = any(len(row["changed"]) > 1 for row in models)
    how = "every combination is one" if grid else "one option at a time differs from the base"
    pieces: list[str | Code] = [
        f"Planned: {len(models)} configurations, {len(result['seeds'])} "
        f"seed{'s' * (len(result['seeds']) != 1)} each; {how}. Varied: "
    ]
    for number, (option, values) in enumerate(options.items()):
        ordered = sorted(values, key=lambda value: base is not None and value != base["settings"][option])
        pieces += ["; " * bool(number), Code(option), f" {', '.join(ordered)}"]
    pieces.append(
        f"{' (the base has the first of each)' if base else ''}. What follows on one run is about the best "
        "configuration by validation, at its first seed."
    )
    return [said(*pieces), Bullets(tuple(said(_sentence(note)) for note in result["notes"]))]


def _sentence(note: str) -> str:
    return f"{note[:1].upper()}{note[1:]}."


def rows_table(result: Mapping[str, Any]) -> Table:
    """The configurations and the baselines, best validation mean first."""
    shown = result["rows"][:ROWS_SHOWN]
    share = lambda part, key: "" if part is None or part[key] is None else f"{part[key]:.4f}"  # noqa: E731
    cells = tuple(
        (
            row["label"],
            share(row["validation"], "mean"),
            share(row["validation"], "spread"),
            interval_text(row["validation"]["ci95"]) if row["validation"] else "",
            share(row["test"], "mean"),
            "" if row["parameters"] is None else f"{row['parameters']:,}",
            "" if row["train_seconds"] is None else f"{row['train_seconds']:,.0f}",
            str(len(row["seeds"])),
        )
        for row in shown
    )
    caption = (
        "Configurations and baselines, best mean validation accuracy first; spread is the standard deviation "
        "over seeds, the interval that of the mean (Student's t; a spread below one example's share counts "
        "as that)."
    )
    if len(shown) < len(result["rows"]):
        caption += f" The first {len(shown)} of {len(result['rows'])} rows; comparison.json has all."
    strong = tuple(number for number, row in enumerate(shown) if row["kind"] == "model")
    headings = (
        "configuration",
        "validation",
        "spread",
        "95% interval",
        "test",
        "parameters",
        "seconds",
        "seeds",
    )
    return Table(headings, cells, caption, wide=0, strong=strong[:1])


def pairs_table(result: Mapping[str, Any]) -> list[Block]:
    """Which differences are more than the seeds explain, the plainest first."""
    pairs = sorted(result["pairs"], key=lambda pair: pair["p_holm"])
    if not pairs:
        return []
    shown = pairs[:PAIRS_SHOWN]
    cells = tuple(
        (
            pair["option"],
            f"{pair['first']} - {pair['second']}",
            "" if pair["difference"] is None else f"{pair['difference']:+.4f}",
            interval_text(pair["ci95"], sign=True),
            f"{pair['p_holm']:.3f}",
            pair["verdict"],
        )
        for pair in shown
    )
    caption = (
        "Is the difference on validation more than the seeds explain? Paired t-tests, Holm's correction."
    )
    if len(shown) < len(pairs):
        caption += f" The {len(shown)} plainest of {len(pairs)}."
    headings = ("option", "difference", "mean", "95% interval", "p, corrected", "verdict")
    return [Table(headings, cells, caption, left=(0, 1, 5))]


def effects_figure(result: Mapping[str, Any]) -> list[Block]:
    """One panel an option, of those that have a finished run."""
    if not any(row["kind"] == "model" and row["validation"] for row in result["rows"]):
        return []
    figure = draw_effects(result, caption=None, across=3, panel=1.3, height=1.6)
    grid = any(len(row["changed"]) > 1 for row in result["rows"])
    each = "a mean over all configurations with this value" if grid else "one training each"
    caption = (
        f"Validation accuracy by option. Small marks: the seeds, {each}. Large marks and bars: their mean "
        "and its 95% interval over seeds. "
        + "Dashed: the best baseline. " * baseline_is_near(result)
        + "The axes need not begin at zero."
    )
    alt = "effect of each option that was varied"
    return [Figure(lambda kind: as_bytes(figure, kind), caption, alt=alt, height=17.0)]
