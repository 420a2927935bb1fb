"""The table of a comparison, as a person reads it."""

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

WIDTH = 110


def print_comparison(result: dict[str, Any], folder: Path) -> None:
    """The configurations and the baselines, best validation mean first, then the differences that count."""
    # the values in it are the user's, not markup; a file has no width to fit
    plain: dict[str, Any] = {"highlight": False, "markup": False, "emoji": False}
    console = Console(**plain)
    if not console.is_terminal:
        console = Console(**plain, width=WIDTH)
    console.print(_rows(result))
    if result["pairs"]:
        console.print(_pairs(result))
    for row in result["rows"]:
        if row["kind"] == "model" and not row["changed"]:
            own = ", ".join(f"{option}={value}" for option, value in row["settings"].items())
            console.print(f"base: {own}", soft_wrap=True)
    for note in result["notes"]:
        console.print(f"note: {note}", soft_wrap=True)
    console.print(f"repeat: {result['command']}", soft_wrap=True)
    console.print(
        f"study: {folder}; every run in TensorBoard: tensorboard --logdir {folder / 'runs'}", soft_wrap=True
    )


def _rows(result: dict[str, Any]) -> Table:
    seeds = len(result["seeds"])
    each = f"{seeds} seed{'s' * (seeds > 1)} each"
    table = Table(title=f"{result['task']}, {each}, best validation first")
    table.add_column("configuration", overflow="fold")
    headings = ("validation", "spread", "95% interval", "test", "parameters", "seconds", "seeds")
    for heading in headings:
        table.add_column(heading, justify="right")
    for row in result["rows"]:
        validation, test = row["validation"], row["test"]
        table.add_row(
            row["label"],
            _share(validation, "mean"),
            _share(validation, "spread"),
            interval_text(validation["ci95"]) if validation else "",
            _share(test, "mean"),
            "" if row["parameters"] is None else f"{row['parameters']:,}",
            "" if row["train_seconds"] is None else f"{row['train_seconds']:.0f}",
            f"{len(row['seeds'])} of {len(result['seeds'])}",
            style="" if row["kind"] == "model" else "dim",
        )
    return table


def _pairs(result: dict[str, Any]) -> Table:
    table = Table(title="is the difference more than the seeds explain? (paired t-test, Holm)")
    for heading in ("option", "difference on validation"):
        table.add_column(heading, overflow="fold")
    for heading in ("mean", "95% interval", "p, corrected"):
        table.add_column(heading, justify="right")
    table.add_column("verdict")
    for pair in result["pairs"]:
        table.add_row(
            pair["option"],
            f"{pair['first']} - {pair['second']}",
            "" if pair["difference"] is None else f"{pair['difference']:+.4f}",
            interval_text(pair["ci95"], sign=True),
            f"{pair['p_holm']:.3f}",
            pair["verdict"],
        )
    return table


def interval_text(interval: list[float] | None, *, sign: bool = False) -> str:
    """'0.8512 to 0.8634', nothing where there is none."""
    if interval is None:
        return ""
    low, high = (f"{value:+.4f}" if sign else f"{value:.4f}" for value in interval)
    return f"{low} to {high}"


def _share(part: dict[str, Any] | None, key: str) -> str:
    return "" if part is None or part[key] is None else f"{part[key]:.4f}"
