"""The end of a process: never later than two seconds, nobody of ours outlives it; suspended processes go on."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from tests.waiting import until

from rankzero import records
from rankzero.query import open_run

SLACK = 3.0
"""Seconds that a busy machine may take to end a program, beyond the two that finish() may wait."""

TRAIN = """
import atexit, os, sys, time
import rankzero
atexit.register(lambda: print("left", time.monotonic(), flush=True))  # after rankzero has
{setup}
run = rankzero.init(id="mine")
run.log({{"x": 0}})
run.flush()
print("ready", flush=True)
slowest = 0.0
for line in sys.stdin:
    for step in range(int(line)):
        begun = time.perf_counter()
        run.log({{"x": 1, "y": 2.0}})
        slowest = max(slowest, time.perf_counter() - begun)
        time.sleep(0.0005)
    print("done", slowest, flush=True)
{last}
"""


class _Training:
    def __init__(
        self, root: Any, *, setup: str = "", last: str = "sys.exit(3)", env: dict[str, str] | None = None
    ) -> None:
        self.process = root.start(TRAIN.format(setup=setup, last=last), env=env)
        assert self.process.stdout.readline() == "ready\n", self.process.stderr.read()

    def train(self, rows: int) -> float:
        """Log rows; the slowest call of log()."""
        self.process.stdin.write(f"{rows}\n")
        self.process.stdin.flush()
        return float(self.process.stdout.readline().split()[1])

    def end(self) -> tuple[int, float]:
        """Let it end: its exit code and the seconds that took, without those in which Python itself ends after its exit handlers."""
        begun = time.monotonic()
        out, _ = self.process.communicate(timeout=60)
        left = [float(line.split()[1]) for line in out.splitlines() if line.startswith("left ")]
        return self.process.returncode, (left[0] if left else time.monotonic()) - begun


def _journal(root: Any) -> Path:
    (path,) = root.path.glob("default/mine/journal/*.jsonl")
    return Path(path)


@pytest.mark.parametrize("last", ["sys.exit(3)", "os._exit(3)"])
@pytest.mark.parametrize("blocked", ["open", "write"])
def test_a_file_system_that_hangs(root: Any, blocked: str, last: str) -> None:
    """A journal that cannot be opened or written, without ever an error: log() never waits, and the end comes in time."""
    training = _Training(root, last=last)
    path = _journal(root)
    until("rows", lambda: root.read(path).rows)
    path.unlink()
    os.mkfifo(path)
    reader = os.open(path, os.O_RDONLY | os.O_NONBLOCK) if blocked == "write" else -1
    slowest = training.train(4000)
    code, seconds = training.end()
    if reader >= 0:
        os.close(reader)
    assert code == 3
    assert 1.0 < seconds < 2.0 + SLACK
    assert slowest < 1.0


HANGING = '#!/bin/sh\necho $$ >> "$PIDS"\nsleep 60 & wait\n'


@pytest.mark.parametrize("last", ["sys.exit(3)", "os._exit(3)", "raise ValueError"])
def test_a_git_that_hangs(root: Any, tmp_path: Path, last: str) -> None:
    """The end does not wait for it, everything else is written, and git and its children are gone."""
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "git").write_text(HANGING)
    (tools / "git").chmod(0o755)
    pids = tmp_path / "pids"
    env = {"PATH": f"{tools}{os.pathsep}{os.environ['PATH']}", "PIDS": str(pids)}
    training = _Training(root, last=last, env=env)
    until("git", pids.exists)
    code, seconds = training.end()
    assert code == (1 if "raise" in last else 3)
    assert seconds < 2.0 + SLACK
    assert root.only.only(records.End).exit_code == code
    groups = [int(pid) for pid in pids.read_text().split()]
    until("the end of git", lambda: not any(map(_lives, groups)))


def test_a_git_that_hung_is_asked_again(root: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By the next run of the same process."""
    tools, pids = tmp_path / "bin", tmp_path / "pids"
    tools.mkdir()
    (tools / "git").write_text(HANGING)
    (tools / "git").chmod(0o755)
    subprocess.run(["git", "init", "-q", str(tmp_path)], check=True)
    monkeypatch.chdir(tmp_path)
    with monkeypatch.context() as hanging:
        hanging.setenv("PATH", str(tools), prepend=os.pathsep)
        hanging.setenv("PIDS", str(pids))
        first = root.init()
        first.log({"x": 0})
        until("git", pids.exists)
        first.finish()
    second = root.init()
    until("the environment", lambda: root.of(second)[0].of(records.Environment))
    second.finish()
    assert root.of(second)[0].only(records.Environment).values["git"]["dirty"] is False


def _lives(group: int) -> bool:
    try:
        os.killpg(group, 0)
    except ProcessLookupError:
        return False
    return True


NEVER = """
class Never:
    def ready(self): return False
    def value(self): time.sleep(600)
"""


def test_a_device_that_hangs(root: Any) -> None:
    """Values that never arrive hold back neither the end nor anything else."""
    training = _Training(root, setup=NEVER, last="run.log({'stuck': Never(), 'x': 2})\nsys.exit(3)")
    code, seconds = training.end()
    assert code == 3
    assert seconds < 2.0 + SLACK
    assert root.only.curve("x") == [(0, 0), (1, 2)]
    assert root.only.only(records.End).exit_code == 3


def test_hundreds_of_values_that_hang(root: Any) -> None:
    """Even where the writer had to wait for one of them the process ends in time."""
    training = _Training(
        root, setup=NEVER, last="for _ in range(300): run.log({'stuck': Never()})\ntime.sleep(0.5)\nsys.exit(3)"
    )
    code, seconds = training.end()
    assert code == 3
    assert seconds < 0.5 + 2.0 + SLACK


INSIDE = """
import torch
from rankzero.plugin import feed
numbers = torch.randn(400_000)
class Slow:
    def ready(self): return True
    def value(self): return [numbers.mul(2.0).norm().item() for _ in range(2)][0]
def source():
    while True:
        yield time.monotonic(), None, None, {"slow": Slow().value()}
"""


@pytest.mark.parametrize("last", ["feed(run, source)", "for _ in range(20_000): run.log({'slow': Slow()})"])
def test_values_that_are_still_being_made(root: Any, last: str) -> None:
    """The writer thread is not torn out of torch when the time is up, which would abort the process."""
    training = _Training(root, setup=INSIDE, last=f"{last}\ntime.sleep(0.3)\nsys.exit(3)")
    code, seconds = training.end()
    assert code == 3
    assert seconds < 0.3 + 2.0 + SLACK


def test_sigterm_while_finishing(root: Any) -> None:
    """A signal that arrives while the run is being closed ends the process as ever, and the run is closed."""
    last = "run.log({'stuck': Never(), 'x': 2})\nprint('finishing', flush=True)\nrun.finish()\ntime.sleep(60)"
    training = _Training(root, setup=NEVER, last=last)
    training.train(0)
    training.process.stdin.close()
    training.process.stdin = None
    assert training.process.stdout.readline() == "finishing\n"
    time.sleep(0.4)
    training.process.send_signal(signal.SIGTERM)
    assert training.process.wait(timeout=2.0 + SLACK) == -signal.SIGTERM
    assert root.only.curve("x") == [(0, 0), (1, 2)]
    assert root.only.of(records.End)


BUSY = """
import sys, rankzero
run = rankzero.init(id="mine", settings={{"code": False, "packages": False, "queue_limit": {limit}}})
run.log({{"x": 0, "y": 1.0}})
run.flush()
print("ready", flush=True)
step = 1
while True:
    run.log({{"x": step, "y": 1.0}})
    step += 1
"""


@pytest.mark.parametrize("limit", [1000, 100_000])
def test_sigterm_while_the_loop_itself_writes(root: Any, limit: int) -> None:
    """Rows that come faster than one thread writes them are closed all the same, without a gap or a double."""
    for delay in (0.1, 0.15, 0.2, 0.25):
        process = root.start(BUSY.format(limit=limit))
        assert process.stdout.readline() == "ready\n"
        time.sleep(delay)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
        assert process.returncode == -signal.SIGTERM
        journal = root.only
        assert [values["x"] for _, values in journal.rows] == list(range(len(journal.rows)))
        assert journal.only(records.End).state == "preempted"
        shutil.rmtree(root.path)


def test_sigterm_while_the_loop_itself_waits_for_the_disk(root: Any) -> None:
    """A hanging file system and a full queue: only then log() waits, and a signal still ends the process soon."""
    process = root.start(BUSY.format(limit=1000))
    assert process.stdout.readline() == "ready\n"
    path = _journal(root)
    path.unlink()
    os.mkfifo(path)
    time.sleep(1.0)
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5.0 + SLACK) == -signal.SIGTERM


def test_no_thread_or_process_of_ours_is_left(root: Any) -> None:
    """Soon after the run nothing of it runs, neither in the process nor beside it (finish() does not wait for git)."""
    process = root.start("""
import _thread, sys, time
import rankzero
run = rankzero.init()
for step in range(100):
    run.log({"x": step})
    time.sleep(0.005)
run.finish()
patience = time.monotonic() + 60
while _thread._count() and time.monotonic() < patience:
    time.sleep(0.01)
print(_thread._count(), flush=True)
sys.stdin.readline()
""")
    assert process.stdout.readline() == "0\n"
    until("the end of its children", lambda: not psutil.Process(process.pid).children(recursive=True))
    process.communicate("end\n", timeout=60)


def test_a_suspended_process_goes_on(root: Any) -> None:
    """Between SIGSTOP and SIGCONT it counts as running and writes nothing; then all goes on, nothing is lost."""
    training = _Training(root, last="run.finish()", env={"RANKZERO_HEARTBEAT_INTERVAL": "0.2"})
    training.train(1000)
    training.process.send_signal(signal.SIGSTOP)
    until("the stop", lambda: psutil.Process(training.process.pid).status() == psutil.STATUS_STOPPED)
    before = len(root.only.beats)
    time.sleep(2.0)
    assert open_run(root.folders[0]).state == "running"
    assert len(root.only.beats) == before
    training.process.send_signal(signal.SIGCONT)
    training.train(500)
    assert training.end()[0] == 0
    journal = root.only
    assert journal.steps == list(range(1501))
    gaps = [(later[0] - sooner[0]) / 1e6 for sooner, later in zip(journal.beats, journal.beats[1:], strict=False)]
    assert max(gaps) > 2.0
    assert open_run(root.folders[0]).state == "finished"


def test_a_suspended_process_that_is_killed(root: Any) -> None:
    """It crashed, at its last line."""
    training = _Training(root)
    training.process.send_signal(signal.SIGSTOP)
    training.process.kill()
    training.process.communicate(timeout=60)
    assert open_run(root.folders[0]).state == "crashed"


@pytest.mark.parametrize(
    ("last", "error"), [("os.abort()", "Aborted"), ("os.kill(os.getpid(), 11)", "Segmentation fault")]
)
def test_a_process_that_dies_of_a_fatal_error(root: Any, last: str, error: str) -> None:
    """What C code that aborts leaves: the run has crashed, and its failure names the error and the line that was at it."""
    setup = "import faulthandler, resource; faulthandler.disable(); resource.setrlimit(resource.RLIMIT_CORE, (0, 0))"
    wait = "while not faulthandler.is_enabled(): time.sleep(0.01)"
    last = f"\ndef dies():\n    {wait}\n    {last}\ndies()"
    training = _Training(root, setup=setup, last=last)
    assert training.end()[0] < 0
    view = open_run(root.folders[0])
    found = view.first_failure
    assert found is not None
    assert (view.state, found.message) == ("crashed", f"the process died of a fatal error: {error}")
    assert " in dies" in found.traceback
