"""The course of `rankzero run`: prepare, start, wait, report, and end like the command."""

from __future__ import annotations

import os
import sys
import time

from rankzero import settings
from rankzero.errors import RankZeroError, guard
from rankzero.launch.environment import prepare
from rankzero.launch.job import Job, end_like
from rankzero.launch.options import parse, usage
from rankzero.launch.program import cannot_start

BAD_USAGE = 2


def main(argv: list[str]) -> int:
    """See `rankzero.launch.main`."""
    try:
        asked = parse(argv)
        if asked.help:
            sys.stdout.write(usage())
            return 0
        environ = prepare(os.environ, asked.variables)
        chosen = settings.read(environ)
    except RankZeroError as error:
        _say(str(error))
        return BAD_USAGE
    started, clock = time.time(), time.monotonic()
    try:
        job = Job(asked.command, environ)
    except OSError as error:
        sentence, status = cannot_start(asked.command, error)
        _say(sentence)
        return status
    status = job.wait()
    job.let_go(status)
    if chosen.mode != "disabled":
        with guard("the report of `rankzero run`"):
            from rankzero.launch.ending import Ended
            from rankzero.launch.report import Launch, report

            ended = Ended(job.pid, status)
            report(Launch(asked.command, chosen, started, time.monotonic() - clock, ended, asked.json))
    return end_like(status)


def _say(sentence: str) -> None:
    if sys.stderr is not None:
        sys.stderr.write(f"rankzero: {sentence}\n")
