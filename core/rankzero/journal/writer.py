"""One append-only file of one writer, which outlives a full disk, a read-only mount and its own deletion."""

from __future__ import annotations

import os
import time
from pathlib import Path

from rankzero import records
from rankzero.errors import warn_once
from rankzero.store import RunFolder, journal_name

BACKLOG_LIMIT = 64 * 1024 * 1024
"""Bytes held in memory while the file cannot be written; beyond it whole batches are lost and counted."""

RETRY_SECONDS = 0.5
"""Time between two tries to write while the file system refuses."""


def refused(root: Path, error: OSError) -> None:
    """Say, once per root, that nothing can be written there now."""
    warn_once(
        f"refused {root}",
        f"cannot write under {root} ({error.strerror or error}); training goes on, what is logged waits in memory",
    )


class Journal:
    """The journal of one writer. Calls come from one thread at a time.

    What cannot be written now stays in memory in order and is written when the file system takes it again; a file that
    was deleted under us is made anew with everything needed to read it on its own.
    """

    def __init__(self, folder: RunFolder, writer: str, start: records.Start) -> None:
        self.folder = folder
        self.writer = writer
        self.lost_batches = 0
        self._attempt = start.attempt
        self._fd = -1
        self._backlog = bytearray()
        self._preamble: list[records.Record] = [start]
        self._retry_at = 0.0
        self._trouble = ""
        self._outages = 0
        self._backlog += records.encode(start)
        self.flush()

    @property
    def path(self) -> Path:
        """The journal's file."""
        return self.folder.journal / journal_name(self._attempt, self.writer)

    @property
    def outages(self) -> int:
        """How often the file system refused and then took writes again."""
        return self._outages

    @property
    def trouble(self) -> str:
        """What the file system says while it refuses, empty when all is well."""
        return self._trouble

    def add(self, record: records.Record) -> None:
        """Append one record."""
        self.write(records.encode(record))

    def pin(self, record: records.Record) -> None:
        """Append a record without which later lines cannot be read; it is repeated if the file must be made anew."""
        self._preamble.append(record)
        self.add(record)

    def write(self, lines: bytes) -> None:
        """Append whole lines, now or as soon as the file system takes them."""
        if len(self._backlog) + len(lines) > BACKLOG_LIMIT:
            self.lost_batches += 1
            return
        self._backlog += lines
        self.flush()

    def flush(self, *, now: bool = False) -> bool:
        """Hand the backlog to the file system; true when nothing is left. `now` skips the wait between two tries."""
        if self._trouble and not now and time.monotonic() < self._retry_at:
            return False
        try:
            self._open_if_needed()
            while self._backlog:
                written = os.write(self._fd, self._backlog)
                del self._backlog[:written]
        except OSError as error:
            self._refused(error)
            return False
        if self._trouble:
            self._trouble = ""
            self._outages += 1
        return True

    def close(self) -> bool:
        """Write what is left and close; true when everything reached the file system."""
        done = self.flush(now=True)
        self.abandon()
        return done

    def abandon(self) -> None:
        """Close the file without writing."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open_if_needed(self) -> None:
        if self._fd >= 0:
            if os.fstat(self._fd).st_nlink > 0:
                return
            self.abandon()
            self._backlog[:0] = b"".join(records.encode(record) for record in self._preamble)
            warn_once(
                f"deleted {self.path}",
                f"{self.path} was deleted while in use; recording goes on in a new file of that name",
            )
            self._outages += 1
        self.folder.journal.mkdir(parents=True, exist_ok=True)
        self._fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)

    def _refused(self, error: OSError) -> None:
        self._retry_at = time.monotonic() + RETRY_SECONDS
        self._trouble = error.strerror or str(error)
        refused(self.folder.root, error)
