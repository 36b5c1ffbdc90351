"""How the job ended, kept with a run whose rank zero could not say it, or was wrong about it.

It could not if it was killed, out of memory, or its machine's power cut. It is wrong where a `SystemExit` that is raised by hand ends
the process, of which Python lets nobody hear, or where one that it heard of was caught.
"""

from __future__ import annotations

import contextlib
import os
import socket
from typing import NamedTuple

from rankzero.launch.recorded import Found, job_journal
from rankzero.query import Attempt
from rankzero.records import AT_EXIT, UNFORESEEN, End, Start, encode
from rankzero.version import __version__

KILLED = 128
"""Added to a signal's number in an exit code, as shells do."""


class Ended(NamedTuple):
    """A command that ran: its process, and its exit status, or minus the signal that killed it."""

    pid: int
    status: int


_FORESEEN = {AT_EXIT, "sys.exit", "KeyboardInterrupt"}
"""Reasons of ends that are what the process took to be coming."""


def record_ending(run: Found, token: str, started: float, seconds: float, command: Ended) -> None:
    """Write the job's journal, two lines, if rank zero's has no end, or not the one that was.

    Its writer is no rank (`Start.rank` is -1); its `End` holds the exit code of the whole command as the shell saw it, and
    "finished", "failed" or "killed" as the command itself ended. Readers take the exit code from it and nothing else, unless its
    reason is `UNFORESEEN`: then it stands for rank zero's.

    Args:
        run: a run that this launch led.
        token: of this launch.
        started: seconds since the epoch.
        seconds: how long the command took.
        command: how it ended.
    """
    view = run.view
    attempt = next((each for each in view.attempts if each.number == run.attempt), None)
    if attempt is None:
        return
    code = command.status if command.status >= 0 else KILLED - command.status
    unforeseen = _was_unforeseen(attempt, command.pid, code)
    if attempt.zero.end is not None and not unforeseen:
        return
    start = Start(
        run=run.folder.run,
        project=run.folder.project,
        attempt=run.attempt,
        rank=-1,
        launcher="rankzero run",
        launch=token,
        wall=started,
        host=socket.gethostname(),
        pid=os.getpid(),
        version=__version__,
    )
    state = "killed" if command.status < 0 else "failed" if command.status else "finished"
    reason = UNFORESEEN if unforeseen else "the command's end, seen by rankzero run"
    end = End(t=int(seconds * 1e6), state=state, exit_code=code, reason=reason)
    with contextlib.suppress(OSError):  # a full disk, a read-only mount: the report goes on
        job_journal(run.folder, run.attempt, token).write_bytes(encode(start) + encode(end))


def _was_unforeseen(attempt: Attempt, pid: int, code: int) -> bool:
    """Whether rank zero was the command itself, and ended with another exit code than it took to be coming."""
    zero = attempt.zero
    ours = (zero.start.host, zero.start.pid) == (socket.gethostname(), pid)
    return ours and zero.end is not None and zero.end.reason in _FORESEEN and (zero.end.exit_code or 0) != code
