"""What this machine tells about its processes: from /proc where there is one, else from psutil."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

_PPID, _START = 1, 19
_GENERATIONS = 8


def process_started(pid: int) -> float:
    """When a process was started, in seconds since the epoch; 0.0 if that cannot be known."""
    stat = _stat(pid)
    if stat is None:
        return float(_ask_psutil(pid, "create_time") or 0.0)
    boot = next((line.split()[1] for line in _read("/proc/stat").splitlines() if line.startswith("btime ")), "")
    return int(boot) + int(stat[_START]) / os.sysconf("SC_CLK_TCK") if boot else 0.0


def identity(pid: int) -> tuple[str, ...]:
    """What no other process has, now or later: the host and its boot, the process id and its start."""
    stat = _stat(pid)
    started = stat[_START] if stat else repr(_ask_psutil(pid, "create_time"))
    return (*machine(), str(pid), started)


def machine() -> tuple[str, str]:
    """The host's name and the identity of its boot (empty if the system has none)."""
    name = os.uname().nodename if hasattr(os, "uname") else os.environ.get("COMPUTERNAME", "")
    return name, _read("/proc/sys/kernel/random/boot_id").strip()


def parent(pid: int) -> int:
    """The process id of the parent; 0 if there is none to be seen."""
    stat = _stat(pid)
    return int(stat[_PPID]) if stat else int(_ask_psutil(pid, "ppid") or 0)


def command(pid: int) -> tuple[str, ...]:
    """The command line of a process; empty if it cannot be seen."""
    if _stat(pid) is None:
        return tuple(_ask_psutil(pid, "cmdline") or ())
    return tuple(_read(f"/proc/{pid}/cmdline").split("\0")[:-1])


def ancestor(pid: int, markers: Sequence[str]) -> int:
    """The nearest ancestor with a word in its command line that ends in one of the markers; 0 if there is none."""
    for _ in range(_GENERATIONS):
        pid = parent(pid)
        if pid <= 1:
            return 0
        words = command(pid)
        if any(word.endswith(marker) for word in words for marker in markers):
            return pid
    return 0


def _stat(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat behind the process's name, or None without /proc or without the process."""
    fields = _read(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return fields if len(fields) > _START else None


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:  # noqa: PTH123 - pathlib is slow to import
            return file.read()
    except OSError:
        return ""


def _ask_psutil(pid: int, what: str) -> Any:
    import psutil

    try:
        return getattr(psutil.Process(pid), what)()
    except (psutil.Error, ValueError):
        return None
