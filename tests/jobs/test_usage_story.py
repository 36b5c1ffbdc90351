"""The hours of a job with a hard life, end to end with real processes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import pytest
from tests.jobs.conftest import SCRIPTS, Jobs
from tests.launchers.commands import torchrun
from tests.waiting import until

pytestmark = pytest.mark.slow


@contextmanager
def _attempt(jobs: Jobs, number: int) -> Iterator[list[psutil.Process]]:
    """Four ranks of the run "story" from their first line on, killed with SIGKILL in the end."""
    command = [*torchrun("--nproc-per-node=4"), str(SCRIPTS / "by_hand.py"), "--steps", "100000", "--pause", "0.1"]
    process = jobs.start(command, environ={"RANKZERO_RUN_ID": "story"})
    until("four ranks", lambda: len([path for path in jobs.journals() if path.name.startswith(f"000{number}-")]) == 4)
    everyone = [psutil.Process(process.pid), *psutil.Process(process.pid).children(recursive=True)]
    try:
        yield everyone
    finally:
        _send(everyone, signal.SIGKILL)
        process.communicate(timeout=30)


def _send(everyone: list[psutil.Process], signum: int) -> None:
    for one in everyone:
        one.send_signal(signum)


@pytest.mark.timeout(300)
def test_every_second_is_counted_once(jobs: Jobs) -> None:
    """20 s, kill -9, 30 s of nothing, 15 s, 40 s stopped, 10 s: 45 s of wall time, four times that of processes."""
    with _attempt(jobs, 1):
        time.sleep(20)
    time.sleep(30)
    with _attempt(jobs, 2) as everyone:
        time.sleep(15)
        _send(everyone, signal.SIGSTOP)
        time.sleep(40)
        _send(everyone, signal.SIGCONT)
        time.sleep(10)
    run = jobs.only()
    usage = run["usage"]
    assert usage["wall_s"] == pytest.approx(45, abs=1.5)
    assert usage["tracked_s"] == usage["wall_s"]
    assert usage["process_s"] == pytest.approx(4 * usage["wall_s"], abs=4)
    assert sum(usage["phases"].values()) == pytest.approx(usage["wall_s"], abs=1e-6)
    assert usage["device_s"] == 0
    assert usage["phases"]["redone"] > 5
    assert (run["attempts"], run["world_size"]) == (2, 4)
