"""Signals: each reaches the command once, wherever it comes from, and `rankzero run` waits for what the command makes of it."""

from __future__ import annotations

import fcntl
import os
import pty
import select
import shlex
import shutil
import signal
import subprocess
import sys
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from tests.waiting import until

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher

COUNTS = """
import os, signal, sys, time
number = getattr(signal, sys.argv[1]) if sys.argv[1].startswith("SIG") else int(sys.argv[1])
seen = []
signal.signal(number, lambda *_: seen.append(1))
open(sys.argv[2], "w").write(str(os.getpid()))
while not seen:
    time.sleep(0.01)
time.sleep(0.5)
sys.exit(10 + len(seen))
"""
ONCE = 11


class Counting:
    """A command that exits with 10 plus how often it got a signal."""

    def __init__(self, launcher: Launcher, name: str, **options: object) -> None:
        ready = launcher.folder / "ready"
        script = launcher.script(COUNTS)
        self.run = launcher.start("--quiet", sys.executable, script, name, str(ready), **options)
        until("the command", lambda: ready.exists() and ready.read_text())
        self.command = int(ready.read_text())

    def status(self) -> int:
        """How it ended."""
        return self.run.wait(timeout=60)


@pytest.mark.parametrize(
    "name", ["SIGTERM", "SIGINT", "SIGHUP", "SIGQUIT", "SIGUSR1", "SIGUSR2", "SIGALRM", "SIGXCPU", "40"]
)
def test_a_signal_is_passed_on_once(launcher: Launcher, name: str) -> None:
    """A signal sent to `rankzero run` arrives in the command, and its own exit status comes back."""
    counting = Counting(launcher, name)
    counting.run.send_signal(int(name) if name.isdigit() else signal.Signals[name])
    assert counting.status() == ONCE


def test_termination_without_a_handler(launcher: Launcher) -> None:
    """SIGTERM ends a command that does not handle it, and `rankzero run` ends by SIGTERM."""
    run = launcher.start("--quiet", "sh", "-c", "echo ready; exec sleep 60")
    assert run.stdout is not None
    assert run.stdout.readline() == b"ready\n"
    run.terminate()
    assert run.wait(timeout=60) == -signal.SIGTERM


def test_an_ignored_signal_stays_ignored(launcher: Launcher) -> None:
    """Under `nohup` neither `rankzero run` nor the command takes notice of a hang-up."""
    preexec = lambda: signal.signal(signal.SIGHUP, signal.SIG_IGN)  # noqa: E731
    run = launcher.start(
        "--quiet", "sh", "-c", "echo ready; read line; exit 4", preexec_fn=preexec, stdin=subprocess.PIPE
    )
    assert run.stdout is not None
    assert run.stdout.readline() == b"ready\n"
    run.send_signal(signal.SIGHUP)
    run.communicate(b"go\n", timeout=60)
    assert run.returncode == 4


def test_signals_from_slurm_are_not_doubled(launcher: Launcher) -> None:
    """Slurm's step daemon (here a shell by its name) signals every process of a step: the command hears it once."""
    counting = Counting(launcher, "SIGTERM")
    daemon = launcher.folder / "slurmstepd"
    shutil.copy(shutil.which("bash") or "/bin/bash", daemon)
    step = f"kill -TERM {counting.run.pid} {counting.command}; read line"
    sender = launcher.start_plainly(str(daemon), "-c", step, stdin=subprocess.PIPE)
    assert counting.status() == ONCE
    sender.communicate(b"\n")


def test_killing_rankzero_run_kills_the_command(launcher: Launcher) -> None:
    """Kill -9 of what the user started ends the command, as it would without `rankzero run`."""
    counting = Counting(launcher, "SIGTERM")
    counting.run.kill()
    assert counting.status() == -signal.SIGKILL
    until(
        "the end of the command",
        lambda: not Path(f"/proc/{counting.command}").exists() or _state(counting.command) == "Z",
    )


def _state(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return "Z"


class Terminal:
    """A pseudo-terminal."""

    def __init__(self) -> None:
        self.ours, self.theirs = pty.openpty()
        self.shown = b""

    def take(self) -> None:
        """In a new session: make it the controlling terminal."""
        fcntl.ioctl(self.theirs, termios.TIOCSCTTY, 0)

    def press(self, keys: bytes) -> None:
        """Type."""
        os.write(self.ours, keys)

    def expect(self, text: bytes) -> None:
        """Read until `text` is shown."""
        assert self.shows(text, 60), self.shown.decode()
        self.shown = self.shown.partition(text)[2]

    def shows(self, text: bytes, seconds: float) -> bool:
        """Read until `text` is shown or nothing comes for so long."""
        while text not in self.shown:
            readable, _, _ = select.select([self.ours], [], [], seconds)
            if not readable:
                return False
            self.shown += os.read(self.ours, 4096)
        return True

    def await_shell(self) -> None:
        """Type until the shell reads: what is typed while it takes the terminal back may be lost."""
        for _ in range(20):
            self.press(b'echo list"ening"\n')
            if self.shows(b"listening", 3):
                break
        self.expect(b"listening")


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    """A terminal for one session."""
    terminal = Terminal()
    yield terminal
    os.close(terminal.ours)
    os.close(terminal.theirs)


@pytest.mark.parametrize(("keys", "name"), [(b"\x03", "SIGINT"), (b"\x1c", "SIGQUIT")])
def test_keys_of_the_terminal_are_not_doubled(launcher: Launcher, terminal: Terminal, keys: bytes, name: str) -> None:
    """Ctrl-C and its like reach the whole foreground group: the command hears them once, and may take its time to end."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.theirs)
    counting = Counting(launcher, name, start_new_session=True, preexec_fn=terminal.take, **streams)
    terminal.press(keys)
    assert counting.status() == ONCE


def test_an_interrupted_python_dies_of_the_interrupt(launcher: Launcher, terminal: Terminal) -> None:
    """Ctrl-C with no handler: the command's traceback is shown and `rankzero run` dies of SIGINT, as shells expect."""
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.theirs)
    code = "import time; print('ready', flush=True); time.sleep(60)"
    run = launcher.start(
        "--quiet", sys.executable, "-c", code, start_new_session=True, preexec_fn=terminal.take, **streams
    )
    terminal.expect(b"ready")
    terminal.press(b"\x03")
    terminal.expect(b"KeyboardInterrupt")
    assert run.wait(timeout=60) == -signal.SIGINT


def test_job_control(launcher: Launcher, terminal: Terminal) -> None:
    """In an interactive shell Ctrl-Z stops the job and `fg` continues it."""
    script = launcher.script("""
import signal
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCONT})
print("re" + "ady", flush=True)
signal.sigwait({signal.SIGCONT})
print("con" + "tinued", flush=True)
print("got " + input()[::-1], flush=True)
""")
    streams = dict.fromkeys(("stdin", "stdout", "stderr"), terminal.theirs)
    shell = launcher.start_plainly(
        *("bash", "--norc", "--noprofile", "--noediting", "-i"),
        start_new_session=True,
        preexec_fn=terminal.take,
        **streams,
    )
    terminal.press(f"{shlex.join(launcher.rankzero_run)} --quiet {sys.executable} {script}\n".encode())
    terminal.expect(b"ready")
    terminal.press(b"\x1a")
    terminal.expect(b"Stopped")
    terminal.await_shell()
    terminal.press(b"fg\n")
    terminal.expect(b"continued")
    terminal.press(b"olleh\n")
    terminal.expect(b"got hello")
    terminal.expect(b"bash-")
    terminal.press(b"exit 3\n")
    assert shell.wait(timeout=60) == 3


def test_process_one_of_a_container_says_it_like_a_shell(launcher: Launcher) -> None:
    """As process 1, which no signal kills by default, `rankzero run` returns 128 plus the signal's number."""
    if subprocess.run(["unshare", "--pid", "--fork", "true"], capture_output=True, check=False).returncode:
        pytest.skip("no process namespaces on this machine")
    run = [*launcher.rankzero_run, "--quiet", "sh", "-c"]
    status = launcher.plainly("unshare", "--pid", "--fork", *run, "sleep 0.1 & kill -TERM $$").returncode
    assert status == 128 + signal.SIGTERM
