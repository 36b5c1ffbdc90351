"""Reading one journal: in batches, from any offset, past whatever a crash left behind.

A torn last line, a tail of zeros and lines of garbage are passed over; everything else is read. Nothing here waits or writes.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias

import msgspec

from rankzero.records import Columns, Record, decode_line

Row: TypeAlias = list[Any]
"""`[columns id, step, t, value, ...]`; NaN and infinities may still be spelled, see `rankzero.records`."""

Beat: TypeAlias = tuple[int, float, int | None]
"""Time in microseconds since the journal's start, CPU seconds of the process, its last step."""

CHUNK = 1 << 20
"""Bytes decoded at once."""

_TAIL = 1 << 16
_LAST_LINES = 16
_PADDING = b"\0 \t\r"
_HEAVY = re.compile(rb'\{"kind":"(?:columns|histogram|media|text|capture)"')
_decoder: msgspec.json.Decoder[list[int | float | str | bool | None] | Record] = msgspec.json.Decoder(
    list[int | float | str | bool | None] | Record
)


@dataclass(slots=True)
class Batch:
    """What some consecutive lines said. `rows` are grouped by the columns that were in force where they stand."""

    records: list[Record] = field(default_factory=list)
    rows: list[tuple[Columns, list[Row]]] = field(default_factory=list)
    beats: list[Beat] = field(default_factory=list)


class JournalReader:
    """Reads one journal from where it last stopped: `offset` is the first byte not read yet."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.offset = 0
        self._columns: dict[Any, Columns] = {}

    def read(self) -> Iterator[Batch]:
        """Batches of everything written since the last call, whole lines only.

        A last line without its end is left for the next call unless it is complete. A file that became shorter was made
        anew by its writer and is read from its beginning.

        Raises:
            OSError: the file cannot be read.
        """
        with self.path.open("rb") as file:
            if file.seek(0, 2) < self.offset:
                self.offset = 0
                self._columns.clear()
            file.seek(self.offset)
            for lines in _blocks(file):
                batch = self._sort(_decode(lines))
                self.offset += len(lines)
                yield batch
            file.seek(self.offset)
            last = file.read()
            if (entry := _decode_one(last)) is not None:
                self.offset += len(last)
                yield self._sort([entry])

    def _sort(self, entries: list[Any]) -> Batch:
        """Lines to their kinds, rows under their columns."""
        batch = Batch()
        columns = self._columns
        rows: dict[Any, list[Row]] = {}
        for entry in entries:
            if type(entry) is list:
                if not entry:
                    continue
                group = rows.get(entry[0])
                if group is None:
                    if entry[0] == "h":
                        _add_beat(batch.beats, entry)
                    elif (declared := columns.get(entry[0])) is not None:
                        group = rows[entry[0]] = [entry]
                        batch.rows.append((declared, group))
                else:
                    group.append(entry)
            elif type(entry) is Columns:
                columns[entry.id] = entry
                rows.pop(entry.id, None)
            else:
                batch.records.append(entry)
        batch.rows = [(declared, _sound(group, len(declared.keys))) for declared, group in batch.rows]
        return batch


def read_records(path: Path) -> tuple[list[Record], int]:
    """The records of a journal that describe its run, and the time of its last line in microseconds; rows are not decoded.

    Columns, histograms, media, texts and the capture report are left out.

    Raises:
        OSError: the file cannot be read.
    """
    data = path.read_bytes()
    found: list[Record] = []
    at = 0 if data.startswith(b"{") else data.find(b"\n{") + 1
    while data.startswith(b"{", at):
        end = data.find(b"\n", at)
        line = data[at : end if end >= 0 else None]
        if not _HEAVY.match(line):
            entry = decode_line(line)
            if entry is not None and not isinstance(entry, list):
                found.append(entry)
        at = data.find(b"\n{", at) + 1 or len(data)
    lines = data[-_TAIL:].split(b"\n")
    return found, last_time(lines[-_LAST_LINES:]) or last_time(lines)


def last_time(lines: Iterable[bytes]) -> int:
    """The latest time that any of these lines carries, in microseconds; 0 if none does."""
    latest = 0
    for line in lines:
        entry = decode_line(line.strip(_PADDING))
        if entry is not None:
            latest = max(latest, time_of(entry))
    return latest


def time_of(entry: Row | Record) -> int:
    """The time a line carries, in microseconds; 0 for a kind that carries none."""
    if isinstance(entry, list):
        if len(entry) < 3:  # noqa: PLR2004 - the shortest row or beat that has a time
            return 0
        t = entry[1] if entry[0] == "h" else entry[2]
    else:
        t = getattr(entry, "t", 0)
    return t if type(t) is int else 0


def _blocks(file: BinaryIO) -> Iterator[bytes]:
    """The file's whole lines from here on, many at a time."""
    rest = b""
    while chunk := file.read(CHUNK):
        end = chunk.rfind(b"\n") + 1
        if not end:
            rest += chunk
            continue
        yield rest + chunk[:end]
        rest = chunk[end:]


def _decode(lines: bytes) -> list[Any]:
    """Every line that can be read; one call for all of them if none is damaged."""
    try:
        entries = _decoder.decode_lines(lines)
    except (msgspec.DecodeError, UnicodeDecodeError):
        entries = []
    if len(entries) == lines.count(b"\n"):
        return entries
    return [entry for line in lines.split(b"\n") if (entry := _decode_one(line)) is not None]


def _decode_one(line: bytes) -> Any:
    """What one line says, None if it says nothing."""
    try:
        return _decoder.decode(line.strip(_PADDING))
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


def _add_beat(beats: list[Beat], entry: Row) -> None:
    if len(entry) == 4 and type(entry[1]) is int and isinstance(entry[2], (int, float)):  # noqa: PLR2004 - ["h", t, cpu, step]
        beats.append((entry[1], float(entry[2]), entry[3] if type(entry[3]) is int else None))


def _sound(rows: list[Row], width: int) -> list[Row]:
    """The rows that have as many values as their columns and whole numbers for step and time."""
    width += 3
    return [row for row in rows if len(row) == width and type(row[1]) is int and type(row[2]) is int]
