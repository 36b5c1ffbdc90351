"""Threads of ours: a program that looks for threads that something left behind does not find them among its own."""

from __future__ import annotations

import _thread
import sys
import threading
from collections.abc import Callable

_running: dict[int, str] = {}
"""The names of such threads by their idents."""


class Background:
    """A daemon thread that `threading` does not know of.

    Attributes:
        name: for those who ask for `running`.
        ident: of the thread, None before it runs.
    """

    def __init__(self, name: str, work: Callable[[], None]) -> None:
        self.name = name
        self.ident: int | None = None
        self._work = work
        self._started = False
        self._over = threading.Event()

    def start(self) -> None:
        """Start it; a RuntimeError where the system has no thread left."""
        _thread.start_new_thread(self._run, ())
        self._started = True

    def is_alive(self) -> bool:
        """Whether it has been started and is not over."""
        return self._started and not self._over.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait until it is over, for this many seconds at most."""
        self._over.wait(timeout)

    def _run(self) -> None:
        self.ident = _thread.get_ident()
        _running[self.ident] = self.name
        try:
            self._work()
        finally:
            forget()
            del _running[self.ident]
            self._over.set()


def running() -> list[str]:
    """The names of those that run in this process."""
    alive = sys._current_frames()  # noqa: SLF001 - a forked process has none of its parent's
    return sorted(name for ident, name in list(_running.items()) if ident in alive)


def forget() -> None:
    """A library asked `threading` about this thread and so made it known there (psutil does when imported): if it is ours, no more."""
    ident = _thread.get_ident()
    if ident in _running:
        threading._active.pop(ident, None)  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to say so


def in_main() -> bool:
    """Whether this is the main thread; unlike `threading.current_thread` the question makes no thread known."""
    return _thread.get_ident() == threading.main_thread().ident
