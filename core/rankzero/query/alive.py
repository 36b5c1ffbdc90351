"""Whether the process behind a journal without an end still lives."""

from __future__ import annotations

import os
import socket
import time
from pathlib import Path

from rankzero.query.writer import Writer
from rankzero.ranks import process_started
from rankzero.records import Start

FRESH_SECONDS = 15.0
"""A writer on another machine counts as alive this long after its last line; it writes one every second."""

_SELF = Path("/proc/self/stat")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_DEAD = {"Z", "X", "x"}
_START = 19


def is_alive(writer: Writer, now: float | None = None) -> bool:
    """Whether the writer has not ended and its process runs here, or wrote on another machine a moment ago.

    On this machine the process table decides: a stopped process is alive, a killed one is not, and neither is another
    process that has got the same number since.
    """
    if writer.end is not None:
        return False
    start = writer.start
    if start.host == socket.gethostname() and start.boot in {"", _boot()} and start.pid and _SELF.exists():
        return _runs(start)
    seen = writer.wall(writer.latest)
    return (time.time() if now is None else now) - seen < FRESH_SECONDS


def _boot() -> str:
    """What tells this start of this machine from others, as a journal's Start has it."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _runs(start: Start) -> bool:
    """Whether the process that wrote this start exists and is no zombie."""
    try:
        stat = Path(f"/proc/{start.pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return False
    fields = stat.rpartition(")")[2].split()
    return fields[0] not in _DEAD and _is_writer(start, int(fields[_START]) / os.sysconf("SC_CLK_TCK"))


def _is_writer(start: Start, since_boot: float) -> bool:
    """Whether the process that has the writer's number, started so many seconds after the machine, is the writer.

    It is if it was there before the journal was, whatever became of the wall clock since.
    """
    if not start.pid_started or 0 < since_boot <= start.clock:
        return True
    return abs(process_started(start.pid) - start.pid_started) < 2.0  # noqa: PLR2004 - seconds; two readings of a clock
