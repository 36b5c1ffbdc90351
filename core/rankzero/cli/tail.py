"""`rankzero tail RUN`: what a run prints and logs."""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from rankzero.cli.options import Dir, Json, Rank, RunName, root

if TYPE_CHECKING:
    from rankzero.query import RunView

POLL_SECONDS = 0.5
LOOK_SECONDS = 2.0
"""How often a run that is followed is asked whether it still runs."""

Lines = Annotated[int, typer.Option("--lines", "-n", metavar="N", min=0, help="How much of what is there already.")]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the run ends.")]


def tail(
    run: RunName = "latest",
    lines: Lines = 20,
    follow: Follow = False,
    rank: Rank = None,
    as_json: Json = False,
    folder: Dir = None,
) -> None:
    """Show what a run printed and logged last.

    With -f go on until it ends.
    """
    from rankzero.query import find_run, open_run
    from rankzero.query.follow import Follower

    view = find_run(root(folder), run)
    printer = _print_json if as_json else _print
    follower = Follower(view.folder, rank=rank)
    printer(follower.poll(lines), rank)
    looked = time.monotonic()
    while follow and view.state == "running":
        time.sleep(POLL_SECONDS)
        printer(follower.poll(), rank)
        if time.monotonic() - looked >= LOOK_SECONDS:
            view, looked = open_run(view.folder), time.monotonic()
    if follow:
        printer(follower.poll(), rank)
    _last_line(view, as_json=as_json)


def _print_json(entries: list[dict[str, Any]], rank: int | None) -> None:
    from rankzero.query.strictjson import dumps

    sys.stdout.writelines(dumps(entry) + "\n" for entry in entries)
    sys.stdout.flush()


def _print(entries: list[dict[str, Any]], rank: int | None) -> None:
    """Console lines as they are, events, and of the rows the latest value of each metric."""
    from rich.text import Text

    from rankzero.cli import terminal, words

    console = terminal.console()
    latest: dict[str, Any] = {}
    step = None
    for entry in entries:
        if entry["kind"] == "console":
            prefix = "" if rank is not None or entry["rank"] == 0 else f"[{entry['rank']}] "
            console.print(Text(prefix + entry["text"]), soft_wrap=True)
        elif entry["kind"] == "event":
            console.print(Text(f"! rank {entry['rank']}: {entry['event']} {entry['message']}".rstrip(), "yellow"))
        elif rank is not None or entry["scope"] == "global":
            latest.update(entry["values"])
            step = entry["step"]
    if step is not None:
        values = "  ".join(f"{key} {words.number(value)}" for key, value in latest.items())
        console.print(Text(f"step {step}  {values}", "green"), soft_wrap=True)
    sys.stdout.flush()


def _last_line(view: RunView, *, as_json: bool) -> None:
    from rankzero.cli import terminal

    if as_json:
        _print_json([{"kind": "state", "state": view.state, "exit_code": view.exit_code}], None)
    elif view.state != "running":
        code = "" if view.exit_code is None else f", exit code {view.exit_code}"
        terminal.console().print(f"● {view.state}{code}", style=terminal.STATES[view.state])
