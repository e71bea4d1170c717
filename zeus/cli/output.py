"""How results are printed: tables for a person at a terminal, plain lines into a pipe, JSON for programs."""

from __future__ import annotations

import math
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
import typer

if TYPE_CHECKING:
    from rich.console import Group, RenderableType

NARROW = 60
"""Columns below which a terminal is a phone's."""
WIDE = 10_000
"""Columns in which any row has room, for measuring."""

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON, for programs.")]


def at_terminal() -> bool:
    """Whether a person reads what is printed."""
    return sys.stdout.isatty()


def print_json(value: Any) -> None:
    """One JSON document on one line."""
    sys.stdout.write(msgspec.json.encode(value).decode() + "\n")
    sys.stdout.flush()


def print_table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Rows under their headings; on a phone, where words would have to be broken, each row's cells below each other;
    into a pipe, with tabs between and nothing cut.
    """
    if not at_terminal():
        for row in [head, *rows]:
            print("\t".join(clean(cell) for cell in row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(*head, box=None, pad_edge=False, header_style="bold")
    for row in rows:
        table.add_row(*(Text(clean(cell), overflow="fold") for cell in row))
    console = Console()
    whole = console.measure(table, options=console.options.update(width=WIDE)).minimum
    console.print(table if console.width >= min(NARROW, whole) or len(head) < 3 else _stacked(head, rows))


def _stacked(head: Sequence[str], rows: Sequence[Sequence[str]]) -> Group:
    """Each row as lines of its own: what it is about, then its other cells that hold something, by their headings."""
    from rich.console import Group
    from rich.padding import Padding
    from rich.table import Table
    from rich.text import Text

    parts: list[RenderableType] = []
    for row in rows:
        parts.append(Text(clean(row[0]), style="bold", overflow="fold"))
        cells = Table(box=None, show_header=False, pad_edge=False)
        for name, cell in zip(head[1:], row[1:], strict=True):
            if cell:
                cells.add_row(name, Text(clean(cell), overflow="fold"))
        parts.append(Padding(cells, (0, 0, 0, 2)))
    return Group(*parts)


def clean(text: str) -> str:
    """A text of someone else's, in one line and without what a terminal would obey."""
    return "".join(char if char.isprintable() else " " if char in "\n\t" else "?" for char in text)


def clean_log(text: str) -> str:
    """A log for the terminal: its lines, without what a terminal would obey."""
    return "".join(char if char.isprintable() or char in "\n\t" else "?" for char in text)


def note(text: str) -> None:
    """Something for the person that is no part of the result."""
    print(text, file=sys.stderr, flush=True)


def size_text(count: int) -> str:
    """A number of bytes for people."""
    size = float(count)
    for unit in ("bytes", "KB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def duration_text(seconds: float) -> str:
    """A time for people."""
    whole = math.ceil(seconds)
    if whole < 60:
        return f"{whole} s"
    minutes, hours = whole // 60 % 60, whole // 3600
    return f"{hours}:{minutes:02}:{whole % 60:02}" if hours else f"{minutes}:{whole % 60:02}"
