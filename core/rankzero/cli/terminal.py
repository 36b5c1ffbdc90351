"""Where the command writes: tables and colours to a terminal, plain text elsewhere, JSON when asked for."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console
    from rich.table import Table

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


def print_json(document: Any) -> None:
    """Print a document as strict JSON."""
    from rankzero.query.strictjson import dumps

    sys.stdout.write(dumps(document, indent=True) + "\n")
