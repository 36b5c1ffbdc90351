"""How an attempt ended: what happened first, among all its ranks, decides.

A rank that fails takes the others with it: the launcher terminates them, their collectives lose a peer. So the earliest cause
counts, with two corrections. A process that dies without a word (SIGKILL, out of memory, a lost node) is last heard of at its last
heartbeat, up to a second before its death; an error within that second came first. And an error that only says that a peer
is gone is the echo of such a death.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from rankzero.query.writer import Writer
from rankzero.records import End, Event

SILENCE = 1.5
"""Seconds that may pass between a process's last line and its death."""

_ECHO = re.compile(
    r"connection (was )?(closed|reset|refused|aborted)|broken pipe|remote process exited|peer|socket|watchdog|"
    r"process group.*(abort|terminat)|nccl (error|timeout)|gloo",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Cause:
    """Something that ends an attempt: `state` is what it makes of it, `time` when it was seen, seconds since the epoch."""

    state: str
    time: float
    writer: Writer
    event: Event | None = None

    @property
    def is_echo(self) -> bool:
        """Whether this error only says that another process is gone."""
        return self.event is not None and _ECHO.search(self.event.message) is not None


def first_cause(writers: Sequence[Writer]) -> Cause | None:
    """What ended an attempt none of whose writers is alive, or None if it finished."""
    causes = sorted(
        (cause for writer in writers for cause in _causes(writer)), key=lambda cause: (cause.time, cause.writer.rank)
    )
    death = _first(causes, "crashed")
    signal = _first(causes, "preempted", "killed")
    errors = [cause for cause in causes if cause.state == "failed"]
    error = next((cause for cause in errors if not cause.is_echo), None)
    if death is None and error is None and errors:
        error = errors[0]
    if (
        error is not None
        and (death is None or error.time <= death.time + SILENCE)
        and (signal is None or error.time <= signal.time)
    ):
        return error
    if death is not None and (signal is None or death.time <= signal.time):
        return death
    if signal is not None:
        return next((c for c in causes if c.state in {"preempted", "killed"} and c.writer.rank == 0), signal)
    return error or death


def unforeseen_cause(end: End, zero: Writer) -> Cause:
    """What ended an attempt whose rank zero took it for finished."""
    return Cause("failed" if end.state == "failed" else "crashed", zero.wall(zero.last), zero)


def _first(causes: Sequence[Cause], *states: str) -> Cause | None:
    return next((cause for cause in causes if cause.state in states), None)


def _causes(writer: Writer) -> list[Cause]:
    """Everything in one journal that ends an attempt."""
    found = [
        Cause("failed", writer.wall(event.t), writer, event) for event in writer.of(Event) if event.event == "exception"
    ]
    end = writer.end
    if end is None:
        found.append(Cause("crashed", writer.wall(writer.latest), writer))
    elif end.state in {"preempted", "killed"}:
        found.append(Cause(end.state, _signal_time(writer), writer))
    elif (end.state == "failed" or end.exit_code) and not found:
        found.append(Cause("failed", writer.wall(end.t), writer))
    return found


def _signal_time(writer: Writer) -> float:
    """When the signal that ended this writer came: its own event where there is one, else the end."""
    end = writer.end
    reason = end.reason if end is not None else ""
    times = [
        event.t
        for event in writer.of(Event)
        if event.event == "signal" and reason in {event.message, event.data.get("type")}
    ]
    return writer.wall(times[0] if times else writer.last)
