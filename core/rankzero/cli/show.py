"""`rankzero show RUN`: one run, everything worth knowing at a glance."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankzero.cli.options import Dir, Json, RunName, root

if TYPE_CHECKING:
    from rich.console import Console

    from rankzero.query import RunView


def show(run: RunName = "latest", as_json: Json = False, folder: Dir = None) -> None:
    """Show one run.

    Its state, config, curves, ranks, usage, what failed first, and where it lies.
    """
    from rankzero.cli import terminal
    from rankzero.query import details, find_run

    view = find_run(root(folder), run).load()
    if as_json:
        terminal.print_json(details(view))
    else:
        render(view, terminal.console())


def render(view: RunView, console: Console) -> None:
    """Print a run for people."""
    from rankzero.cli import curves, overview, ranks

    sections = (
        ("", overview.header),
        ("config", overview.config),
        ("curves", curves.section),
        ("summary", overview.summary),
        ("ranks", ranks.section),
        ("usage", overview.usage),
        ("first failure", overview.failure),
        ("warnings", overview.warnings),
        ("captured", overview.capture),
    )
    for title, section in sections:
        content = section(view, console.width)
        if content is None:
            continue
        if title:
            console.print()
            console.rule(f" {title} ", style="dim", align="left")
        console.print(content)
