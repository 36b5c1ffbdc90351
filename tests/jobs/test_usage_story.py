"""The hours of a job with a hard life, end to end with real processes."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import psutil
import pytest
from tests.jobs.conftest import SCRIPTS, Jobs
from tests.launchers.commands import torchrun
from tests.waiting import until

from rankzero.journal.reader import read_records
from rankzero.records import Start

pytestmark = pytest.mark.slow


class _Attempt:
    """Four ranks of the run "story", and the seconds that each of them was alive."""

    def __init__(self, jobs: Jobs, number: int) -> None:
        command = [*torchrun("--nproc-per-node=4"), str(SCRIPTS / "by_hand.py"), "--steps", "100000", "--pause", "0.1"]
        self.process = jobs.start(command, environ={"RANKZERO_RUN_ID": "story"})
        until("four ranks", lambda: len(_starts(jobs, number)) == 4)
        self._everyone = [psutil.Process(self.process.pid), *psutil.Process(self.process.pid).children(recursive=True)]
        self._woke = _starts(jobs, number)
        self.alive = [0.0] * 4

    def stop(self, signum: int) -> None:
        """End or suspend all of them."""
        now = time.time()
        self._send(signum)
        self.alive = [seconds + now - woke for seconds, woke in zip(self.alive, self._woke, strict=True)]

    def go_on(self) -> None:
        """Let them go on after SIGSTOP."""
        self._send(signal.SIGCONT)
        self._woke = [time.time()] * 4

    def _send(self, signum: int) -> None:
        """To all that are still there: git, asked for facts, may have been among them for a moment."""
        for one in self._everyone:
            with suppress(psutil.NoSuchProcess):
                one.send_signal(signum)


def _starts(jobs: Jobs, number: int) -> list[float]:
    """When the ranks of an attempt began to be recorded, in seconds since the epoch."""
    found = [read_records(path)[0] for path in jobs.journals() if path.name.startswith(f"000{number}-")]
    return [record.wall for records in found for record in records if isinstance(record, Start)]


@contextmanager
def _attempt(jobs: Jobs, number: int) -> Iterator[_Attempt]:
    """An attempt from its ranks' first lines on, killed with SIGKILL in the end."""
    attempt = _Attempt(jobs, number)
    yield attempt
    attempt.stop(signal.SIGKILL)
    attempt.process.communicate(timeout=30)


@pytest.mark.timeout(300)
def test_every_second_is_counted_once(jobs: Jobs) -> None:
    """20 s, kill -9, 30 s of nothing, 15 s, 40 s stopped, 10 s: 45 s of wall time, four times that of processes.

    And what the ranks took to come together, which is more on a busy machine.
    """
    with _attempt(jobs, 1) as first:
        time.sleep(20)
    time.sleep(30)
    with _attempt(jobs, 2) as second:
        time.sleep(15)
        second.stop(signal.SIGSTOP)
        time.sleep(40)
        second.go_on()
        time.sleep(10)
    run = jobs.only()
    usage = run["usage"]
    assert usage["wall_s"] == pytest.approx(max(first.alive) + max(second.alive), abs=1.5)
    assert usage["tracked_s"] == usage["wall_s"]
    assert usage["process_s"] == pytest.approx(sum(first.alive) + sum(second.alive), abs=4)
    assert sum(usage["phases"].values()) == pytest.approx(usage["wall_s"], abs=1e-6)
    assert usage["device_s"] == 0
    assert usage["phases"]["redone"] > 5
    assert (run["attempts"], run["world_size"]) == (2, 4)
