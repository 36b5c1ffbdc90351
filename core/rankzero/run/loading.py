"""Modules that threads of ours load while the user's program runs.

A process that forks while another thread is in the middle of an import hands its child half a module, for good. So a fork waits
until no thread of ours is importing: some milliseconds, at the beginning of a run only.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Iterator

_importing = threading.RLock()


@contextlib.contextmanager
def forks_wait() -> Iterator[None]:
    """Around an import outside the main thread: no fork of this process happens meanwhile."""
    with _importing:
        yield


def install() -> None:
    """Make forks of this process wait for imports of ours; once per process."""
    os.register_at_fork(
        before=_importing.acquire, after_in_parent=_importing.release, after_in_child=_importing.release
    )
