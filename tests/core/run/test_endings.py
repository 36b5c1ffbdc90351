"""Every way a process can end, with a real process: state, exit code and end time are right, the exit code is unchanged."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.waiting import until

from rankzero import records
from rankzero.store import every_run

BEGIN = """
import ctypes, hashlib, os, signal, sys, threading, time
import rankzero
run = rankzero.init(project="p", dir={root!r}, settings={{"code": False}})
run.log({{"loss": 1.0}})
run.flush()
"""
WAIT = "print('ready', flush=True)\ntime.sleep(60)\n"


def _start(root: Path, body: str) -> subprocess.Popen[str]:
    code = BEGIN.format(root=str(root)) + body
    return subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def _lines(root: Path) -> list[list[object] | records.Record | None]:
    (folder,) = every_run(root)
    (path,) = folder.journals()
    return [records.decode_line(line) for line in path.read_bytes().splitlines()]


def _has_begun(root: Path) -> bool:
    """Whether all is done that is done at the beginning: signals are listened for before the system is sampled."""
    lines = _lines(root)
    sampled = any(isinstance(line, records.Columns) and "system/process_memory" in line.keys for line in lines)
    return sampled and any(isinstance(line, records.Environment) for line in lines)


def _end(root: Path) -> records.End | None:
    last = _lines(root)[-1]
    return last if isinstance(last, records.End) else None


def _events(root: Path) -> dict[str, records.Event]:
    return {line.event: line for line in _lines(root) if isinstance(line, records.Event)}


@pytest.mark.parametrize(
    ("body", "code", "state"),
    [
        ("", 0, "finished"),
        ("run.finish()", 0, "finished"),
        ("sys.exit()", 0, "finished"),
        ("sys.exit(3)", 3, "failed"),
        ("sys.exit('a sentence')", 1, "failed"),
        ("exit(3)", 3, "failed"),
        ("quit()", 0, "finished"),
        ("os._exit(0)", 0, "finished"),
        ("os._exit(4)", 4, "failed"),
        ("raise RuntimeError('boom')", 1, "failed"),
        ("run.finish(exit_code=7)", 0, "failed"),
        ("try:\n  sys.exit(3)\nexcept SystemExit:\n  pass\nsys.exit(0)", 0, "finished"),
        ("try:\n  raise ValueError\nexcept ValueError:\n  sys.exit(3)", 3, "failed"),
        ("try:\n  raise KeyboardInterrupt\nexcept KeyboardInterrupt:\n  exit(1)", 1, "killed"),
        ("threading.Thread(target=sys.exit, args=(5,)).start()", 0, "finished"),
    ],
)
def test_the_exit_code_is_kept_and_known(tmp_path: Path, body: str, code: int, state: str) -> None:
    """The process ends with the code it would have had, and the journal's last line knows it."""
    process = _start(tmp_path, body)
    process.communicate(timeout=60)
    assert process.returncode == code
    end = _end(tmp_path)
    assert end is not None
    assert end.state == state
    assert end.exit_code == (7 if "exit_code=7" in body else code)


def test_an_exception_leaves_its_traceback(tmp_path: Path) -> None:
    """The first failure can be read from the run: type, message and traceback; stderr shows it as ever."""
    process = _start(tmp_path, "def train():\n  raise ValueError('wrong shape')\ntrain()")
    _, stderr = process.communicate(timeout=60)
    assert "ValueError: wrong shape" in stderr
    event = _events(tmp_path)["exception"]
    assert event.data["type"] == "ValueError"
    assert "in train" in event.data["traceback"]


@pytest.mark.parametrize(
    ("signum", "body", "code", "state"),
    [
        (signal.SIGTERM, WAIT, -signal.SIGTERM, "preempted"),
        (signal.SIGHUP, WAIT, -signal.SIGHUP, "killed"),
        (signal.SIGINT, WAIT, -signal.SIGINT, "killed"),
        (signal.SIGKILL, WAIT, -signal.SIGKILL, None),
        (signal.SIGTERM, "signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))\n" + WAIT, 0, "preempted"),
        (signal.SIGTERM, "signal.signal(signal.SIGTERM, signal.SIG_DFL)\n" + WAIT, -signal.SIGTERM, None),
        (
            signal.SIGTERM,
            "print('ready', flush=True)\nhashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000_000)",
            -signal.SIGTERM,
            "preempted",
        ),
    ],
    ids=["term", "hup", "int", "kill", "own-handler", "default-restored-by-user", "stuck-in-c"],
)
def test_a_signal_ends_the_process_as_ever(
    tmp_path: Path, signum: int, body: str, code: int, state: str | None
) -> None:
    """The process dies of the signal it would have died of, soon, and all that was logged before is there."""
    process = _start(tmp_path, body)
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    until("all chores", lambda: _has_begun(tmp_path))
    sent = time.monotonic()
    process.send_signal(signum)
    process.communicate(timeout=30)
    assert time.monotonic() - sent < 15
    assert process.returncode == code
    end = _end(tmp_path)
    assert (end.state if end else None) == state
    if signum == signal.SIGTERM and "SIG_DFL" not in body and "lambda" not in body:
        (folder,) = every_run(tmp_path)
        assert 'File "<string>", line' in (folder.stacks / "0001-r0.txt").read_text()


REAL_TIME = """
alarms, real = [], signal.SIGRTMIN + 6
signal.signal(real, lambda *_: None)
signal.signal(signal.SIGALRM, lambda *_: alarms.append(1))
for _ in range(500): signal.raise_signal(signal.SIGALRM)
signal.raise_signal(real)
"""


def test_signals_of_any_number_are_heard(tmp_path: Path) -> None:
    """Those in real time, which Python has no names for, behind the many of a timer; and nothing of it costs a warning."""
    process = _start(tmp_path, REAL_TIME)
    _, stderr = process.communicate(timeout=60)
    assert (process.returncode, stderr) == (0, "")
    heard = [line.message for line in _lines(tmp_path) if isinstance(line, records.Event) and line.event == "signal"]
    assert heard[-1] == "SIGRTMIN+6"
    assert len(heard) < 10


ENDING_THREADS = """
import signal, sys, threading, time
from pathlib import Path
from rankzero.run import stacks

signal.signal(signal.SIGTERM, lambda *_: None)
stacks.exits.ours = lambda _: True  # a handler as rankzero's own, which does not end the process
kept = stacks.Stacks(Path(sys.argv[1]), 0.0)
kept.install()
deep = lambda n: deep(n - 1) + 1 if n else 0

def threads_that_end():
    while True:
        some = [threading.Thread(target=deep, args=(400,)) for _ in range(3)]
        for one in some: one.start()
        for one in some: one.join()

threading.Thread(target=threads_that_end, daemon=True).start()
for _ in range(2000):
    signal.raise_signal(signal.SIGTERM)
    time.sleep(0.001)
"""


def test_threads_that_end_as_a_signal_comes(tmp_path: Path) -> None:
    """The stacks are written while other threads run: none of them is looked at."""
    done = subprocess.run(
        [sys.executable, "-c", ENDING_THREADS, str(tmp_path / "stacks.txt")],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert 'File "<string>", line' in (tmp_path / "stacks.txt").read_text()
