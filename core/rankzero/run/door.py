"""The door to a framework's code, for threads of ours: it closes before the process ends.

A thread that is inside of C++ while the interpreter ends is torn out of it as soon as it wants to run Python again, and where that
code does not expect it (torch's and jax's does not) the whole process is aborted: the job's exit code would be ours.
"""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

T = TypeVar("T")

LEAVING = 0.4
"""Seconds that the end of the process waits for those inside."""


class Door:
    """Of one writer thread."""

    def __init__(self) -> None:
        self._inside = threading.RLock()
        self._open = True
        doors.add(self)

    def inside(self, call: Callable[[], T], otherwise: T) -> T:
        """What the call returns; once the door is closed it is not made."""
        with self._inside:
            return call() if self._open else otherwise

    def each(self, source: Callable[[], Iterable[T]]) -> Iterator[T]:
        """What the source yields, which it is asked for inside."""
        none: Iterator[T] = iter(())
        items = self.inside(lambda: iter(source()), none)
        nothing = object()
        while (item := self.inside(lambda: next(items, nothing), nothing)) is not nothing:
            yield item  # type: ignore[misc]

    def close(self, deadline: float) -> None:
        """Let nobody in, and wait until the deadline (monotonic) for whoever is inside."""
        self._open = False
        if self._inside.acquire(timeout=max(0.0, deadline - time.monotonic())):
            self._inside.release()


doors: weakref.WeakSet[Door] = weakref.WeakSet()
"""Of this process."""


def close_all() -> None:
    """The process ends."""
    deadline = time.monotonic() + LEAVING
    for door in list(doors):
        door.close(deadline)
