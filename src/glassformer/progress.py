"""A progress bar around any long loop."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

Part = TypeVar("Part")


def with_progress(
    parts: Iterable[Part], size: Callable[[Part], int], total: int, doing: str, console: Console | None = None
) -> Iterator[Part]:
    """Yields `parts` and shows how much of `total` is done; `size` says how much a part is.

    The bar stands on standard error, is gone at the end, and is not there where that is no terminal.
    """
    console = console or Console(stderr=True)
    columns = TextColumn(doing), BarColumn(), TaskProgressColumn(), TimeRemainingColumn(), TextColumn("left")
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as bar:
        task = bar.add_task(doing, total=total)
        for part in parts:
            yield part
            bar.advance(task, size(part))
