"""The command under `rankzero run` behaves as if it had been started alone."""

from __future__ import annotations

import os
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.core.launch.conftest import Launcher

ECHO = """
import os, sys
data = sys.stdin.buffer.read()
sys.stdout.buffer.write(data[::-1])
sys.stderr.buffer.write(bytes(range(256)))
os.write(1, b"raw")
"""


@pytest.mark.parametrize("status", [0, 1, 3, 255])
def test_exit_status_is_the_commands(launcher: Launcher, status: int) -> None:
    """Whatever the command exits with, `rankzero run` exits with."""
    assert launcher.run("--quiet", "sh", "-c", f"exit {status}").returncode == status


@pytest.mark.parametrize("name", ["SIGTERM", "SIGKILL", "SIGINT", "SIGSEGV", "SIGABRT", "SIGUSR1", "SIGHUP", "SIGPIPE"])
def test_death_by_signal_is_the_commands(launcher: Launcher, name: str) -> None:
    """A command killed by a signal makes `rankzero run` die by the same, as a shell sees it."""
    done = launcher.run("--quiet", "sh", "-c", f"ulimit -c 0; kill -{name[3:]} $$")
    assert done.returncode == -signal.Signals[name]


def test_streams_are_byte_identical(launcher: Launcher) -> None:
    """Standard input, output and error pass untouched; with --quiet nothing is added."""
    given = os.urandom(300_000)
    script = launcher.script(ECHO)
    alone = launcher.plainly(sys.executable, script, input=given)
    run = launcher.run("--quiet", sys.executable, script, input=given)
    assert (run.returncode, run.stdout, run.stderr) == (alone.returncode, alone.stdout, alone.stderr)


def test_report_goes_to_stderr_alone(launcher: Launcher) -> None:
    """The command's standard output stays what it was, and its standard error is only added to."""
    done = launcher.run("sh", "-c", "echo out; echo err >&2")
    assert done.stdout == b"out\n"
    assert done.stderr.startswith(b"err\nrankzero: ")


def test_inherited_descriptors_reach_the_command(launcher: Launcher) -> None:
    """A pipe handed down by number (as in `<(...)`) is still open in the command."""
    reader, writer = os.pipe()
    os.write(writer, b"handed down")
    os.close(writer)
    done = launcher.run("--quiet", "cat", f"/dev/fd/{reader}", pass_fds=(reader,))
    os.close(reader)
    assert done.stdout == b"handed down"


def test_command_keeps_its_process_group_and_session(launcher: Launcher) -> None:
    """The command is a child in the same process group and session, so terminals and `kill -- -group` see one job."""
    show = "import os; print(os.getpgrp(), os.getsid(0))"
    done = launcher.run("--quiet", sys.executable, "-c", show, start_new_session=True)
    group, session = done.stdout.split()
    assert group == session


def test_signal_mask_and_dispositions_are_as_alone(launcher: Launcher) -> None:
    """No signal is blocked, ignored or caught in the command that would not be without `rankzero run`."""
    show = ["sh", "-c", "grep -E '^Sig(Blk|Ign|Cgt)' /proc/self/status"]
    assert launcher.run("--quiet", *show).stdout == launcher.plainly(*show).stdout


def test_an_ignored_sigchld_stays_ignored_in_the_command(launcher: Launcher) -> None:
    """Started by a parent that ignores SIGCHLD, the exit status is still known and the command still ignores it."""
    code = "import signal; print(signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN); raise SystemExit(5)"
    preexec = lambda: signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # noqa: E731
    done = launcher.run("--quiet", sys.executable, "-c", code, preexec_fn=preexec)
    assert (done.stdout, done.returncode) == (b"True\n", 5)


def test_script_without_interpreter_line_runs_in_the_shell(launcher: Launcher) -> None:
    """An executable text file that names no interpreter is the shell's, as every shell has it."""
    script = Path(launcher.script("echo $1 $#\n", "job"))
    script.chmod(script.stat().st_mode | stat.S_IXUSR)
    assert launcher.run("--quiet", "./job", "a", "b").stdout == b"a 2\n"


@pytest.mark.parametrize(
    ("command", "status", "sentence"),
    [
        (["no-such-command"], 127, "cannot find the command 'no-such-command': it is in no folder of PATH"),
        (["./no-such-file"], 127, "cannot find the command './no-such-file': there is no such file"),
        (
            ["train.py", "--lr", "3"],
            126,
            "train.py is not executable by itself: write `rankzero run python train.py --lr 3`",
        ),
        (["./train.py"], 126, "./train.py is not executable by itself: write `rankzero run python ./train.py`"),
        (["./folder"], 126, "./folder is a folder, not a command"),
        (["./orphan"], 127, "cannot be started: the interpreter that its first line names does not exist"),
    ],
)
def test_what_cannot_be_started_is_one_sentence(
    launcher: Launcher, command: list[str], status: int, sentence: str
) -> None:
    """A command that does not exist or cannot be executed: the status that shells give, and what to write instead."""
    launcher.script("print(1)", "train.py")
    (launcher.folder / "folder").mkdir()
    orphan = Path(launcher.script("#!/no/such/python\n", "orphan"))
    orphan.chmod(0o755)
    done = launcher.run(*command)
    assert done.returncode == status
    assert done.stdout == b""
    assert done.stderr.decode().count("\n") == 1
    assert sentence in done.stderr.decode()


def test_closed_streams_do_no_harm(launcher: Launcher) -> None:
    """With standard input, output and error closed the command runs and its status is kept."""
    ours = shlex.join(launcher.rankzero_run)
    done = launcher.plainly("sh", "-c", f"exec {ours} sh -c 'exit 6' <&- >&- 2>&-")
    assert done.returncode == 6


def test_nothing_of_ours_outlives_the_job(launcher: Launcher) -> None:
    """When `rankzero run` has ended, nothing is left of its session."""
    done = launcher.run("--quiet", "sh", "-c", "ps -o sid= -p $$", start_new_session=True)
    session = int(done.stdout)
    left = subprocess.run(["ps", "-o", "pid=,args=", "-s", str(session)], capture_output=True, text=True, check=False)
    assert left.stdout == ""
