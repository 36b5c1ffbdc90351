"""Commands that tests start and wait for; one that does not come to its end says where its processes stand."""

from __future__ import annotations

import contextlib
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

import psutil

DUMPING = 3.0
"""Seconds that stuck processes have to write their stacks."""


def ended(
    command: Sequence[str], *, environ: Mapping[str, str], cwd: Path | None = None, timeout: float = 200.0
) -> subprocess.CompletedProcess[str]:
    """Run a command to its end and return what it printed.

    Raises:
        AssertionError: it was not over in time. The message has the stacks of the processes that rankzero records, below `cwd`.
    """
    pipe = subprocess.PIPE
    with subprocess.Popen(command, cwd=cwd, env=environ, stdout=pipe, stderr=pipe, text=True) as process:
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            told = _stop(process)
            out, err = process.communicate()
            stacks = [path.read_text() for path in sorted((cwd or Path()).rglob("stacks/*.txt"))]
            late = f"{' '.join(command)} was not over after {timeout:.0f} s"
            raise AssertionError("\n".join([late, *told, *stacks, out, err])) from None
    return subprocess.CompletedProcess(command, process.returncode, out, err)


def kill_tree(process: subprocess.Popen[str]) -> None:
    """Kill a process and everything below it."""
    top = psutil.Process(process.pid)
    for one in [*top.children(recursive=True), top]:
        with contextlib.suppress(psutil.NoSuchProcess):
            one.kill()


def _stop(process: subprocess.Popen[str]) -> list[str]:
    """End a command and everything below it, on a signal on which rankzero writes down stacks; what there was to end."""
    everyone = psutil.Process(process.pid).children(recursive=True)
    told = [str(one.as_dict(["pid", "status", "cmdline"])) for one in everyone if one.is_running()]
    for number in (signal.SIGABRT, signal.SIGKILL):
        for one in everyone:
            with contextlib.suppress(psutil.NoSuchProcess):
                one.send_signal(number)
        psutil.wait_procs(everyone, timeout=DUMPING)
    process.kill()
    return told
