"""Where the command writes: tables and colours to a terminal, plain text elsewhere, JSON when asked for."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

PLAIN_WIDTH = 110
"""Characters of a line where the output is no terminal and COLUMNS is not set."""

STATES = {
    "running": "cyan",
    "finished": "green",
    "failed": "red",
    "crashed": "red",
    "killed": "yellow",
    "preempted": "yellow",
}


def console(*, stderr: bool = False) -> Console:
    """What people read is printed through this; without colour where there is no terminal or NO_COLOR is set."""
    import os

    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else PLAIN_WIDTH
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False, emoji=False, markup=False)


def table(*columns: str, numbers: tuple[str, ...] = ()) -> Table:
    """An empty table with these columns; those in `numbers` are set right."""
    from rich import box
    from rich.table import Table

    made = Table(box=box.SIMPLE_HEAD, pad_edge=False, header_style="bold", show_edge=False)
    for name in columns:
        made.add_column(name, justify="right" if name in numbers else "left", overflow="fold")
    return made


def flow(parts: Sequence[Text], width: int, indent: int = 2) -> list[Text]:
    """Parts one after another on as many lines as they need, none of them broken."""
    from rich.text import Text

    lines: list[Text] = []
    for part in parts:
        if not lines or lines[-1].cell_len + len(part.plain.rstrip()) > width:
            lines.append(Text(" " * indent))
        lines[-1].append_text(part)
    return lines


def print_lines(names: Sequence[str], rows: Sequence[Sequence[str]], colours: Sequence[str]) -> None:
    """Print a table of one line a row, the first cell in the row's colour; made for thousands of rows."""
    from rich.cells import cell_len
    from rich.text import Text

    widths = [max(map(cell_len, column)) for column in zip(names, *rows, strict=True)]

    def padded(cells: Sequence[str]) -> list[str]:
        return [cell + " " * (width - cell_len(cell)) for cell, width in zip(cells, widths, strict=True)]

    printer = console()
    printer.print(Text("   ".join(padded(names)).rstrip(), "bold", no_wrap=True, overflow="ellipsis"))
    for row, colour in zip(rows, colours, strict=True):
        first, *rest = padded(row)
        text = Text(no_wrap=True, overflow="ellipsis").append(first, colour).append("   " + "   ".join(rest).rstrip())
        printer.print(text)


def print_json(document: Any) -> None:
    """Print a document as strict JSON."""
    from rankzero.query.strictjson import dumps

    sys.stdout.write(dumps(document, indent=True) + "\n")
