"""What this process prints, kept beside the terminal: the streams stay the objects they are, only their `write` is watched."""

from __future__ import annotations

import os
import re
import sys
from collections import deque
from collections.abc import Callable
from typing import Any, TextIO

MOST_PENDING = 4_000_000
"""Characters kept between two drains; what is printed beyond them in that time is counted and left out."""

MOST_CHUNKS = 200_000
"""Pieces of text, however short, kept between two drains."""

LONGEST_LINE = 20_000
"""Characters of an unfinished line that are held back in the hope of its end."""

_NESTED_BAR = re.compile(r"\n[^\n]*\x1b\[A")
"""A line printed below and left upwards again: an inner progress bar. It is gone from the terminal too."""

Chunk = tuple[int, str]
"""What was printed: the number of the stream and the text."""


class Console:
    """Keeps what is printed through sys.stdout and sys.stderr, in the process that started it and no forked child.

    Printing costs a fraction of a microsecond more, takes no lock and never fails on our account. Of a line that was
    overwritten by carriage returns (a progress bar) only the last state is kept. The lines of the two streams are kept apart.

    Args:
        sink: where chunks wait until they are drained; a fresh deque if left out.
    """

    def __init__(self, sink: deque[Chunk] | None = None) -> None:
        self._sink: deque[Chunk] = deque() if sink is None else sink
        self._watched: list[_Stream] = []
        self._unfinished: dict[int, str] = {}
        self._pending = 0
        self._left_out = 0
        self._pid = -1

    def start(self) -> None:
        """Begin to keep what is printed; does nothing if it has begun already."""
        if self._watched:
            return
        self._pid = os.getpid()
        streams: list[TextIO | None] = [sys.stdout, sys.stderr]
        if sys.stderr is sys.stdout:
            streams.pop()
        for number, stream in enumerate(streams):
            if stream is not None and (watched := _Stream.watch(stream, self._teed(number, stream))):
                self._watched.append(watched)

    def stop(self) -> None:
        """Give the streams back as they were. The next `drain` returns the rest, unfinished lines too."""
        self._pid = -1
        for watched in self._watched:
            watched.restore()
        self._watched = []

    def drain(self) -> str:
        """What was printed since the last call, by whole lines as far as they are finished. Called by one thread."""
        self._pending = 0
        parts: dict[int, list[str]] = {number: [text] for number, text in self._unfinished.items()}
        for _ in range(len(self._sink)):
            number, text = self._sink.popleft()
            parts.setdefault(number, []).append(text)
        lines = [self._whole_lines(number, "".join(texts)) for number, texts in sorted(parts.items())]
        if self._left_out:
            lines.append(f"<rankzero: {self._left_out} characters were printed faster than they could be kept>\n")
            self._left_out = 0
        return "".join(lines)

    def _whole_lines(self, number: int, text: str) -> str:
        finished, newline, rest = _NESTED_BAR.sub("", text).rpartition("\n")
        rest = _last_state(rest, end=False)
        if rest and (not self._watched or len(rest) > LONGEST_LINE):
            finished, newline, rest = f"{finished}{newline}{rest}", "\n", ""
        self._unfinished[number] = rest
        return "".join(f"{_last_state(line)}\n" for line in finished.split("\n")) if newline else ""

    def _teed(self, number: int, stream: TextIO) -> Callable[[str], int]:
        write = stream.write
        getpid = os.getpid

        def write_and_keep(text: str) -> int:
            written = write(text)
            if getpid() == self._pid:
                self._keep(number, text)
            return written

        return write_and_keep

    def _keep(self, number: int, text: str) -> None:
        room = max(MOST_PENDING - self._pending, 0) if len(self._sink) < MOST_CHUNKS else 0
        if len(text) > room:
            self._left_out += len(text) - room
            text = text[:room]
        if text:
            self._pending += len(text)
            self._sink.append((number, text))


class _Stream:
    """A stream whose `write` was replaced on the object itself."""

    def __init__(self, stream: Any, write: Any) -> None:
        self._stream = stream
        self._own = vars(stream).get("write") if hasattr(stream, "__dict__") else None
        self._write = write

    @classmethod
    def watch(cls, stream: Any, write: Any) -> _Stream | None:
        """Replace the stream's `write`; None if it has no place for attributes."""
        watched = cls(stream, write)
        try:
            stream.write = write
        except AttributeError:
            return None
        return watched

    def restore(self) -> None:
        """Put the former `write` back, unless somebody replaced ours meanwhile: then theirs goes on through ours."""
        if getattr(self._stream, "write", None) is not self._write:
            return
        if self._own is None:
            del self._stream.write
        else:
            self._stream.write = self._own


def _last_state(line: str, *, end: bool = True) -> str:
    """What a terminal shows of a line with carriage returns; `end`: a last one belongs to the line's end."""
    if "\r" not in line:
        return line
    line = line.removesuffix("\r") if end else line
    body = line.rstrip("\r")
    return body.rpartition("\r")[2] + ("" if end else line[len(body) :][:1])
