import io

from rich.console import Console

from glassformer.progress import with_progress


def shown(*, terminal: bool) -> tuple[list[str], str]:
    console = Console(file=io.StringIO(), force_terminal=terminal, width=80)
    parts = list(with_progress(["ab", "cd", "e"], len, 5, "reading", console))
    return parts, console.file.getvalue()  # type: ignore[attr-defined]


def test_the_parts_pass_through_and_the_bar_ends_full() -> None:
    parts, written = shown(terminal=True)
    assert parts == ["ab", "cd", "e"]
    assert "reading" in written
    assert "100%" in written


def test_no_bar_where_the_output_is_no_terminal() -> None:
    assert shown(terminal=False) == (["ab", "cd", "e"], "")
