"""Threads of ours. Below `rankzero run` a program that never asked for them does not find them among its own."""

from __future__ import annotations

import _thread
import threading
from collections.abc import Callable

from rankzero import settings


class Unseen:
    """A daemon thread that `threading` does not know of: programs look there for threads that something left behind.

    Attributes:
        ident: of the thread, None before it runs.
    """

    def __init__(self, work: Callable[[], None]) -> None:
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
        _unseen.add(self.ident)
        try:
            self._work()
        finally:
            forget()
            _unseen.remove(self.ident)
            self._over.set()


_unseen: set[int] = set()
"""The idents of such threads."""


def forget() -> None:
    """A library asked `threading` about this thread and so made it known there (psutil does when imported): if it is unseen, no more."""
    ident = _thread.get_ident()
    if ident in _unseen:
        threading._active.pop(ident, None)  # type: ignore[attr-defined]  # noqa: SLF001 - there is no other way to say so


Thread = threading.Thread | Unseen


def background(name: str, work: Callable[[], None]) -> Thread:
    """A daemon thread, not yet started, that does `work`."""
    if settings.read().launch:
        return Unseen(work)
    return threading.Thread(target=work, name=name, daemon=True)


def in_main() -> bool:
    """Whether this is the main thread; unlike `threading.current_thread` the question makes no thread known."""
    return _thread.get_ident() == threading.main_thread().ident
