"""Modules that threads of ours load while the user's program runs.

A process that forks while another thread is in the middle of an import hands its child half a module, for good. So a fork waits
until no thread of ours is importing: some milliseconds, at the beginning of a run only.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

LONGEST = 2.0
"""Seconds that a fork waits at most: a program that forks in the middle of an import may hold what our import needs."""


class _Forks:
    """What a fork waits for."""

    def __init__(self) -> None:
        self.importing = threading.RLock()
        self._waited = threading.local()

    def before(self) -> None:
        self._waited.well = self.importing.acquire(timeout=LONGEST)

    def after_in_parent(self) -> None:
        if self._waited.well:
            self.importing.release()

    def after_in_child(self) -> None:
        self.importing = threading.RLock()


_forks = _Forks()


@contextlib.contextmanager
def forks_wait() -> Iterator[None]:
    """Around an import outside the main thread: no fork of this process happens meanwhile."""
    with _forks.importing:
        yield


def install() -> None:
    """Make forks of this process wait for imports of ours; once per process."""
    os.register_at_fork(
        before=_forks.before, after_in_parent=_forks.after_in_parent, after_in_child=_forks.after_in_child
    )
