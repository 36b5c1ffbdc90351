"""`rankzero ls`: all runs under a root."""

from __future__ import annotations

from typing import TYPE_CHECKING

from rankzero.cli.options import Dir, Json, Project, root

if TYPE_CHECKING:
    from rankzero.query import RunView


def ls(project: Project = None, as_json: Json = False, folder: Dir = None) -> None:
    """List runs, the newest first."""
    from rankzero.cli import terminal
    from rankzero.query import all_runs, listing

    place = root(folder)
    views = all_runs(place, project, whole=as_json)
    if as_json:
        terminal.print_json([listing(view) for view in views])
    elif views:
        _print(views)
    else:
        terminal.console(stderr=True).print(f"no runs under {place}; name another folder with --dir or RANKZERO_DIR")


def _print(views: list[RunView]) -> None:
    """One line a run; only their records were read, not their metrics."""
    from rankzero.cli import terminal, words

    names = ("state", "project", "id", "name", "created", "lasted", "ranks", "attempts", "exit")
    lines = []
    for view in views:
        attempt = view.last_attempt
        lines.append(
            (
                f"● {view.state}",
                view.project,
                view.id,
                view.name,
                words.ago(view.created),
                words.duration(sum(lasted(view))),
                f"{attempt.world_size} on {attempt.nodes} nodes" if attempt.nodes > 1 else str(attempt.world_size),
                str(len(view.attempts)),
                "" if view.exit_code is None else str(view.exit_code),
            )
        )
    terminal.print_lines(names, lines, [terminal.STATES[view.state] for view in views])


def lasted(view: RunView) -> list[float]:
    """Seconds from start to end of each attempt, on the wall clock."""
    import time

    return [(time.time() if attempt.ended is None else attempt.ended) - attempt.started for attempt in view.attempts]
