"""kill -9 at any moment: what was logged more than a quarter of a second before is there, without a gap."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

KEPT = 0.25
"""Seconds before its death of which a killed process may lose what it logged."""

TRAIN = """
import sys, time
import rankzero
run = rankzero.init(settings={"code": False, "packages": False})
step = 0
while True:
    run.log({"x": step, "y": 0.5})
    sys.stdout.write(f"{step} {time.monotonic()}\\n")
    step += 1
    time.sleep(0.001)
"""

BURST = """
import sys, time
import rankzero
run = rankzero.init(settings={"code": False, "packages": False})
step = 0
while True:
    for _ in range(200):
        run.log({"x": step, "y": 0.5})
        step += 1
    sys.stdout.write(f"{step - 1} {time.monotonic()}\\n")
    time.sleep(0.002)
"""


class Lateness:
    """How late this machine is: the longest that a thread which wanted to sleep 10 ms was away."""

    def __init__(self) -> None:
        self.worst = 0.0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._tick)
        self._thread.start()

    def stop(self) -> None:
        """Stop measuring."""
        self._stop.set()
        self._thread.join()

    def _tick(self) -> None:
        while not self._stop.is_set():
            begun = time.monotonic()
            time.sleep(0.01)
            self.worst = max(self.worst, time.monotonic() - begun - 0.01)


@pytest.fixture
def lateness() -> Iterator[Lateness]:
    """Measured while the test runs."""
    found = Lateness()
    yield found
    found.stop()


@pytest.mark.slow
@pytest.mark.parametrize(("code", "kills"), [(TRAIN, 30), (BURST, 20)], ids=["a-row-a-millisecond", "bursts"])
def test_kill_nine_at_random_moments(root: Any, lateness: Lateness, code: str, kills: int) -> None:
    """However it is cut down, the journal holds every row from the first to at most 250 ms before the end."""
    chance = random.Random(code)
    for batch in range(0, kills, 5):
        started = [root.start(code, env={"RANKZERO_RUN_ID": f"run{batch + index}"}) for index in range(5)]
        for process in started:
            process.stdout.readline()
        killed: dict[str, tuple[float, str]] = {}
        for index, process in enumerate(started):
            time.sleep(chance.uniform(0.0, 0.25))
            moment = time.monotonic()
            process.kill()
            killed[f"run{batch + index}"] = moment, process.communicate(timeout=60)[0]
        for run, (moment, out) in killed.items():
            logged = [(int(step), float(when)) for step, when in (line.split() for line in out.splitlines()[:-1])]
            due = [step for step, when in logged if when < moment - KEPT - 2 * lateness.worst]
            kept = _steps(root, run)
            assert kept == list(range(len(kept)))
            assert len(kept) > max(due, default=-1), (run, moment, logged[-1], lateness.worst)


def _steps(root: Any, run: str) -> list[int]:
    folder = root.path / "default" / run / "journal"
    return root.read(folder / "0001-r0.jsonl").steps if folder.exists() else []
