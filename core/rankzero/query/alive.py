"""Whether the process behind a journal without an end still lives."""

from __future__ import annotations

import socket
import time
from pathlib import Path

from rankzero.query.writer import Writer

FRESH_SECONDS = 15.0
"""A writer on another machine counts as alive this long after its last line; it writes one every second."""

_SELF = Path("/proc/self/stat")
_BOOT = Path("/proc/sys/kernel/random/boot_id")
_DEAD = {"Z", "X", "x"}


def is_alive(writer: Writer, now: float | None = None) -> bool:
    """Whether the writer has not ended and its process runs here, or wrote on another machine a moment ago.

    On this machine the process table decides: a stopped process is alive, a killed one is not, and neither is another
    process that has got the same number since.
    """
    if writer.end is not None:
        return False
    start = writer.start
    if start.host == socket.gethostname() and start.boot in {"", _boot()} and start.pid and _SELF.exists():
        return _runs(start.pid, start.pid_started)
    seen = writer.wall(writer.latest)
    return (time.time() if now is None else now) - seen < FRESH_SECONDS


def _boot() -> str:
    """What tells this start of this machine from others, as a journal's Start has it."""
    try:
        return _BOOT.read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _runs(pid: int, started: float) -> bool:
    """Whether process `pid` exists, is no zombie and was started when it says."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False
    return stat.rpartition(")")[2].split()[0] not in _DEAD and (not started or _same_time(pid, started))


def _same_time(pid: int, started: float) -> bool:
    from rankzero.ranks import process_started

    return abs(process_started(pid) - started) < 2.0  # noqa: PLR2004 - seconds; clocks of two readings may differ a little
