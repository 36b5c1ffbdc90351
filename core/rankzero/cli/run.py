"""`rankzero run`: all of its arguments belong to `rankzero.launch`."""

from __future__ import annotations

import typer


def run(context: typer.Context) -> None:
    """Run a command and record what it trains.

    `rankzero run --help` lists the options.
    """
    from rankzero.launch import main

    raise typer.Exit(main(context.args))
