"""What `rankzero run` says at the end: the runs, where they lie, what was captured of them, what was not, and why."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass

from rankzero import ranks
from rankzero.launch.ending import Ended, record_ending
from rankzero.launch.program import out_of_reach
from rankzero.launch.recorded import Found, find
from rankzero.query import RunView, details, open_run
from rankzero.query.strictjson import dumps
from rankzero.records import Capture
from rankzero.settings import Settings

IN_FULL = 3
"""So many runs are reported in full, more by one line each."""

MINUTE, HOUR = 60, 3600

WIDEST = 200
"""Characters of an error's line."""

_QUOTED = "Traceback (most recent call last):"


@dataclass(frozen=True, slots=True)
class Launch:
    """One `rankzero run` whose command has ended.

    Attributes:
        command: what was run.
        settings: those of the job.
        started: seconds since the epoch.
        seconds: how long the command took.
        ended: how it ended.
        json: whether the runs are wanted as JSON instead of the report.
    """

    command: list[str]
    settings: Settings
    started: float
    seconds: float
    ended: Ended
    json: bool = False


def report(launch: Launch) -> None:
    """Complete the runs with how the job ended, and print the report to stderr unless quiet, or the runs as JSON."""
    token = launch.settings.launch
    found = find(launch.settings.root, token, launch.started)
    led = [run for run in found if run.is_led_by(token)]
    for run in led:
        record_ending(run, token, launch.started, launch.seconds, launch.ended)
    try:
        if launch.json:
            sys.stdout.write(dumps([details(open_run(run.view.folder)) for run in led]) + "\n")
            sys.stdout.flush()
            return
        if launch.settings.quiet or sys.stderr is None:
            return
        sys.stderr.writelines(f"{line}\n" for line in _lines(launch, found, led))
        sys.stderr.flush()
    except OSError:  # the terminal is gone
        return


def _lines(launch: Launch, found: list[Found], led: list[Found]) -> Iterator[str]:
    if not found:
        if ranks.current().is_zero:
            yield f"rankzero: nothing was recorded: {_why(launch)}"
        return
    if len(led) > IN_FULL:
        for run in led:
            yield f"rankzero: {_headline(run.view)}"
        yield "  see       rankzero ls"
        return
    for run in led:
        yield from _in_full(run)


def _in_full(run: Found) -> Iterator[str]:
    view = run.view
    yield f"rankzero: {_headline(view)}"
    yield f"  in        {view.folder.path}"
    failure = view.first_failure
    if failure is not None:
        what = f"{failure.type}: {failure.message}" if failure.type else failure.message
        yield f"  failed    rank {failure.rank} on {failure.host}: {_in_a_line(what)}"
    outcomes = run.captures()
    if outcomes.get("recorded"):
        yield f"  recorded  {', '.join(_names(outcomes['recorded']))}"
    for line in outcomes.get("seen", []):
        yield f"  not       {line.what}, seen by {line.by}{_because(line)}"
    for line in outcomes.get("off", []):
        yield f"  off       {line.what}{_because(line)}"
    yield f"  see       rankzero show {view.id}"


def _in_a_line(error: str) -> str:
    """The first line; of an error that quotes another one's traceback, what that one says as well."""
    first, *rest = error.splitlines()
    first = first.removesuffix(_QUOTED).rstrip()[:WIDEST]
    said = [line for line in rest if line.strip()] if _QUOTED in error else []
    return f"{first} {said[-1][:WIDEST]}" if said else first


def _headline(view: RunView) -> str:
    attempt = view.last_attempt
    size = f", {attempt.world_size} ranks" if attempt.world_size > 1 else ""
    nodes = f" on {attempt.nodes} nodes" if attempt.nodes > 1 else ""
    again = f", attempt {attempt.number}" if attempt.number > 1 else ""
    name = view.id if view.name == view.id else f"{view.name} ({view.id})"
    took = "" if attempt.ended is None else f" after {duration(attempt.ended - attempt.started)}"
    return f"{name} {attempt.state}{took}{size}{nodes}{again}"


def duration(seconds: float) -> str:
    """A duration for people: 4.2 s, 3 min 20 s, 5 h 7 min."""
    whole = round(seconds)
    if whole < MINUTE:
        return f"{seconds:.1f} s"
    if whole < HOUR:
        return f"{whole // MINUTE} min {whole % MINUTE} s"
    return f"{whole // HOUR} h {whole % HOUR // MINUTE} min"


def _names(lines: list[Capture]) -> list[str]:
    return list(dict.fromkeys(line.what for line in lines))


def _because(line: Capture) -> str:
    return f": {line.why}" if line.why else ""


def _why(launch: Launch) -> str:
    reason = out_of_reach(launch.command)
    if reason:
        return reason
    frameworks = [entry.partition("=")[0] for entry in launch.settings.activate.split(",") if entry]
    if not frameworks:
        return "no integration is installed; for PyTorch, `pip install 'rankzero[pytorch]'`"
    trained = f"took a training step with {' or '.join(frameworks)}"
    return f"no Python process that has rankzero installed {trained} or called rankzero.init()"
