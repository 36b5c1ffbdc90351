"""Stack dumps: on a crash, on SIGTERM, and when no step has been seen for a while."""

from __future__ import annotations

import faulthandler
import signal
import time
from pathlib import Path
from typing import IO

from rankzero.run.exits import exits


class Stacks:
    """One file that receives this process's stacks; written by the C level, so it works with a stuck interpreter."""

    def __init__(self, path: Path, stall_after: float) -> None:
        self.path = path
        self._stall_after = stall_after
        self._file: IO[str] | None = None
        self._enabled = False
        self._registered = False
        self._last_step: int | None = None
        self._since = time.monotonic()
        self._reported = False

    def install(self) -> None:
        """Write stacks on a fatal error and, where rankzero hears SIGTERM for lack of another handler, on SIGTERM.

        On SIGTERM that of the thread that hears it, which is the main one: other threads run on meanwhile, and one that ends while its
        stack is being read would crash the process.

        Raises:
            OSError: the file cannot be made.
        """
        if self._file is not None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a")
        if not faulthandler.is_enabled():
            faulthandler.enable(self._file)
            self._enabled = True
        if exits.ours(signal.SIGTERM) and hasattr(faulthandler, "register"):
            faulthandler.register(signal.SIGTERM, self._file, all_threads=False, chain=True)
            self._registered = True

    def remove(self) -> None:
        """Undo `install` and delete a file that stayed empty."""
        self.uninstall()
        if self.path.exists() and not self.path.stat().st_size:
            self.path.unlink()

    def uninstall(self) -> None:
        """Undo `install`, in this process only."""
        if self._enabled:
            faulthandler.disable()
        if self._registered:
            faulthandler.unregister(signal.SIGTERM)
        self._enabled = self._registered = False
        if self._file is not None:
            self._file.close()
            self._file = None

    def look(self, step: int | None) -> float | None:
        """Given the last step: dump the stacks once if it has not changed for too long; returns the seconds then."""
        now = time.monotonic()
        if step != self._last_step:
            self._last_step, self._since, self._reported = step, now, False
        if step is None or self._reported or not self._stall_after or now - self._since < self._stall_after:
            return None
        self._reported = True
        if self._file is not None:
            faulthandler.dump_traceback(self._file, all_threads=True)
            self._file.flush()
        return now - self._since
