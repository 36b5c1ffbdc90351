"""The command as a child process: it gets the terminal, the signals and the last word, as if it had been started alone."""

from __future__ import annotations

import ctypes
import errno
import os
import resource
import shutil
import signal
import subprocess
import sys
from pathlib import Path

FAULTS = {"SIGSEGV", "SIGBUS", "SIGFPE", "SIGILL", "SIGTRAP", "SIGSYS"}
JOB_CONTROL = {"SIGTSTP", "SIGTTIN", "SIGTTOU", "SIGCONT", "SIGSTOP", "SIGKILL", "SIGPIPE", "SIGURG"}
WATCHED = {number for number in signal.valid_signals() if getattr(number, "name", "") not in FAULTS | JOB_CONTROL}
"""Signals taken one by one instead of acted upon: all but those about this very process."""

TERMINAL = {signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGWINCH}
"""Signals that a terminal sends to its whole foreground group: the command has got them by itself then."""

SI_KERNEL = 0x80
"""What a signal says of its origin if the terminal sent it, and no process."""

PR_SET_PDEATHSIG = 1

SHELL = "/bin/sh"


class Job:
    """A running command; `pid` is its process."""

    def __init__(self, command: list[str], environ: dict[str, str]) -> None:
        """Start the command.

        Raises:
            OSError: it cannot be started.
        """
        self._ignores_children = signal.getsignal(signal.SIGCHLD) == signal.SIG_IGN
        if self._ignores_children:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        self._prctl = getattr(ctypes.CDLL(None), "prctl", None)
        self._parent = os.getpid()
        self._mask = signal.pthread_sigmask(signal.SIG_BLOCK, WATCHED)
        try:
            self._process = self._start(command, environ)
        except OSError:
            signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)
            raise
        self.pid = self._process.pid

    def _start(self, command: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
        try:
            return self._popen(command, environ)
        except OSError as error:
            if error.errno != errno.ENOEXEC:
                raise
        # A script without a first line that names its interpreter is the shell's, as shells have it.
        return self._popen([SHELL, shutil.which(command[0]) or command[0], *command[1:]], environ)

    def _popen(self, command: list[str], environ: dict[str, str]) -> subprocess.Popen[bytes]:
        # Standard streams and every inherited descriptor go to the command as they are.
        return subprocess.Popen(command, env=environ, close_fds=False, preexec_fn=self._in_child)  # noqa: PLW1509

    def _in_child(self) -> None:
        """Between fork and exec: the command dies with `rankzero run` if that is killed, and hears signals as it did."""
        if self._prctl is not None:
            self._prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
            if os.getppid() != self._parent:
                os.kill(os.getpid(), signal.SIGKILL)
        if self._ignores_children:
            signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        signal.pthread_sigmask(signal.SIG_SETMASK, self._mask)

    def wait(self) -> int:
        """Wait for the command and pass signals on to it.

        Returns:
            Its exit status, or minus the number of the signal that killed it.
        """
        while True:
            status = self._reap()
            if status is not None:
                self._process.returncode = status
                return status
            signum, has_it = _next_signal()
            if signum != signal.SIGCHLD and not has_it:
                os.kill(self.pid, signum)

    def let_go(self, status: int) -> None:
        """After the command ended: whoever signals now wants this process gone, with the command's `status`."""
        asked = {signal.SIGINT, signal.SIGQUIT, signal.SIGHUP, signal.SIGTERM}
        for signum in asked:
            signal.signal(signum, lambda *_: os._exit(end_like(status)))
        signal.pthread_sigmask(signal.SIG_UNBLOCK, asked)

    def _reap(self) -> int | None:
        """The command's status if it ended; whatever else is our child by now (we may be process 1) is laid to rest."""
        while True:
            pid, status = os.waitpid(-1, os.WNOHANG)
            if not pid:
                return None
            if pid == self.pid:
                return os.waitstatus_to_exitcode(status)


def end_like(status: int) -> int:
    """End this process the way the command ended: returns the exit status, or does not return after a signal.

    Where the signal does not kill (process 1 of a container is immune), the shell's way to say it is returned: 128 + number.
    """
    if status >= 0:
        return status
    signum = -status
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if signum not in {signal.SIGKILL, signal.SIGSTOP}:
        signal.signal(signum, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signum})
    os.kill(os.getpid(), signum)
    return 128 + signum


def _next_signal() -> tuple[int, bool]:
    """The next signal, and whether the command has received it by itself."""
    if not hasattr(signal, "sigwaitinfo"):  # macOS does not tell where a signal comes from
        number = signal.sigwait(WATCHED)
        return number, number in {signal.SIGINT, signal.SIGQUIT} and os.isatty(0)
    info = signal.sigwaitinfo(WATCHED)
    from_terminal = info.si_signo in TERMINAL and info.si_code == SI_KERNEL
    return info.si_signo, from_terminal or _signals_all(info.si_pid)


def _signals_all(sender: int) -> bool:
    """Whether this sender signals every process of the job: Slurm's step daemon does."""
    try:
        return Path(f"/proc/{sender}/comm").read_text() == "slurmstepd\n"
    except OSError:
        return False
