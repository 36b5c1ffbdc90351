"""Signals as the writer thread sees them, even while the main thread is stuck in a collective.

Python runs signal handlers in the main thread between two bytecodes. A rank that waits inside a C call never gets there: with a
handler of ours in place of the default it would outlive its SIGTERM. So the C level also writes the number to a pipe that
the writer thread reads; if the main thread has not reacted after a grace, the writer ends the process as the default would.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time

from rankzero.run.exits import FATAL_SIGNALS, exits
from rankzero.run.threads import in_main

GRACE = 1.0
"""Seconds the main thread has to react to a fatal signal before the writer thread does."""

ANSWER_SECONDS = 60.0
"""A program with a SIGTERM handler of its own that ends within this time was preempted, whatever its exit code."""


MOST = 1 << 16
"""Signals that a pipe holds: behind a timer's thousands there may be a fatal one."""


class SignalWatch:
    """Reads the numbers of arriving signals without blocking."""

    def __init__(self) -> None:
        self._pid = os.getpid()
        self._reader, self._writer = os.pipe()
        os.set_blocking(self._reader, False)
        os.set_blocking(self._writer, False)
        self._installed = False
        self._fatal: tuple[int, float] | None = None
        self._terminated = -float("inf")

    def install(self) -> None:
        """Start listening; does nothing outside the main thread or where someone else listens already (asyncio)."""
        if not in_main():
            return
        before = signal.set_wakeup_fd(self._writer, warn_on_full_buffer=False)
        if before != -1:
            signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            return
        self._installed = True

    def remove(self) -> None:
        """Stop listening."""
        if self._installed and in_main():
            if (before := signal.set_wakeup_fd(-1)) != self._writer:
                signal.set_wakeup_fd(before, warn_on_full_buffer=False)
            self._installed = False

    def is_terminating(self) -> bool:
        """Whether SIGTERM came so recently that an orderly end of the program is its answer to it."""
        return time.monotonic() - self._terminated < ANSWER_SECONDS

    def arrived(self) -> list[str]:
        """The names of the signals that arrived since the last call, each once; ends the process on a fatal one nobody reacts to."""
        numbers: bytes = b""
        with contextlib.suppress(BlockingIOError):
            numbers = os.read(self._reader, MOST)
        arrived = list(dict.fromkeys(numbers))
        for number in arrived:
            if number == signal.SIGTERM:
                self._terminated = time.monotonic()
            if number in FATAL_SIGNALS and exits.ours(number):
                self._fatal = (number, time.monotonic() + GRACE)
        if self._fatal is not None and time.monotonic() >= self._fatal[1] and os.getpid() == self._pid:
            signum, self._fatal = self._fatal[0], None
            exits.die(signum)
        return [_name(number) for number in arrived]


def _name(number: int) -> str:
    """Of a signal; of those in real time only the first and the last have one."""
    known = set(signal.Signals)
    return signal.Signals(number).name if number in known else f"SIGRTMIN+{number - signal.SIGRTMIN}"
