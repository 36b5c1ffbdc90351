"""Files beside the journal. A disk that does not take them costs one warning for all of them, and what can wait waits."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from rankzero.journal import refused

MOST_WAITING = 4_000_000
"""Bytes of appended text that wait for the disk at most; past it the oldest are gone."""


def tolerant(root: Path, call: Callable[[], None]) -> Callable[[], None]:
    """`call`, but where the file system under `root` refuses it says so once and does nothing."""

    def tolerated() -> None:
        try:
            call()
        except OSError as error:
            refused(root, error)

    return tolerated


def put(path: Path, content: bytes) -> None:
    """Make a file appear whole.

    Raises:
        OSError: the file system refuses.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    draft = path.with_name(f"{path.name}.{os.getpid()}")
    draft.write_bytes(content)
    draft.replace(path)


class TextFile:
    """A file that text is appended to; what the disk does not take is appended later, each byte once."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._waiting = bytearray()

    def append(self, text: str) -> None:
        """Append text behind what still waits.

        Raises:
            OSError: the file system refuses; the text waits.
        """
        self._waiting += text.encode("utf-8", "replace")
        del self._waiting[:-MOST_WAITING]
        if not self._waiting:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        file = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o644)
        try:
            while self._waiting:
                del self._waiting[: os.write(file, self._waiting)]
        finally:
            os.close(file)
