"""What the writer thread does beside writing."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable

from rankzero.errors import guard
from rankzero.run.threads import Background


class Chore:
    """Something the writer thread does every `interval` seconds, first as soon as the journal is open.

    `last`: once more when the run ends. `apart`: in a thread of its own, for what may take seconds; `leave` makes a turn give up
    that is still under way when the run has to end.
    """

    def __init__(
        self,
        what: str,
        interval: float,
        call: Callable[[], None],
        *,
        last: bool = False,
        apart: bool = False,
        leave: Callable[[], None] | None = None,
    ) -> None:
        self.what = what
        self.interval = interval
        self.call = call
        self.last = last
        self.apart = apart
        self.leave = leave
        self.due = 0.0
        self.thread: Background | None = None

    def run_if_due(self, now: float) -> None:
        """Do it if it is time; an error of ours costs this one turn."""
        if now < self.due or self._is_under_way():
            return
        self.due = now + self.interval
        if not self.apart:
            self._run()
            return
        self.thread = Background("rankzero-chore", self._run)
        with contextlib.suppress(RuntimeError):  # an interpreter that is ending starts no threads
            self.thread.start()

    def wait(self, deadline: float) -> None:
        """Wait for a turn that is under way apart, not beyond the deadline (monotonic)."""
        if self.thread is not None and self._is_under_way():
            self.thread.join(max(0.0, deadline - time.monotonic()))
            if self.leave is not None and self._is_under_way():
                self.leave()

    def _is_under_way(self) -> bool:
        return self.thread is not None and self.thread.is_alive()

    def _run(self) -> None:
        with guard(self.what):
            self.call()
