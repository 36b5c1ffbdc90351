"""How the job ended, kept with a run whose rank zero could not say it: killed, out of memory, its machine's power cut."""

from __future__ import annotations

import contextlib
import os
import socket

from rankzero.launch.recorded import Found, job_journal
from rankzero.records import End, Start, encode
from rankzero.version import __version__

KILLED = 128
"""Added to a signal's number in an exit code, as shells do."""


def record_ending(run: Found, token: str, started: float, seconds: float, status: int) -> None:
    """Write the job's journal, two lines, if rank zero's has no end.

    Its writer is no rank (`Start.rank` is -1); its `End` holds the exit code of the whole command as the shell saw it, and
    "finished", "failed" or "killed" as the command itself ended. Readers take the exit code from it and nothing else.

    Args:
        run: a run that this launch led.
        token: of this launch.
        started: seconds since the epoch.
        seconds: how long the command took.
        status: its exit status, or minus the signal that killed it.
    """
    view = run.view
    attempt = next((each for each in view.attempts if each.number == run.attempt), None)
    if attempt is None or attempt.zero.end is not None:
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
    code = status if status >= 0 else KILLED - status
    state = "killed" if status < 0 else "failed" if status else "finished"
    end = End(t=int(seconds * 1e6), state=state, exit_code=code, reason="the command's end, seen by rankzero run")
    with contextlib.suppress(OSError):  # a full disk, a read-only mount: the report goes on
        job_journal(run.folder, run.attempt, token).write_bytes(encode(start) + encode(end))
